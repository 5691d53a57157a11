"""The documentation is true: its Python blocks run, its links lead somewhere, and the files that it names exist."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import click
import pytest

from patter_core.call.state import State
from patter_core.cli.commands import COMMANDS
from patter_core.cli.plugin_commands import find_commands, load_command
from patter_core.hookspecs import HookSpecs
from patter_core.registry import Registry
from patter_core.settings.load import load
from patter_core.settings.plugins import make_apps, make_engine, make_sinks, make_store
from patter_core.telephony.outcome import HangUp
from patter_vonage.testing.keys import new_key

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), *sorted(ROOT.glob("plugins/patter-all/README.md"))]
PACKAGES = [ROOT / "patter_core", *sorted(path.parent for path in ROOT.glob("plugins/*/*/__init__.py"))]
"""What is shipped."""


def python_blocks(text: str) -> list[str]:
    """The programs of a page, also in tabs: blocks without a title, or that are called `app.py`."""
    found = re.finditer(r'^( *)```python(?: title="app\.py")?\n(.*?)^\1```', text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block[2]) for block in found]


BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, block in enumerate(python_blocks(page.read_text()))
]


_TEST = re.compile(r"^(?:async )?def test_\w+", re.MULTILINE)

ENVIRONMENT = {"ELEVENLABS_API_KEY": "sk_of_the_docs", "ELEVENLABS_AGENT_ID": "agent_of_the_docs"}
"""What the pages tell the reader to set."""

CREDENTIALS = {
    **ENVIRONMENT,
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token_of_the_docs",
    "TELNYX_API_KEY": "KEY0123",
    "TELNYX_CONNECTION_ID": "1234567890123456789",
    "TELNYX_PUBLIC_KEY": "bdMhN4fbHIOFqpb1Wgk2pFhRXAXl6MkN2Lw0xaF9bBs=",
    "PLIVO_AUTH_ID": "MA000000000000000000",
    "PLIVO_AUTH_TOKEN": "token_of_the_docs",
    "VONAGE_APPLICATION_ID": "78d335fa-323d-0114-9c3d-d6f0d48968cf",
    "VONAGE_API_KEY": "a1b2c3d4",
    "VONAGE_SIGNATURE_SECRET": "a signature secret of the docs' own",
    "OPENAI_API_KEY": "sk-of-the-docs",
    "DEEPGRAM_API_KEY": "key_of_the_docs",
}

ARCHITECTURE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
GLOSSARY = [
    (term.strip("`"), meaning, link)
    for term, meaning, link in re.findall(
        r"^\| (.+?) \| (.+?) \| (.+?) \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
    )
    if term != "term"
]
TERMS = """
    Accept, barge-in, callback token, CallRouter, carrier, check, codec, conversation, deadline, downlink, drain,
    emulator, ended call, engine, event, fallback chain, final action, frame, HangUp, history, hook, host, inbox, leg,
    loopback, mark, media leg, media socket, PhoneCall, playback, plugin, prewarm, price lookup, record, redaction,
    registry, Reject, Retry, router, sans-IO, SerialThread, session, signal, sink, state, store, stream token,
    supervisor, Transfer, turn, uplink, utterance, webhook, worker
"""
"""What users, and authors of plugins, meet in names, errors, logs and pages."""


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str) -> None:
    run_block(block)


def run_block(block: str) -> None:
    """Runs a block with the vendors' credentials. What it leaves in the environment is taken out again."""
    key = {"VONAGE_PRIVATE_KEY": new_key()[0]} if "Vonage" in block else {}
    with patch.dict(os.environ, {**CREDENTIALS, **key}):
        exec(compile(block, "block", "exec"), {"__name__": "block"})


def of_tests(page: Path) -> list[str]:
    """The blocks of a page that hold tests."""
    return [block for block in python_blocks(page.read_text()) if _TEST.search(block)]


@pytest.mark.parametrize("page", [page for page in PAGES if of_tests(page)], ids=lambda page: page.stem)
def test_the_tests_of_a_page_pass_as_files_of_tests(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(of_tests(page)):
        (tmp_path / f"test_{number}.py").write_text(block)
    (conftest,) = [block for block in python_blocks(page.read_text()) if "pytest_plugins" in block]
    (tmp_path / "conftest.py").write_text(conftest)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(len(_TEST.findall(block)) for block in of_tests(page))} passed" in done.stdout


