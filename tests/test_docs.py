"""Every Python block of the documentation runs; every hook has its heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core.hookspecs import HookSpecs

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), *sorted(ROOT.glob("plugins/getpatter/README.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]


ENVIRONMENT = {"ELEVENLABS_API_KEY": "sk_of_the_docs", "ELEVENLABS_AGENT_ID": "agent_of_the_docs"}
"""What the pages tell the reader to set."""


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    exec(compile(block, "block", "exec"), {"__name__": "block"})


def test_every_hook_has_its_heading() -> None:
    hooks = {name for name in vars(HookSpecs) if name.startswith("patter_")}
    page = (ROOT / "docs" / "plugins.md").read_text()
    assert set(re.findall(r"^### (patter_\w+)$", page, re.MULTILINE)) == hooks


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
