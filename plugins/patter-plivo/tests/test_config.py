from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError
from patter_plivo.config import read_account

AUTH_ID = "MA" + "A1" * 9


def test_an_account_is_completed_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_ID", AUTH_ID)
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "from-env")
    account = read_account()
    assert (account.auth_id, account.auth_token) == (AUTH_ID, "from-env")
    assert account.base_url == "https://api.plivo.com"
    assert repr(account) == "<Account>"


def test_parameters_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_ID", AUTH_ID)
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "from-env")
    monkeypatch.setenv("PLIVO_BASE_URL", "http://127.0.0.1:9/")
    account = read_account(auth_id="SA" + "0" * 18, auth_token="given")
    assert (account.auth_id, account.auth_token) == ("SA" + "0" * 18, "given")
    assert account.base_url == "http://127.0.0.1:9"


@pytest.mark.parametrize("auth_id", ["AC" + "0" * 18, "MA1", "MA" + "a" * 18, AUTH_ID + "0"])
def test_what_is_no_auth_id_is_an_error_that_does_not_repeat_it(auth_id: str) -> None:
    with pytest.raises(ConfigurationError, match="not the Auth ID") as failure:
        read_account(auth_id=auth_id, auth_token="secret")
    assert failure.value.got == f"{len(auth_id)} characters"


@pytest.mark.parametrize(("given", "missing"), [("", "PLIVO_AUTH_ID"), (AUTH_ID, "PLIVO_AUTH_TOKEN")])
def test_a_missing_value_is_an_error_that_says_where_to_find_it(given: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing) as failure:
        read_account(auth_id=given)
    assert "console" in failure.value.remedy


def test_a_base_url_is_an_http_address() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        read_account(auth_id=AUTH_ID, auth_token="secret", base_url="api.plivo.com")


@pytest.mark.parametrize("value", ["sk-0123", "sk_0123", '"0123"', "SK" + 32 * "0", "MA" + 18 * "0"])
def test_what_is_surely_another_value_is_not_taken_as_the_key_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an (API key|auth token)") as error:
        read_account(auth_id=AUTH_ID, auth_token=value)
    assert value not in str(error.value)
