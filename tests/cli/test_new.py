"""`patter new`: what it writes is whole; that it works, `nox -s thirdparty` shows from wheels."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import patter_pipeline
from patter_core import __version__
from patter_core.cli.new import _OURS as OURS
from patter_core.cli.new import KINDS, new, write_distribution
from patter_core.errors import ConfigurationError
from patter_core.registry import Registry

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted({*KINDS, *(kind.name for kind in Registry.discover().kinds if kind.template)})
"""All kinds with templates: of the core and of the plugins here."""
WITHOUT_SERVICE = ("app", "guardrail", "turn_detector", "vad")
"""Parts that need no emulator."""


@pytest.mark.parametrize("kind", TEMPLATES)
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


WARNS = """
import warnings, pytest

def pytest_configure():
    warnings.warn(pytest.PytestDeprecationWarning("An option of another plugin is unset."))
"""


@pytest.mark.parametrize("kind", TEMPLATES)
def test_its_tests_are_set_as_those_of_every_other_kind(kind: str, tmp_path: Path) -> None:
    settings = tomllib.loads((write_distribution(kind, "horn", tmp_path) / "pyproject.toml").read_text())
    warnings = ["error", "ignore::pytest.PytestDeprecationWarning"]
    assert settings["tool"]["pytest"] == {"ini_options": {"testpaths": ["tests"], "filterwarnings": warnings}}


def test_it_can_be_tested_beside_plugins_of_pytest_that_warn(tmp_path: Path) -> None:
    folder = write_distribution("sink", "horn", tmp_path)
    (tmp_path / "other_plugin.py").write_text(WARNS)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{folder}"}
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "other_plugin", str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


HINTS = {
    "carrier": "patter demo --carrier horn",
    "engine": "patter demo --engine horn",
    "app": "patter serve --apps horn",
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_only_what_the_demo_can_do_is_told_to_be_tried(kind: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(new, [kind, "horn", "--into", str(tmp_path)]).output
    assert [line.strip() for line in said.splitlines() if line.startswith(("  patter demo", "  patter serve"))] == (
        [HINTS[kind]] if kind in HINTS else []
    )


OTHERS = {
    "of the core": ("store", r"no template of a store\. Expected app, carrier, engine, sink, .*stt.*docs/plugins\.md"),
    "misspelt": ("carier", r"No installed plugin defines this kind\. .* Got 'carier'\. Did you mean carrier\?"),
    "of nobody": ("stoer", r"No installed plugin defines this kind\. Expected app, .* Got 'stoer'"),
}


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"patter-horn cannot be written\. Got .*--into\.$"):
        write_distribution("carrier", "horn", tmp_path / "file" / "below")


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


@pytest.mark.parametrize("name", ["Horn", "horn--two", "-horn", "horn_two", "1horn", "", "a b", "patter-"])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"Invalid plugin name.* Got {name!r}"):
        write_distribution("engine", name, tmp_path)
    assert not list(tmp_path.iterdir())


TAKEN = {
    "word of Python": ("engine", "class", "“class” is a word of Python"),
    "installed distribution": ("engine", "twilio", "patter-twilio is installed already"),
    "carrier": ("carrier", "twilio", "The carrier name “twilio” belongs to patter-twilio"),
    "sink of the core": ("sink", "console", "The sink name “console” belongs to patter-core"),
    "sink of another distribution": ("sink", "prometheus", "The sink name “prometheus” belongs to patter-otel"),
    "part": ("tts", "elevenlabs", "The tts name “elevenlabs” belongs to patter-elevenlabs"),
    "part of the pipeline": ("vad", "silero", "The vad name “silero” belongs to patter-pipeline"),
}


@pytest.mark.parametrize(("kind", "name", "said"), TAKEN.values(), ids=TAKEN.keys())
def test_a_name_that_is_taken_is_refused_with_its_owner(kind: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"{said}\. Choose another name"):
        write_distribution(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_names_of_our_own_distributions_are_known() -> None:
    plugins = {path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file()}
    assert {f"patter-{name}" for name in OURS} == plugins | {"patter-core"}


@pytest.mark.parametrize("name", ["deepgram", "patter-deepgram", "all"])
def test_a_name_of_ours_is_refused_where_it_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patter_core.cli.new.find_spec", lambda _: None)
    said = rf"patter-{name.removeprefix('patter-')} is a distribution of Patter's own\. Choose another name"
    with pytest.raises(ConfigurationError, match=said):
        write_distribution("carrier", name, tmp_path, Registry())
    assert not list(tmp_path.iterdir())


def test_the_name_of_the_distribution_is_as_good_as_that_of_the_plugin(tmp_path: Path) -> None:
    result = CliRunner().invoke(new, ["carrier", "patter-horn", "--into", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["patter-horn"]
    assert "patter demo --carrier horn\n" in result.output


def test_a_name_of_another_kind_is_free(tmp_path: Path) -> None:
    assert write_distribution("engine", "console", tmp_path).is_dir()


ENDINGS = {
    "carrier": "HornCarrier",
    "engine": "HornEngine",
    "stt": "HornSTT",
    "turn_detector": "HornTurnDetector",
    "guardrail": "HornGuardrail",
    "vad": "HornActivity",
}


@pytest.mark.parametrize(("kind", "cls"), ENDINGS.items())
def test_a_kind_at_the_end_of_the_name_is_once_in_the_class(kind: str, cls: str, tmp_path: Path) -> None:
    name = f"horn-{kind.replace('_', '-')}"
    folder = write_distribution(kind, name, tmp_path)
    module = f"patter_{name.replace('-', '_')}"
    assert f"class {cls}(" in (folder / module / f"{kind}.py").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_distribution("engine", "horn", tmp_path)
    with pytest.raises(ConfigurationError, match="exists already"):
        write_distribution("sink", "horn", tmp_path)


def test_a_name_may_hold_the_templates_own(tmp_path: Path) -> None:
    folder = write_distribution("engine", "acme2", tmp_path)
    assert (folder / "patter_acme2" / "engine.py").is_file()
