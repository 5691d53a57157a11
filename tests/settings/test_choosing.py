"""Which carrier and engine are meant where none is named."""

from __future__ import annotations

import importlib

import pytest

from patter_browser import Browser
from patter_core import Registry
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, SettingMissing
from patter_core.settings.model import PluginConfig
from patter_core.settings.plugins import make_carrier, make_engine
from patter_core.testing.emulator import CarrierEmulator, EngineEmulator
from patter_openai import OpenAIRealtime
from patter_telnyx import Telnyx
from patter_twilio import Twilio

TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + 32 * "0", "TWILIO_AUTH_TOKEN": 4 * "01234567"}
CLASSES = [
    offer.cls
    for plugin in Registry.discover().plugins
    for offer in plugin.offers
    if issubclass(offer.cls, Carrier | Engine) and getattr(offer.cls, "has_api", True)
]


def registry(*left_out: str) -> Registry:
    return Registry.discover(disabled=left_out)


def test_the_carrier_whose_credentials_are_there_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    assert isinstance(make_carrier(registry(), PluginConfig()), Twilio)


def test_a_carrier_that_needs_none_is_meant_only_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match="No carrier is named"):
        make_carrier(registry(), PluginConfig())
    assert isinstance(make_carrier(registry(), PluginConfig("browser")), Browser)


def test_so_is_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "key")  # its agent's id is missing
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with pytest.raises(ConfigurationError, match="credentials of openai-live and openai-realtime"):
        make_engine(registry(), PluginConfig())
    assert isinstance(make_engine(registry(), PluginConfig("openai-realtime")), OpenAIRealtime)


def test_credentials_of_two_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**TWILIO, "TELNYX_API_KEY": "KEY", "TELNYX_CONNECTION_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", "e" * 43 + "=")
    with pytest.raises(ConfigurationError, match=r"none is chosen.*Got credentials of telnyx and twilio.*--carrier"):
        make_carrier(registry(), PluginConfig())
    assert isinstance(make_carrier(registry(), PluginConfig("telnyx")), Telnyx)


def test_without_credentials_each_one_is_told_with_its_variables() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_engine(registry(), PluginConfig())
    first, elevenlabs, *others = str(caught.value).splitlines()
    assert "Use --engine NAME, PATTER_ENGINE," in first
    assert elevenlabs.startswith("  elevenlabs: ELEVENLABS_API_KEY and ELEVENLABS_AGENT_ID are missing. You find the")
    assert [line.partition(".")[0] for line in others] == [
        "  openai-live: OPENAI_API_KEY is missing",
        "  openai-realtime: OPENAI_API_KEY is missing",
    ]


MEANT = {
    "a part of it": ({"ELEVENLABS_API_KEY": "key"}, r"variable ELEVENLABS_AGENT_ID\..*elevenlabs is meant, because"),
    "misspelt": ({"ELEVEN_LABS_API_KEY": "key"}, "ELEVEN_LABS_API_KEY is set. Did you mean ELEVENLABS_API_KEY"),
}


@pytest.mark.parametrize(("environment", "said"), MEANT.values(), ids=MEANT.keys())
def test_one_with_some_of_its_variables_is_meant(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingMissing, match=f"(?s){said}"):
        make_engine(registry(), PluginConfig())


def test_so_is_one_with_a_malformed_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TWILIO:
        monkeypatch.setenv(name, "wrong")
    with pytest.raises(ConfigurationError, match=r"(?s)not the SID of an account.*because TWILIO_ACCOUNT_SID and"):
        make_carrier(registry(), PluginConfig())


def test_of_several_with_some_of_their_variables_each_is_told_with_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "token")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "token")
    said = "(?s)plivo: PLIVO_AUTH_TOKEN is set; PLIVO_AUTH_ID is missing.*telnyx: .*TWILIO_AUTH_TOKEN is set"
    with pytest.raises(ConfigurationError, match=said):
        make_carrier(registry(), PluginConfig())


@pytest.mark.parametrize("cls", CLASSES, ids=[cls.__name__ for cls in CLASSES])
def test_the_variables_of_a_class_are_those_without_which_it_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, cls: type[Carrier | Engine]
) -> None:
    module, _, name = cls.emulator.partition(":")
    emulator: CarrierEmulator | EngineEmulator = getattr(importlib.import_module(module), name)()
    for variable in cls.credentials:
        monkeypatch.setenv(variable, emulator.environment[variable])
    cls()
    for variable in cls.credentials:
        with monkeypatch.context() as without:
            without.delenv(variable)
            with pytest.raises(ConfigurationError, match=f"environment variable {variable}"):
                cls()
