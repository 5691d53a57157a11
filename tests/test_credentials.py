"""Every credential of every vendor is looked at when a carrier or an engine is made, and told by its variable."""

from __future__ import annotations

import base64
import functools
import inspect

import pytest

from patter_core import Registry
from patter_core.errors import ConfigurationError, SettingMissing
from patter_deepgram import DeepgramSTT, DeepgramTTS
from patter_elevenlabs import ElevenLabsSTT, ElevenLabsTTS
from patter_openai import OpenAILLM
from patter_vonage.testing.keys import new_key

VALID = {
    "DEEPGRAM_API_KEY": "0123456789abcdef",
    "ELEVENLABS_AGENT_ID": "agent_0123",
    "ELEVENLABS_API_KEY": "sk_0123",
    "OPENAI_API_KEY": "sk-0123",
    "PLIVO_AUTH_ID": "MA012345678901234567",
    "PLIVO_AUTH_TOKEN": "0123456789abcdef",
    "PLIVO_OTHER_AUTH_TOKENS": "a123456789abcdef",
    "TELNYX_API_KEY": "KEY0123_abc",
    "TELNYX_CONNECTION_ID": "0123456789",
    "TELNYX_PUBLIC_KEY": base64.b64encode(b"0123" * 8).decode(),
    "TWILIO_ACCOUNT_SID": "AC" + "01234567" * 4,
    "TWILIO_API_KEY": "SK" + "01234567" * 4,
    "TWILIO_API_SECRET": "b123456789abcdef",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef",
    "TWILIO_OTHER_AUTH_TOKENS": "c123456789abcdef",
    "VONAGE_API_KEY": "a1b2c3d4",
    "VONAGE_API_SECRET": "My0wnS3cret",
    "VONAGE_APPLICATION_ID": "78d335fa-323d-0114-9c3d-d6f0d48968cf",
    "VONAGE_OTHER_SIGNATURE_SECRETS": "the secret that comes next",
    "VONAGE_SIGNATURE_SECRET": "a secret of 32 or more characters",
}
PARTS = [DeepgramSTT, DeepgramTTS, ElevenLabsSTT, ElevenLabsTTS, OpenAILLM]
OFFERS = [offer.cls for plugin in Registry.discover().plugins for offer in plugin.offers]
CLASSES = [*{cls for cls in OFFERS if getattr(cls, "credentials", ())}, *PARTS]
PLACEHOLDERS = {
    "a variable": "${ACME_KEY:-}",
    "a variable without braces": "$ACME_KEY",
    "yours": "your_secret",
    "dots": "KEY…",
    "a character": "x" * 32,
}


@functools.cache
def private_key() -> str:
    return new_key()[0]


def variables_of(cls: type) -> list[str]:
    """Returns the credentials that the class reads: their names begin with its vendor's."""
    vendor = inspect.getmodule(cls).__name__.partition(".")[0].removeprefix("patter_").upper()  # type: ignore[union-attr]
    parts = {"ELEVENLABS_AGENT_ID"} if cls in PARTS else set()
    return sorted(name for name in VALID if name.startswith(f"{vendor}_") and name not in parts)


CASES = [(cls, variable) for cls in sorted(CLASSES, key=lambda cls: cls.__name__) for variable in variables_of(cls)]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**VALID, "VONAGE_PRIVATE_KEY": private_key()}.items():
        monkeypatch.setenv(name, value)


def test_each_credential_is_tried() -> None:
    needed = {variable for cls in OFFERS for variable in getattr(cls, "credentials", ())}
    assert needed - {"VONAGE_PRIVATE_KEY"} <= {variable for _, variable in CASES} == VALID.keys()


@pytest.mark.parametrize("value", PLACEHOLDERS.values(), ids=PLACEHOLDERS.keys())
@pytest.mark.parametrize(("cls", "variable"), CASES)
def test_a_placeholder_is_told_by_the_variable_that_holds_it(
    monkeypatch: pytest.MonkeyPatch, cls: type, variable: str, value: str
) -> None:
    cls()  # all is right
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as error:
        cls()
    assert str(error.value).startswith(f"{variable} is not ")
    assert not isinstance(error.value, SettingMissing)
    assert value not in str(error.value)


@pytest.mark.parametrize("value", ["not a key", "nowhere/private.key"])
def test_the_key_of_an_application_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    (vonage,) = (cls for cls in OFFERS if cls.__name__ == "Vonage")
    monkeypatch.setenv("VONAGE_PRIVATE_KEY", value)
    with pytest.raises(ConfigurationError, match=r"^VONAGE_PRIVATE_KEY cannot be read"):
        vonage()
    monkeypatch.setenv("VONAGE_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----")
    with pytest.raises(ConfigurationError, match=r"^VONAGE_PRIVATE_KEY is not the private key"):
        vonage()
