"""Which carrier and engine are meant where none is named, and options of their classes."""

from __future__ import annotations

import pytest

from patter_browser import Browser
from patter_core import Registry
from patter_core.errors import ConfigurationError
from patter_core.settings.model import Option, PluginConfig
from patter_core.settings.plugins import make_carrier, make_engine
from patter_openai import OpenAIRealtime
from patter_telnyx import Telnyx
from patter_twilio import Twilio

TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + 32 * "0", "TWILIO_AUTH_TOKEN": 32 * "0"}


def registry(*left_out: str) -> Registry:
    return Registry.discover(disabled=left_out)


def test_the_carrier_whose_credentials_are_there_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    assert isinstance(make_carrier(registry(), PluginConfig()), Twilio)


def test_a_carrier_that_needs_none_is_meant_only_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match="none is chosen"):
        make_carrier(registry(), PluginConfig())
    assert isinstance(make_carrier(registry(), PluginConfig("browser")), Browser)


def test_so_is_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "key")  # its agent's id is missing
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with pytest.raises(ConfigurationError, match="credentials of openai-live and openai-realtime"):
        make_engine(registry(), PluginConfig())
    assert isinstance(make_engine(registry(), PluginConfig("openai-realtime")), OpenAIRealtime)


def test_credentials_of_two_are_told_and_of_none_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"none is chosen.*telnyx: Telnyx\(api_key=…\) is missing"):
        make_carrier(registry(), PluginConfig())
    for name, value in {**TWILIO, "TELNYX_API_KEY": "KEY", "TELNYX_CONNECTION_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", "e" * 43 + "=")
    with pytest.raises(ConfigurationError, match=r"none is chosen.*Got credentials of telnyx and twilio.*--carrier"):
        make_carrier(registry(), PluginConfig())
    assert isinstance(make_carrier(registry(), PluginConfig("telnyx")), Telnyx)


WRONG: dict[str, tuple[dict[str, Option], str]] = {
    "one text for a list": ({"other_auth_tokens": "next"}, r"other_auth_tokens=…\) is of the wrong type"),
    "an unknown one": ({"acount_sid": "AC1"}, "no option “acount_sid”.*Did you mean account_sid"),
    "a number for a text": ({"region": 5}, r"region=…\) is of the wrong type. Expected a text. Got int"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_option_is_told(monkeypatch: pytest.MonkeyPatch, options: dict[str, Option], said: str) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said):
        make_carrier(registry(), PluginConfig("twilio", options))


def test_a_list_is_taken_where_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    carrier = make_carrier(registry(), PluginConfig("twilio", {"other_auth_tokens": ["next", "last"]}))
    assert isinstance(carrier, Twilio)
    assert carrier.other_auth_tokens == ("next", "last")
