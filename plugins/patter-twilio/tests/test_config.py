from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError
from patter_twilio.config import api_url, read_account


def test_an_account_shows_nothing_of_itself() -> None:
    account = read_account(
        account_sid="AC1", auth_token="secret", api_key="", api_secret="", region="", edge="", base_url=""
    )
    assert repr(account) == "<Account>"
    assert account.base_url == "https://api.twilio.com"


@pytest.mark.parametrize(("region", "edge"), [("IE1", ""), ("", "a.b"), ("x/y", "dublin")])
def test_names_that_are_none_lead_nowhere(region: str, edge: str) -> None:
    with pytest.raises(ConfigurationError):
        api_url("", region=region, edge=edge)


def test_a_base_url_wins() -> None:
    assert api_url("http://127.0.0.1:9/", region="ie1", edge="dublin") == "http://127.0.0.1:9"
