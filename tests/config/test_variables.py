"""A variable that nothing reads is told, with what was meant; and the list of those that are read is complete."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from patter_core import Registry
from patter_core.cli.commands import main
from patter_core.config import secrets_of
from patter_core.config.variables import CORE_VARIABLES, unknown_variables

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"\bPATTER_[A-Z_]*[A-Z]\b")


PLUGINS = sorted(path for path in ROOT.glob("plugins/*/patter_*") if path.name not in {"patter_all", "patter_otel"})
"""Those with variables of their own: OTEL_… are those of a standard."""


def named_in(folder: Path) -> set[str]:
    return {name for path in folder.rglob("*.py") for name in _NAME.findall(path.read_text())}


def test_all_that_the_code_names_are_known_and_stand_on_the_page() -> None:
    of_plugins = {name for names in Registry.discover().manager.hook.patter_variables() for name in names}
    assert named_in(ROOT / "patter_core") == CORE_VARIABLES
    own = {name for name in of_plugins if name.startswith("PATTER_")}
    assert set().union(*map(named_in, ROOT.glob("plugins/*/patter_*"))) - CORE_VARIABLES == own
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    table = page.partition("## Environment")[2].partition("## patter.toml")[0]
    assert set(_NAME.findall(table)) == CORE_VARIABLES | own


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_declares_all_variables_with_its_own_name(folder: Path) -> None:
    plugin = importlib.import_module(f"{folder.name}.plugin")
    of_plugin: list[str] = plugin.patter_variables() if hasattr(plugin, "patter_variables") else []
    prefix = f"{folder.name.removeprefix('patter_').upper()}_"
    quoted = re.compile(rf'"({prefix}[A-Z_]*[A-Z])"')
    read = {name for path in folder.rglob("*.py") for name in quoted.findall(path.read_text())}
    assert {name for name in of_plugin if name.startswith(prefix)} == read


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PATTER_WEBHOOK_URI", "Did you mean PATTER_WEBHOOK_URL?"),
        ("PATTER_SINK", "Did you mean PATTER_SINKS?"),
        ("PATTER_PHONENUMBER", "Did you mean PATTER_PHONE_NUMBER?"),
        ("PATTER_port", "Did you mean PATTER_PORT?"),
        ("PATTER_PRT", "Did you mean PATTER_PORT?"),
        ("PATTER_COLOUR", "The configuration page lists those that there are."),
    ],
)
def test_what_may_have_been_meant_is_said(name: str, hint: str) -> None:
    (told,) = unknown_variables([name, "PATTER_PORT", "PATH", "patter_x"])
    assert told == f"The environment variable {name} is not read by anything. {hint}"


def test_the_variables_of_plugins_are_known() -> None:
    assert not list(unknown_variables(["PATTER_ACME_KEY"], ["PATTER_ACME_KEY"]))


OF_VENDORS = ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET", "TWILIO_REGION", "OPENAI_BASE_URL"]


@pytest.mark.parametrize(("name", "meant"), [("TWILIO_REGIN", "TWILIO_REGION"), ("OPENAI_BASE_URI", "OPENAI_BASE_URL")])
def test_what_is_nearly_spelled_as_a_vendors_is_told(name: str, meant: str) -> None:
    (told,) = unknown_variables([name, "PATH"], OF_VENDORS)
    assert told == f"The environment variable {name} is not read by Patter. Did you mean {meant}?"
    assert not list(unknown_variables([name, meant], OF_VENDORS))


def test_a_vendors_variable_with_the_prefix_of_patter_is_told() -> None:
    (told,) = unknown_variables(["PATTER_TWILIO_REGION"], OF_VENDORS)
    assert told.endswith(" is not read by anything. Did you mean TWILIO_REGION?")


@pytest.mark.parametrize(
    "name",
    [
        "TWILIO_PHONE_NUMBER",
        "TWILIO_API_KEY_SID",
        "TWILIO_API_KEY_SECRET",
        "TWILIO_SUBACCOUNT_SID",
        "TWILIO_ACCOUNT_SID",
        "OPENAI_ORG_ID",
        "OPENAI_API_BASE",
        "TELNYX_REGION",
        "REGION",
    ],
)
def test_what_others_read_is_passed_over(name: str) -> None:
    assert not list(unknown_variables([name], OF_VENDORS))


def test_a_command_tells_it_and_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATTER_WEBHOK_URL", "https://voice.example")
    monkeypatch.setenv("TWILIO_REGIN", "ie1")
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://x")
    monkeypatch.setattr("sys.argv", ["patter", "plugins"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    out, err = capsys.readouterr()
    assert "twilio" in out
    assert err == (
        "patter: The environment variable PATTER_WEBHOK_URL is not read by anything. Did you mean PATTER_WEBHOOK_URL?\n"
        "patter: The environment variable TWILIO_REGIN is not read by Patter. Did you mean TWILIO_REGION?\n"
    )


def test_secrets_under_a_misspelt_name_are_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWILIO_OTHER_AUTH_TOKEN", "n3xt")
    assert secrets_of([], parameter="Twilio(other_auth_tokens=…)", variable="TWILIO_OTHER_AUTH_TOKENS") == ()
    monkeypatch.setattr("sys.argv", ["patter", "plugins"])
    with pytest.raises(SystemExit):
        main()
    told = (
        "The environment variable TWILIO_OTHER_AUTH_TOKEN is not read by Patter. Did you mean TWILIO_OTHER_AUTH_TOKENS?"
    )
    assert capsys.readouterr().err == f"patter: {told}\n"


def test_a_plugin_that_is_switched_off_and_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATTER_DISABLE", "plivo, patter_vonage, twillio, patter-foo, nope")
    monkeypatch.setattr("sys.argv", ["patter", "plugins"])
    with pytest.raises(SystemExit):
        main()
    assert (
        capsys.readouterr().err
        == "patter: PATTER_DISABLE names twillio, which is not installed. Did you mean twilio?\n"
        "patter: PATTER_DISABLE names patter-foo, which is not installed.\n"
        "patter: PATTER_DISABLE names nope, which is not installed.\n"
    )