def test_there_is_a_page_with_tests() -> None:
    assert len([block for page in PAGES for block in of_tests(page)]) >= 3


def test_what_a_block_sets_is_gone_after_it() -> None:
    before = dict(os.environ)
    run_block("import os\nos.environ.update(PLIVO_AUTH_ID='x', PATTER_PORT='9')\nos.environ.pop('PATH')")
    assert dict(os.environ) == before


FOR_AUTHORS = {"docs/plugins.md", "docs/how-to/write-a-part.md", "docs/how-to/test-your-agent.md"}
"""Pages about plugins and tests, where a fake or an emulator is what the reader needs."""
ABOUT_TESTS = {"Without an account", "Without a call", "A part of your own", "What was said so far"}
"""Sections that are about them on other pages."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_vendors_and_no_fakes(page: Path) -> None:
    if str(page.relative_to(ROOT)) in FOR_AUTHORS:
        return
    for section in re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE):
        heading = section.partition("\n")[0]
        for block in python_blocks(section):
            assert heading in ABOUT_TESTS or not re.search(r"import .*(Fake|Emulator)|\.testing", block), heading


def test_a_quickstart_is_short_and_has_a_program() -> None:
    listed = (ROOT / "mkdocs.yml").read_text().partition("- Quickstarts:\n")[2].partition("      - Step")[0]
    pages = [ROOT / "docs" / name for name in re.findall(r"- (\S+\.md)", listed)]
    assert {path.name for path in (ROOT / "docs" / "quickstart").glob("*.md")} <= {page.name for page in pages}
    cards = (ROOT / "docs" / "index.md").read_text()
    for page in pages:
        text = page.read_text()
        assert len(text.splitlines()) <= 60, page
        assert python_blocks(text) or '--8<-- "examples/' in text, page
        assert f"]({page.relative_to(ROOT / 'docs')})**" in cards, page


def test_every_hook_has_its_heading() -> None:
    hooks = {name for name in vars(HookSpecs) if name.startswith("patter_")}
    page = (ROOT / "docs" / "plugins.md").read_text()
    assert set(re.findall(r"^### (patter_\w+)$", page, re.MULTILINE)) == hooks


def reference_of(name: str) -> object:
    """What a page shows by `::: name`: a module, or something in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, public = name.rpartition(".")
        return getattr(importlib.import_module(module), public)


def test_the_reference_has_every_name_that_a_template_imports() -> None:
    pages = [
        (ROOT / "docs" / "reference" / f"{page}.md").read_text()
        for page in ("contracts", "testing", "events", "errors")
    ]
    shown = [reference_of(name) for page in pages for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)]
    shown += [
        getattr(module, name)
        for module in shown
        if isinstance(module, ModuleType)
        for name in getattr(module, "__all__", ())
    ]
    sources = [path.read_text() for path in (ROOT / "patter_core" / "cli" / "templates").rglob("*.py.template")]
    imported = {
        (node.module, alias.name)
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("patter_core")
        for alias in node.names
    }
    assert len(imported) > 50
    missing = [
        f"{module}.{name}"
        for module, name in sorted(imported)
        if not any(getattr(importlib.import_module(module), name) is one for one in shown)
    ]
    assert not missing


