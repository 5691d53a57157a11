"""`Telnyx.check()`, for `patter doctor`: each fault of the account's settings is found."""

from __future__ import annotations

import pytest

from patter_core.checks import Level
from patter_telnyx import Telnyx
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio

URL = "https://voice.example/webhooks/telnyx/voice?x=1"


@pytest.mark.parametrize(
    ("pointed", "level", "what"),
    [
        ([True, False], Level.OK, "1 of 2 numbers of the account points at the application."),
        ([False], Level.PROBLEM, "None of the account's numbers points at the application."),
        ([], Level.PROBLEM, "The account has no phone number."),
    ],
)
async def test_the_numbers_that_point_here_are_counted(pointed: list[bool], level: Level, what: str) -> None:
    async with TelnyxEmulator() as telnyx:
        telnyx.api.application.webhook_event_url = URL
        telnyx.api.numbers = [
            EmulatedNumber(
                id=str(place), phone_number=f"+1500555000{place}", connection_id=telnyx.connection_id if here else "old"
            )
            for place, here in enumerate(pointed)
        ]
        accepted, counted = await telnyx.carrier().check()
    assert (accepted.level, accepted.what) == (Level.OK, "Telnyx accepts the key, and has the application.")
    assert (counted.level, counted.what) == (level, what)


async def test_an_application_whose_webhook_is_elsewhere_is_a_problem() -> None:
    async with TelnyxEmulator() as telnyx:
        _, elsewhere, _ = await telnyx.carrier().check()
    assert (elsewhere.level, bool(elsewhere.remedy)) == (Level.PROBLEM, True)


async def test_wrong_credentials_and_no_network_are_problems() -> None:
    async with TelnyxEmulator() as telnyx:
        stranger = Telnyx("wrong", telnyx.connection_id, telnyx.public_key, base_url=telnyx.base_url)
        (refused,) = await stranger.check()
    (away,) = await stranger.check()
    assert refused.level is away.level is Level.PROBLEM
    assert refused.remedy
