from __future__ import annotations

from typing import Any

import pytest
from twilio.rest import Client

from patter_core.errors import ConfigurationError
from patter_twilio import Twilio
from patter_twilio.config import Account, api_url, read_account, read_other_tokens
from patter_twilio.testing import ACCOUNT_SID

SID, KEY, TOKEN = ACCOUNT_SID, "SK" + 32 * "1", "auth-token"
DIGITS = "0123456789abcdefABCDEF0123456789"


def account(*, sid: str = SID, token: str = TOKEN, key: str = "", secret: str = "") -> Account:
    return read_account(account_sid=sid, auth_token=token, api_key=key, api_secret=secret)


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "API_KEY", "API_SECRET", "REGION", "EDGE"):
        monkeypatch.setenv(f"TWILIO_{name}", {"ACCOUNT_SID": SID, "API_KEY": KEY}.get(name, name.lower()))
    found = read_account()
    assert (found.account_sid, found.auth_token, found.credentials) == (SID, "auth_token", (KEY, "api_secret"))
    assert (found.region, found.edge) == ("region", "edge")
    assert read_account(account_sid=f"AC{DIGITS}").account_sid == f"AC{DIGITS}"


@pytest.mark.parametrize(
    ("sid", "token", "parts"),
    [
        ("", TOKEN, ["Twilio(account_sid=…)", "TWILIO_ACCOUNT_SID", "console"]),
        (SID, "", ["Twilio(auth_token=…)", "TWILIO_AUTH_TOKEN", "console"]),
    ],
)
def test_a_missing_or_wrong_value_is_an_error_with_a_remedy(sid: str, token: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(sid=sid, token=token)
    assert all(part in str(error.value) for part in parts)


WRONG = {
    "auth token": (
        DIGITS,
        "32 characters: hexadecimal digits alone, which is what an auth token looks like",
    ),
    "phone number": (f"PN{DIGITS}", "34 characters: the SID of a phone number (PN…)"),
    "call": (f"CA{DIGITS}", "34 characters: the SID of something else"),
    "API key cut": (f"SK{DIGITS[:-1]}", "33 characters: AC or SK, but not 32 hexadecimal digits after it"),
    "placeholder": (f"AC{32 * 'x'}", "34 characters: AC or SK, but not 32 hexadecimal digits after it"),
    "two lines": (f"AC{DIGITS[:-1]}\n{DIGITS}", "66 characters"),
    "secret": ("s3cret-of-a-key", "15 characters"),
}


@pytest.mark.parametrize(("value", "got"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_sid_is_told_by_its_kind_and_never_shown(value: str, got: str) -> None:
    for parameter, prefix in (("account_sid", "AC"), ("api_key", "SK")):
        with pytest.raises(ConfigurationError) as error:
            read_account(**{"account_sid": SID, "auth_token": TOKEN, "api_secret": "s", parameter: value})
        said = str(error.value)
        assert f"Twilio({parameter}=…) is not the SID of" in said
        assert (error.value.expected, error.value.got) == (f"{prefix} and 32 hexadecimal digits", got)
        assert "Twilio's console" in error.value.remedy
        assert value not in said


def test_the_sids_of_an_account_and_of_an_api_key_are_told_apart() -> None:
    with pytest.raises(ConfigurationError, match=r"Got 34 characters: the SID of an API key \(SK…\)"):
        account(sid=KEY)
    with pytest.raises(ConfigurationError, match=r"Got 34 characters: the SID of an account \(AC…\)"):
        account(key=SID, secret="s")


@pytest.mark.parametrize(
    ("key", "secret", "parts"),
    [
        (KEY, "", ["Twilio(api_secret=…)", "TWILIO_API_SECRET"]),
        ("", "s", ["Twilio(api_key=…)", "TWILIO_API_KEY"]),
    ],
)
def test_an_api_key_needs_both_halves(key: str, secret: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(key=key, secret=secret)
    assert all(part in str(error.value) for part in parts)


def test_requests_use_the_api_key_if_there_is_one() -> None:
    assert account().credentials == (SID, TOKEN)
    assert account(key=KEY, secret="s").credentials == (KEY, "s")


@pytest.mark.parametrize(
    ("region", "edge"), [("", ""), ("ie1", "dublin"), ("au1", ""), ("", "sydney"), ("us1", "ashburn")]
)
def test_region_and_edge_lead_to_the_address_of_twilios_own_library(region: str, edge: str) -> None:
    url = Client(SID, "token", region=region or None, edge=edge or None).get_hostname("https://api.twilio.com")
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


NO_TOKENS = {
    "account": (f"AC{DIGITS}", "the SID of an account (AC…)"),
    "API key": (f"SK{DIGITS}", "the SID of an API key (SK…)"),
    "phone number": (f"PN{DIGITS}", "the SID of a phone number (PN…)"),
    "SID in lower case": (f"ac{DIGITS}", "a SID in lower case: its two letters are capitals"),
    "quoted": (f"“{DIGITS}”", ""),
    "quoted plainly": (f'"{DIGITS}"', "they begin with a quotation mark"),
    "two words": (f"{DIGITS} {DIGITS}", ""),
    "key of another service": ("sk-proj-0123", "they begin with sk, as keys of other services do"),
}


IS_NOT = {
    "auth_token": "Twilio(auth_token=…) is not an auth token.",
    "api_secret": "Twilio(api_secret=…) is not the secret of an API key.",
    "other_auth_tokens": "Twilio(other_auth_tokens=…)[1] is not an auth token.",
}


@pytest.mark.parametrize("parameter", IS_NOT)
@pytest.mark.parametrize(("value", "kind"), NO_TOKENS.values(), ids=NO_TOKENS.keys())
def test_what_is_surely_no_token_is_told_by_its_kind_and_never_shown(parameter: str, value: str, kind: str) -> None:
    given: dict[str, Any] = {"auth_token": TOKEN, "api_key": KEY, "api_secret": "s"}
    with pytest.raises(ConfigurationError) as error:
        Twilio(SID, **{**given, parameter: (TOKEN, value) if parameter == "other_auth_tokens" else value})
    assert IS_NOT[parameter] in str(error.value)
    assert kind in error.value.got
    assert value not in str(error.value)


@pytest.mark.parametrize("token", [DIGITS, TOKEN, DIGITS.lower(), "A1" * 16])
def test_a_token_of_another_form_may_be_one(token: str) -> None:
    assert account(token=f" {token}\n", key=KEY, secret=token).auth_token == token
    assert read_other_tokens([token]) == (token,)
