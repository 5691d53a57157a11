"""`patter new`: what it writes is whole; that it works, `nox -s thirdparty` shows from wheels."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import patter_pipeline
from patter_core import __version__
from patter_core.cli.new import KINDS, new, write_distribution
from patter_core.errors import ConfigurationError
from patter_core.registry import Registry

PARTS = ("llm", "stt", "tts")
WITHOUT_SERVICE = ("app", "guardrail", "turn_detector", "vad")
"""Parts that need no emulator."""


@pytest.mark.parametrize("kind", [*KINDS, *PARTS, *WITHOUT_SERVICE])
def test_a_whole_distribution_is_written_under_the_name(kind: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(new, [kind, "loud-horn", "--into", str(tmp_path)])
    assert result.exit_code == 0
    folder = tmp_path / "patter-loud-horn"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"README.md", "pyproject.toml", "patter_loud_horn/plugin.py", f"patter_loud_horn/{kind}.py"} <= files
    assert {"patter_loud_horn/py.typed", f"tests/test_{kind}.py"} <= files
    assert ("patter_loud_horn/testing.py" in files) is (kind not in WITHOUT_SERVICE)
    for path in folder.rglob("*"):
        if path.is_file():
            assert "acme" not in path.read_text().lower()
            if path.suffix == ".py":
                ast.parse(path.read_text())


OTHERS = {
    "of the core": ("store", r"no template of a store\. Expected app, carrier, engine, sink, .*stt.*docs/plugins\.md"),
    "of nobody": ("stoer", r"No installed plugin defines this kind\. Expected app, .* Got 'stoer'"),
}


@pytest.mark.parametrize(("kind", "said"), OTHERS.values(), ids=OTHERS.keys())
def test_another_kind_is_refused_with_those_that_have_templates(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        write_distribution(kind, "loud-horn", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_kind_of_a_plugin_has_the_plugins_templates(tmp_path: Path) -> None:
    folder = write_distribution("stt", "loud-horn", tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    core, pipeline = map(Requirement, project["dependencies"])
    assert (core.name, pipeline.name) == ("patter-core", "patter-pipeline")
    assert pipeline.specifier.contains(patter_pipeline.__version__, prereleases=True)


def test_a_plugin_that_is_switched_off_brings_no_templates(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No installed plugin defines this kind"):
        write_distribution("stt", "loud-horn", tmp_path, Registry.discover(disabled=["pipeline"]))


def test_it_requires_the_core_that_wrote_it(tmp_path: Path) -> None:
    project = tomllib.loads((write_distribution("engine", "horn", tmp_path) / "pyproject.toml").read_text())["project"]
    (requirement,) = project["dependencies"]
    assert Requirement(requirement).name == "patter-core"
    assert Requirement(requirement).specifier.contains(__version__, prereleases=True)
    assert project["entry-points"] == {"patter": {"horn": "patter_horn.plugin"}}


@pytest.mark.parametrize("name", ["Horn", "horn--two", "-horn", "horn_two", "1horn", "", "class", "a b"])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Invalid plugin name"):
        write_distribution("engine", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_distribution("engine", "horn", tmp_path)
    with pytest.raises(ConfigurationError, match="exists already"):
        write_distribution("sink", "horn", tmp_path)


def test_a_name_may_hold_the_templates_own(tmp_path: Path) -> None:
    folder = write_distribution("engine", "acme2", tmp_path)
    assert (folder / "patter_acme2" / "engine.py").is_file()
