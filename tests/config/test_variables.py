"""A variable that nothing reads is told, with what was meant; and the list of those that are read is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core import Registry
from patter_core.cli.main import main
from patter_core.config.variables import CORE_VARIABLES, unknown_variables

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"\bPATTER_[A-Z_]*[A-Z]\b")


def named_in(folder: Path) -> set[str]:
    return {name for path in folder.rglob("*.py") for name in _NAME.findall(path.read_text())}


def test_all_that_the_code_names_are_known_and_stand_on_the_page() -> None:
    of_plugins = {name for names in Registry.discover().manager.hook.patter_variables() for name in names}
    assert named_in(ROOT / "patter_core") == CORE_VARIABLES
    assert set().union(*map(named_in, ROOT.glob("plugins/*/patter_*"))) - CORE_VARIABLES == of_plugins
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    table = page.partition("## Environment")[2].partition("## patter.toml")[0]
    assert set(_NAME.findall(table)) == CORE_VARIABLES | of_plugins


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PATTER_WEBHOOK_URI", "Did you mean PATTER_WEBHOOK_URL?"),
        ("PATTER_SINK", "Did you mean PATTER_SINKS?"),
        ("PATTER_PHONENUMBER", "Did you mean PATTER_PHONE_NUMBER?"),
        ("PATTER_PRT", "Did you mean PATTER_PORT?"),
        ("PATTER_COLOUR", "The configuration page lists those that there are."),
    ],
)
def test_what_may_have_been_meant_is_said(name: str, hint: str) -> None:
    (told,) = unknown_variables([name, "PATTER_PORT", "PATH", "patter_x"])
    assert told == f"The environment variable {name} is not read by anything. {hint}"


def test_the_variables_of_plugins_are_known() -> None:
    assert not list(unknown_variables(["PATTER_ACME_KEY"], ["PATTER_ACME_KEY"]))


def test_a_command_tells_it_and_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATTER_WEBHOK_URL", "https://voice.example")
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://x")
    monkeypatch.setattr("sys.argv", ["patter", "plugins"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    out, err = capsys.readouterr()
    assert "twilio" in out
    assert err == (
        "patter: The environment variable PATTER_WEBHOK_URL is not read by anything. Did you mean PATTER_WEBHOOK_URL?\n"
    )


def test_a_plugin_that_is_switched_off_and_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATTER_DISABLE", "plivo, patter_vonage, twillio")
    monkeypatch.setattr("sys.argv", ["patter", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert (
        capsys.readouterr().err
        == "patter: PATTER_DISABLE names twillio, which is not installed. Did you mean twilio?\n"
    )
