from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError
from patter_deepgram.config import Service


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="DEEPGRAM_API_KEY"):
        Service.resolve("DeepgramSTT")


def test_the_environment_has_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "secret\n")
    monkeypatch.setenv("DEEPGRAM_BASE_URL", "https://api.eu.deepgram.com/")
    service = Service.resolve("DeepgramSTT")
    assert service.headers == {"Authorization": "Token secret"}
    assert service.url("/v1/speak", [("a", "b c"), ("a", "&")]) == "wss://api.eu.deepgram.com/v1/speak?a=b+c&a=%26"
    assert "secret" not in repr(service)


@pytest.mark.parametrize("key", ["a b", "schlüssel", "a\nb"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Service.resolve("DeepgramSTT", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ws://host",
        "https://",
        "https://host?key=secret",
        "https://user:secret@host",
        "https://[::1",
        "https://host:0",
        "https://host#secret",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Service.resolve("DeepgramTTS", api_key="key", base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["sk-0123", "sk_0123", '"0123"', "SK" + 32 * "0"])
def test_what_is_surely_another_value_is_not_taken_as_the_key_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an (API key|auth token)") as error:
        Service.resolve("DeepgramSTT", api_key=value)
    assert value not in str(error.value)
