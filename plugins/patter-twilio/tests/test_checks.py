"""`Twilio.check()`, which `patter doctor` asks: each thing that can be wrong at the vendor is found."""

from __future__ import annotations

import pytest

from patter_core.checks import Level
from patter_twilio import Twilio
from patter_twilio.testing import EmulatedNumber, TwilioEmulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        (["https://voice.example/webhooks/twilio/voice?x=1", ""], (Level.OK, "1 of 2 numbers of the account")),
        (["https://demo.twilio.com/x"], (Level.WARNING, "None of the account's 1 numbers points")),
        ([], (Level.WARNING, "The account has no number.")),
    ],
)
async def test_it_counts_the_numbers_that_point_here(urls: list[str], said: tuple[Level, str]) -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.numbers = [
            EmulatedNumber(sid=f"PN{place}", phone_number=f"+1500555000{place}", voice_url=url)
            for place, url in enumerate(urls)
        ]
        found = await twilio.carrier().check()
    assert found[0].what == "Twilio takes the credentials."
    assert (found[1].level, found[1].what[: len(said[1])]) == said


async def test_wrong_credentials_and_no_network_are_problems() -> None:
    async with TwilioEmulator() as twilio:
        stranger = Twilio(twilio.account_sid, "wrong", base_url=twilio.base_url)
        (refused,) = await stranger.check()
    (away,) = await stranger.check()
    assert refused.level is away.level is Level.PROBLEM
    assert refused.remedy
