"""`Twilio.check()`, for `patter doctor`: each fault of the account's settings is found."""

from __future__ import annotations

import pytest

from patter_core.checks import Level
from patter_twilio import Twilio
from patter_twilio.testing import EmulatedNumber, TwilioEmulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("urls", "level", "what"),
    [
        (["https://voice.example/webhooks/twilio/voice?x=1", ""], Level.OK, "1 of 2 numbers of the account"),
        (["https://demo.twilio.com/x"], Level.PROBLEM, "None of the account's numbers points"),
        ([], Level.PROBLEM, "The account has no phone number."),
    ],
)
async def test_the_numbers_that_point_here_are_counted(urls: list[str], level: Level, what: str) -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.numbers = [
            EmulatedNumber(phone_number=f"+1500555000{place}", voice_url=url) for place, url in enumerate(urls)
        ]
        accepted, counted = await twilio.carrier().check()
    assert (accepted.level, accepted.what) == (Level.OK, "Twilio accepts the credentials.")
    assert (counted.level, counted.what[: len(what)]) == (level, what)


async def test_wrong_credentials_and_no_network_are_problems() -> None:
    async with TwilioEmulator() as twilio:
        stranger = Twilio(twilio.account_sid, "wrong", base_url=twilio.base_url)
        (refused,) = await stranger.check()
    (away,) = await stranger.check()
    assert refused.level is away.level is Level.PROBLEM
    assert refused.remedy


@pytest.mark.parametrize(
    ("base", "number", "level", "what"),
    [
        ("https://voice.example", "", Level.OK, "1 of 2 numbers of the account points at https://voice.example."),
        ("https://voice.example", "+15005550000", Level.OK, "1 of 2"),
        ("https://other.example", "", Level.PROBLEM, "None of the account's numbers points at https://other"),
        ("", "+15005550001", Level.PROBLEM, "The phone's number does not point at Patter."),
        ("", "+15005550009", Level.PROBLEM, "The phone's number is none of the 2 numbers of the account."),
    ],
)
async def test_a_number_has_to_lead_to_the_address_that_is_configured(
    base: str, number: str, level: Level, what: str
) -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.numbers = [
            EmulatedNumber(phone_number="+15005550000", voice_url="https://voice.example/webhooks/twilio/voice"),
            EmulatedNumber(phone_number="+15005550001", voice_url="https://demo.twilio.com/x"),
        ]
        _, counted = await twilio.carrier().check(base, number)
    assert (counted.level, counted.what[: len(what)]) == (level, what)
    assert number[-4:] not in counted.what or not number


@pytest.mark.parametrize(
    ("base", "number", "command"),
    [
        ("", "", "patter twilio point NUMBER PUBLIC-ADDRESS"),
        ("https://other.example", "+15005550000", "patter twilio point +15005550000 https://other.example"),
    ],
)
async def test_the_command_that_points_it_has_what_is_known(base: str, number: str, command: str) -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.numbers = [EmulatedNumber(phone_number="+15005550000", voice_url="https://demo.twilio.com/x")]
        _, counted = await twilio.carrier().check(base, number)
    assert counted.remedy == f"Run `{command}`."