def test_every_variable_of_ours_is_on_the_page_of_the_configuration() -> None:
    named = {
        name
        for package in PACKAGES
        for path in package.rglob("*.py")
        for name in re.findall(r"\bPATTER_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())
    }
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert named
    assert named <= set(re.findall(r"`(PATTER_[A-Z_]+)`", page))


def test_the_file_of_the_configuration_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    block, several, pages = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    file = tmp_path / "patter.toml"
    file.write_text(several)
    assert [carrier.name for carrier in load(file).carriers] == ["twilio", "telnyx"]
    assert set(load(file).numbers.values()) == set(load(file).agents)
    file.write_text(pages)
    (app,) = make_apps(Registry.discover(), load(file).apps)
    assert app.name == "dashboard"
    assert load(file).apps_access.resolved().unmasked == ("ada@example.org",)
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
    commands = find_commands(COMMANDS)
    of_plugins = re.findall(r"^\| `patter (\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert {name for name, _ in of_plugins} == set(commands)
    for name, said in of_plugins:
        added = load_command(commands[name])
        assert isinstance(added, click.Group)
        assert all(f"`{command}" in said for command in added.commands), name


def dotted_names(text: str) -> set[str]:
    """Those in backticks, or after `:::`, that begin with a package of ours."""
    packages = "|".join(package.name for package in PACKAGES)
    return set(re.findall(rf"(?:(?<=`)|(?<=^::: ))(?:{packages})(?:\.\w+)+", text, re.MULTILINE))


def leads_nowhere(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return True
    return False


def test_a_dotted_name_in_a_text_leads_to_what_is_there() -> None:
    pages = [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("plugins/*/README.md")]
    modules = [path for package in PACKAGES for path in package.rglob("*.py")]
    names = {(path, name) for path in [*pages, *modules] for name in dotted_names(path.read_text())}
    assert len(names) > 50
    assert not [f"{path.relative_to(ROOT)}: {name}" for path, name in names if leads_nowhere(name)]


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert f"- {page.relative_to(ROOT / 'docs').as_posix()}\n" in navigation


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pictures_are_there_and_small() -> None:
    """`nox -s pictures` takes them."""
    pages = [ROOT / "README.md", *PAGES]
    shown = [(page, name) for page in pages for name in re.findall(r"!\[[^]]+\]\(([^)]+\.png)\)", page.read_text())]
    assert shown
    for page, name in shown:
        assert (page.parent / name).stat().st_size <= 150_000, f"{page.name} shows {name}"


def test_the_glossary_is_sorted_and_has_each_term_once() -> None:
    terms = [term.casefold() for term, _, _ in GLOSSARY]
    assert terms == sorted(set(terms))


def test_the_glossary_has_every_term() -> None:
    assert set(re.split(r",\s+", TERMS.strip())) <= {term for term, _, _ in GLOSSARY}


def test_a_term_is_explained_in_one_line_with_a_link_to_more() -> None:
    for term, meaning, link in GLOSSARY:
        assert len(meaning) <= 120, term
        assert meaning.endswith("."), term
        assert re.fullmatch(r"\[[^]]+\]\([a-z-]+(/[a-z-]+)*\.md(#[\w-]+)?\)", link), term


def test_every_state_is_in_the_glossary_and_in_the_diagram() -> None:
    (meaning,) = (meaning for term, meaning, _ in GLOSSARY if term == "state")
    diagram = (ROOT / "docs" / "explanation" / "life-of-a-call.md").read_text().split("```")[1]
    for state in State:
        assert state.name in meaning
        assert re.search(rf"\b{state.name}\b", diagram)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    packages = [path.parent for path in ROOT.glob("plugins/*/*/__init__.py")]
    folders = [ROOT / "patter_core", ROOT / "docs", ROOT / "tests", *packages]
    for name in re.findall(r"`([\w./-]+\.py|[\w-]+(?:/[\w-]+)*/)`", page.read_text()):
        named = any((folder.parent / name).exists() or (folder / name).exists() for folder in folders)
        bare = "/" not in name.rstrip("/")  # as in a table of one folder
        assert named or (bare and any(next(folder.rglob(name), None) for folder in folders)), name


@pytest.mark.parametrize(("folder", "heading"), [("call", "One call"), ("server", "One worker")])
def test_the_architecture_names_every_module_of_a_folder(folder: str, heading: str) -> None:
    section = ARCHITECTURE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = " ".join(re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE))
    modules = {path.name for path in (ROOT / "patter_core" / folder).glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"`(\w+\.py)`", rows)) == modules


def test_the_architecture_names_every_folder_of_the_core() -> None:
    folders = {f"{path.parent.name}/" for path in (ROOT / "patter_core").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"`(\w+/)`", ARCHITECTURE))


def test_every_example_is_on_its_page() -> None:
    shown = re.findall(r'^--8<-- "examples/(.+)"$', (ROOT / "docs" / "examples.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "docs" / "examples").glob("*.py"))
