from __future__ import annotations

import pytest
from twilio.rest import Client

from patter_core.errors import ConfigurationError
from patter_twilio.config import Account, api_url, read_account

SID, TOKEN = "AC" + "0" * 32, "auth-token"


def account(*, sid: str = SID, token: str = TOKEN, key: str = "", secret: str = "") -> Account:
    return read_account(account_sid=sid, auth_token=token, api_key=key, api_secret=secret)


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "API_KEY", "API_SECRET", "REGION", "EDGE"):
        monkeypatch.setenv(f"TWILIO_{name}", {"ACCOUNT_SID": "ACenv", "API_KEY": "SKenv"}.get(name, name.lower()))
    found = read_account()
    assert (found.account_sid, found.auth_token, found.credentials) == ("ACenv", "auth_token", ("SKenv", "api_secret"))
    assert (found.region, found.edge) == ("region", "edge")
    assert read_account(account_sid="ACgiven").account_sid == "ACgiven"


@pytest.mark.parametrize(
    ("sid", "token", "parts"),
    [
        ("", TOKEN, ["Twilio(account_sid=…)", "TWILIO_ACCOUNT_SID", "console"]),
        (SID, "", ["Twilio(auth_token=…)", "TWILIO_AUTH_TOKEN", "console"]),
        ("SK123", TOKEN, ["Twilio(account_sid=…)", "AC and 32 more characters", "'SK'"]),
    ],
)
def test_a_missing_or_wrong_value_is_an_error_with_a_remedy(sid: str, token: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(sid=sid, token=token)
    assert all(part in str(error.value) for part in parts)


@pytest.mark.parametrize(
    ("key", "secret", "parts"),
    [
        ("SK1", "", ["Twilio(api_secret=…)", "TWILIO_API_SECRET"]),
        ("", "s", ["Twilio(api_key=…)", "TWILIO_API_KEY"]),
        ("AC1", "s", ["SK and 32 more characters"]),
    ],
)
def test_an_api_key_needs_both_halves(key: str, secret: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(key=key, secret=secret)
    assert all(part in str(error.value) for part in parts)


def test_requests_use_the_api_key_if_there_is_one() -> None:
    assert account().credentials == (SID, TOKEN)
    assert account(key="SK1", secret="s").credentials == ("SK1", "s")


@pytest.mark.parametrize(
    ("region", "edge"), [("", ""), ("ie1", "dublin"), ("au1", ""), ("", "sydney"), ("us1", "ashburn")]
)
def test_region_and_edge_lead_to_the_address_of_twilios_own_library(region: str, edge: str) -> None:
    url = Client("AC1", "token", region=region or None, edge=edge or None).get_hostname("https://api.twilio.com")
    assert api_url("", region=region, edge=edge) == url


@pytest.mark.parametrize(("region", "edge"), [("IE1", ""), ("", "a.b"), ("x/y", "dublin"), ("", "evil.example/")])
def test_an_invalid_region_or_edge_is_an_error(region: str, edge: str) -> None:
    with pytest.raises(ConfigurationError, match="region" if region else "edge"):
        api_url("", region=region, edge=edge)


def test_a_base_url_takes_precedence_and_must_be_an_http_address() -> None:
    assert api_url("http://127.0.0.1:9/", region="ie1", edge="dublin") == "http://127.0.0.1:9"
    with pytest.raises(ConfigurationError, match="base_url"):
        api_url("api.twilio.com", region="", edge="")


def test_no_secret_is_in_the_repr() -> None:
    assert repr(account()) == "<Account>"
