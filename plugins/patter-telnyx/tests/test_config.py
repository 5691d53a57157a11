from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patter_core.errors import ConfigurationError
from patter_telnyx.config import CHOICES, Account, check_choice, read_account, read_api_key, read_api_url

PUBLIC_KEY = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(b"\x07" * 32).public_key().public_bytes_raw()
).decode()


def account(*, api_key: str = "KEYsecret", connection_id: str = "17", public_key: str = PUBLIC_KEY) -> Account:
    return read_account(api_key=api_key, connection_id=connection_id, public_key=public_key)


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "KEYenv")
    monkeypatch.setenv("TELNYX_CONNECTION_ID", "18")
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", PUBLIC_KEY)
    found = read_account()
    assert (found.api_key, found.connection_id, found.public_key) == ("KEYenv", "18", PUBLIC_KEY)
    assert read_account(connection_id="given").connection_id == "given"


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (("", "17", PUBLIC_KEY), ["Telnyx(api_key=…)", "TELNYX_API_KEY", "API Keys"]),
        (("KEY", "", PUBLIC_KEY), ["Telnyx(connection_id=…)", "TELNYX_CONNECTION_ID", "Programmable Voice"]),
        (("KEY", "17", ""), ["Telnyx(public_key=…)", "TELNYX_PUBLIC_KEY", "Keys & Credentials"]),
        (("KEY", "17", "no key"), ["Telnyx(public_key=…)", "32 bytes in base64"]),
    ],
)
def test_a_missing_or_wrong_value_is_an_error_with_a_remedy(values: tuple[str, str, str], parts: list[str]) -> None:
    api_key, connection_id, public_key = values
    with pytest.raises(ConfigurationError) as error:
        account(api_key=api_key, connection_id=connection_id, public_key=public_key)
    assert all(part in str(error.value) for part in parts)


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("connection_id", "KEY01secret", "11 characters: they look like an API key"),
        ("connection_id", "+15550001234", "12 characters: they look like a number"),
        ("public_key", "KEY01secret", "an API key"),
        ("public_key", base64.b64encode(b"secret").decode(), "6 bytes"),
        ("public_key", "-----BEGIN PUBLIC KEY-----\nsecret", "a key in PEM"),
        ("public_key", "a secret", "8 characters that are not base64"),
    ],
)
def test_what_is_another_value_is_told_by_its_kind_and_never_shown(name: str, value: str, got: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(**{name: value})
    assert error.value.got == got
    assert value not in str(error.value)


def test_a_base_url_takes_precedence_and_must_be_an_http_address() -> None:
    assert read_api_url() == "https://api.telnyx.com"
    assert read_api_url("http://127.0.0.1:9/") == "http://127.0.0.1:9"
    with pytest.raises(ConfigurationError, match="base_url"):
        read_api_url("api.telnyx.com")


@pytest.mark.parametrize("parameter", CHOICES)
def test_a_value_that_is_not_one_of_its_choices_is_an_error_that_names_them(parameter: str) -> None:
    for choice in CHOICES[parameter]:
        check_choice(parameter, choice)
    with pytest.raises(ConfigurationError, match=parameter) as error:
        check_choice(parameter, "G722")
    assert CHOICES[parameter][-1] in str(error.value)


def test_no_secret_is_in_the_repr() -> None:
    assert repr(account()) == "<Account>"


@pytest.mark.parametrize("value", ["sk-0123", "sk_0123", '"0123"', "SK" + 32 * "0"])
def test_what_is_surely_another_value_is_not_taken_as_the_key_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an (API key|auth token)") as error:
        read_api_key(value)
    assert value not in str(error.value)
