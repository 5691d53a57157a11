"""`docs/plugins.md` works: its plugin in one file is found and keeps its contract, and so do its carrier and engine."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from patter_core.cli.new import write_distribution
from patter_core.registry import Registry
from patter_core.sink import EventSink
from patter_core.testing import check_carrier, check_engine, check_sink, conformance

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
TITLED: list[tuple[str, str]] = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
"""(what it is, its text) of each block that is a file, or a part of one."""
ONE_FILE_LINES = 40
CONFORMANCE = Path(conformance.__file__).parent


@pytest.fixture
def _fresh_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for module in set(sys.modules) - before:
        if module.split(".")[0] in {"ledger", "patter_acme"}:
            del sys.modules[module]


def block(title: str) -> str:
    (text,) = (text for name, text in TITLED if name == title)
    return text


def names_of(node: ast.stmt) -> list[str]:
    """What a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return [name]
        case _:
            return []


def place_of(node: ast.stmt, among: list[ast.stmt]) -> int | None:
    names = set(names_of(node))
    return next((place for place, other in enumerate(among) if names & set(names_of(other))), None)


def put_into(old: list[ast.stmt], new: list[ast.stmt]) -> None:
    """Does what the page says: what is new takes the place of what has its name; of a class, member by member.

    A new name stands before what follows it on the page, or else at the end.
    """
    for number, node in enumerate(new):
        place = place_of(node, old)
        if isinstance(node, ast.Expr):
            continue  # a docstring
        if place is None:
            following = (place_of(other, old) for other in new[number:])
            old.insert(next((place for place in following if place is not None), len(old)), node)
            continue
        there = old[place]
        if isinstance(there, ast.ClassDef) and isinstance(node, ast.ClassDef):
            put_into(there.body, node.body)
        else:
            old[place] = node


def worked(kind: str, tmp_path: Path) -> None:
    """Writes the scaffold, with the page's changes."""
    folder = write_distribution(kind, "acme", tmp_path)
    changes = [(title.removeprefix(f"{kind}: "), text) for title, text in TITLED if title.startswith(f"{kind}: ")]
    assert len(changes) >= 3
    for file, text in changes:
        path = folder / file
        tree = ast.parse(path.read_text())
        put_into(tree.body, ast.parse(text).body)
        path.write_text(ast.unparse(tree))


def test_the_plugin_in_one_file_is_short() -> None:
    assert len(block("ledger.py").splitlines()) <= ONE_FILE_LINES


@pytest.mark.usefixtures("_fresh_modules")
async def test_the_plugin_in_one_file_is_found_and_keeps_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads(block("pyproject.toml"))
    assert project["tool"]["setuptools"]["py-modules"] == ["ledger"]
    (tmp_path / "ledger.py").write_text(block("ledger.py"))
    info = tmp_path / "patter_ledger-0.1.0.dist-info"  # as its installation leaves it
    info.mkdir()
    name, version = project["project"]["name"], project["project"]["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = project["project"]["entry-points"]["patter"]
    (info / "entry_points.txt").write_text(
        "[patter]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LEDGER", str(tmp_path / "calls.csv"))
    ledger = Registry.discover().sink("ledger")
    assert issubclass(ledger, EventSink)
    await check_sink(ledger)
    assert re.match(r"[^,]+,caller_hung_up,[\d.]+\n", (tmp_path / "calls.csv").read_text())


def texts_of(path: Path) -> Iterator[str]:
    """Patterns of all texts in a file, with `.+` for what is put into one."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.JoinedStr(values=values):
                pieces = [value.value if isinstance(value, ast.Constant) else None for value in values]
                if any(pieces):
                    yield "".join(".+" if piece is None else re.escape(str(piece)) for piece in pieces)
            case ast.Constant(value=str(text)):
                yield re.escape(text)


def test_what_the_kit_says_on_the_page_is_what_it_says() -> None:
    rows = PAGE.partition("| `check_engine` says |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(rows) >= 5
    patterns = [pattern for path in CONFORMANCE.glob("*.py") for pattern in texts_of(path) if len(pattern) > 20]
    for row in rows:
        said = row.split("|")[1].strip()
        assert any(re.fullmatch(pattern, said) for pattern in patterns), row


@pytest.mark.slow
@pytest.mark.usefixtures("_fresh_modules")
async def test_the_carrier_keeps_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked("carrier", tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "patter-acme")
    testing = importlib.import_module("patter_acme.testing")
    assert testing.AcmeEmulator.format.sample_rate == 16_000
    await check_carrier(testing.AcmeEmulator)


@pytest.mark.slow
@pytest.mark.usefixtures("_fresh_modules")
async def test_the_engine_keeps_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked("engine", tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "patter-acme")
    testing = importlib.import_module("patter_acme.testing")
    assert "user_message" in importlib.import_module("patter_acme").Acme.capabilities
    await check_engine(testing.AcmeEmulator)
