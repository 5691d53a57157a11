"""Which carriers the scenarios of whole calls run with is said in one place."""

from __future__ import annotations

import ast
from pathlib import Path

from docs.carrier_table import installed_carriers
from tests.carriers import EMULATORS, OTHERS, OWN_PAGES

SCENARIOS = Path(__file__).parent / "e2e"
NAMES = {emulator.__name__ for emulator in EMULATORS.values()}


def names_an_emulator(module: Path) -> bool:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    imported = (node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(alias.name in NAMES for names in imported for alias in names)


def test_the_carriers_are_those_that_are_installed() -> None:
    assert set(EMULATORS) | OWN_PAGES == {carrier.name for carrier in installed_carriers()}


def test_a_scenario_that_names_a_carrier_says_why_it_does_not_run_with_each() -> None:
    found = {module.stem for module in SCENARIOS.glob("test_*.py") if names_an_emulator(module)}
    assert found == set(OTHERS)
    assert all(len(why) > 20 for why in OTHERS.values())
