"""`Plivo.check()`, for `patter doctor`: each fault of the account's settings is found."""

from __future__ import annotations

import pytest

from patter_core.checks import Level
from patter_plivo import Plivo
from patter_plivo.testing import PlivoEmulator
from patter_plivo.testing.account import EmulatedApplication, EmulatedNumber

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("urls", "level", "what"),
    [
        (["https://voice.example/webhooks/plivo/voice?x=1", ""], Level.OK, "1 of 2 numbers of the account"),
        (["https://demo.example/x"], Level.PROBLEM, "None of the account's numbers points"),
        ([], Level.PROBLEM, "The account has no phone number."),
    ],
)
async def test_the_numbers_that_point_here_are_counted(urls: list[str], level: Level, what: str) -> None:
    async with PlivoEmulator() as plivo:
        account = plivo.api.account
        account.applications = [
            EmulatedApplication(app_name=str(place), answer_url=url, app_id=str(place))
            for place, url in enumerate(urls)
        ]
        account.numbers = [EmulatedNumber(number=f"1500555000{place}", app_id=str(place)) for place in range(len(urls))]
        accepted, counted = await plivo.carrier().check()
    assert (accepted.level, accepted.what) == (Level.OK, "Plivo accepts the credentials.")
    assert (counted.level, counted.what[: len(what)]) == (level, what)


async def test_wrong_credentials_and_no_network_are_problems() -> None:
    async with PlivoEmulator() as plivo:
        stranger = Plivo(plivo.auth_id, "wrong", base_url=plivo.base_url)
        (refused,) = await stranger.check()
    (away,) = await stranger.check()
    assert refused.level is away.level is Level.PROBLEM
    assert "auth_token" in refused.remedy
