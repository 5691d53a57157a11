"""Which scenarios of whole calls run with a pipeline is said in one place."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.engines import WITHOUT_PARTS

SCENARIOS = Path(__file__).parent / "e2e"
PARTS = {"PipelineServices", "Scene", "FakeLlmEmulator", "OpenAIChatEmulator", "OpenAILLM", "SpeechToText"}
"""What a scenario with parts names: the services of one, a model's, or a part."""


def runs_with_parts(module: Path) -> bool:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    imported = (node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(alias.name in PARTS for names in imported for alias in names)


def test_a_scenario_that_does_not_run_with_parts_says_why() -> None:
    without = {module.stem for module in SCENARIOS.glob("test_*.py") if not runs_with_parts(module)}
    assert without == set(WITHOUT_PARTS)
    assert all(len(why) > 20 for why in WITHOUT_PARTS.values())
