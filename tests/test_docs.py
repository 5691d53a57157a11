"""Every Python block of the documentation runs; every hook has its heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core.cli.main import COMMANDS
from patter_core.cli.settings import load, make_engine, make_sinks, make_store
from patter_core.hookspecs import HookSpecs
from patter_core.registry import Registry
from patter_core.telephony.outcome import HangUp

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


def test_every_variable_of_ours_is_on_the_page_of_the_configuration() -> None:
    named = {
        name
        for path in (ROOT / "patter_core").rglob("*.py")
        for name in re.findall(r"\bPATTER_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())
    }
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert named <= set(re.findall(r"PATTER_[A-Z_]+", page))


def test_the_file_of_the_configuration_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    file = tmp_path / "patter.toml"
    file.write_text(block)
    settings = load(file)
    assert (settings.carrier.name, settings.engine.name) == ("twilio", "elevenlabs")
    assert settings.agent.fallback == HangUp("Please call again later.")
    assert (settings.limits.calls, settings.limits.drain, settings.deadlines.longest_call) == (200, 60, 3600)
    registry = Registry.discover()
    assert make_engine(registry, settings.engine).name == "elevenlabs"
    assert [sink.name for sink in make_sinks(registry, settings.sinks)] == ["jsonl", "jsonl"]
    store = make_store(registry, settings.store)
    assert store is not None
    assert store.name == "redis"
    assert settings.redaction.transcripts


def test_every_command_is_on_the_page_of_the_commands() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert set(re.findall(r"<!-- help: (\w+) -->", page)) == set(COMMANDS)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert f"- {page.relative_to(ROOT / 'docs').as_posix()}\n" in navigation


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
