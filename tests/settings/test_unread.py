"""Settings that the phone of a program does not read are named, unless it has them all the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core import Patter, Redaction, Registry
from patter_core.settings.load import load
from patter_core.settings.unread import SETTINGS, unread
from patter_core.sinks.memory import MemorySink
from patter_core.testing.fakes import FakeCarrier, FakeEngine

ROOT = Path(__file__).parents[2]
VALUES = {
    "PATTER_APPS": "dashboard",
    "PATTER_CARRIER": "acme",
    "PATTER_ENGINE": "acme",
    "PATTER_FIRST_MESSAGE": "Hello.",
    "PATTER_NOTICE": "This call is recorded.",
    "PATTER_PHONE_NUMBER": "+15550001234",
    "PATTER_REDACT_NUMBERS": "all",
    "PATTER_REDACT_TRANSCRIPTS": "1",
    "PATTER_SINKS": "memory",
    "PATTER_STORE": "acme",
    "PATTER_SYSTEM_PROMPT": "Be brief.",
    "PATTER_WEBHOOK_URL": "voice.example.org",
}
READ = {
    "PATTER_APPS_HOST": "127.0.0.1",
    "PATTER_APPS_PASSWORD": "open the door please",
    "PATTER_APPS_PORT": "8003",
    "PATTER_CONTROL": "off",
    "PATTER_HOST": "127.0.0.1",
    "PATTER_LOG_LEVEL": "info",
    "PATTER_PORT": "8002",
    "PATTER_SEVERAL_WORKERS": "1",
    "PATTER_TRANSPORT": "websockets",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bare() -> Patter:
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    phone.agent(engine=FakeEngine())
    return phone


def test_all_variables_that_a_phone_of_the_settings_alone_reads_are_known() -> None:
    loading = ROOT / "patter_core" / "settings" / "load.py"
    reading = re.compile(r"""(?:environ\w*(?:\.get)?\(|variable)[^()]*"(PATTER_[A-Z_]+)\"""")
    others = [path for path in (ROOT / "patter_core").rglob("*.py") if path != loading]
    elsewhere = {name for path in others for name in reading.findall(path.read_text())}
    prompts = {"PATTER_SYSTEM_PROMPT", "PATTER_FIRST_MESSAGE"}  # which `load` puts together
    assert {*reading.findall(loading.read_text()), *prompts} - elsewhere == SETTINGS.keys() == VALUES.keys()


@pytest.mark.parametrize("variable", VALUES)
def test_a_variable_that_it_does_not_read_is_named_with_the_parameter(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, VALUES[variable])
    (sentence,) = unread(load(None), bare())
    assert sentence.startswith(f"{variable} is set, but the phone of a program has its own settings: write ")
    assert sentence.endswith(f"{SETTINGS[variable].instead} there.")
    assert VALUES[variable] not in sentence.replace(variable, "")


def test_variables_that_it_does_read_are_not_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for variable, value in READ.items():
        monkeypatch.setenv(variable, value)
    (folder / "patter.toml").write_text('host = "127.0.0.1"\nport = 8004\nconfigure_number = true\n')
    assert list(unread(load(None), bare())) == []


def test_what_the_program_reads_itself_is_not_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for variable, value in {**VALUES, "PATTER_CARRIER": "fake", "PATTER_ENGINE": "fake"}.items():
        monkeypatch.setenv(variable, value)
    for variable in ("PATTER_APPS", "PATTER_STORE"):
        monkeypatch.delenv(variable)
    (folder / "patter.toml").write_text('[[sinks]]\nname = "memory"\n[redaction]\ntranscripts = true\nnumbers = "all"')
    phone = Patter(
        carrier=FakeCarrier(),
        phone_number=VALUES["PATTER_PHONE_NUMBER"],
        webhook_url=VALUES["PATTER_WEBHOOK_URL"],
        notice=VALUES["PATTER_NOTICE"],
        sinks=[MemorySink()],
        redaction=Redaction(transcripts=True, numbers="all"),
        registry=Registry(),
    )
    phone.agent(engine=FakeEngine(), system_prompt="Be brief.", first_message="Hello.")
    assert list(unread(load(None), phone)) == []


def test_what_is_in_the_file_is_named_by_its_keys(folder: Path) -> None:
    (folder / "patter.toml").write_text(
        'port = 8004\nnotice = "Hi."\n[redaction]\ntranscripts = true\n[limits]\ncalls = 3\n[[sinks]]\nname = "wav"'
    )
    (sentence,) = unread(load(None), bare())
    assert "does not read those of patter.toml: notice, sinks, redaction, limits. Write them" in sentence
