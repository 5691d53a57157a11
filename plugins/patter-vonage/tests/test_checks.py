"""`Vonage.check()`, for `patter doctor`: each fault of the account's settings is found."""

from __future__ import annotations

import dataclasses

import pytest

from patter_core.checks import Level
from patter_vonage.testing import EmulatedNumber, VonageEmulator
from patter_vonage.testing.keys import new_key

pytestmark = pytest.mark.anyio

URL = "https://voice.example/webhooks/vonage/voice"


@pytest.mark.parametrize(
    ("linked", "level", "what"),
    [
        ([True, False], Level.OK, "1 of 2 numbers of the account points at the application."),
        ([False], Level.PROBLEM, "None of the account's numbers points at the application."),
        ([], Level.PROBLEM, "The account has no phone number."),
    ],
)
async def test_the_numbers_that_are_linked_are_counted(linked: list[bool], level: Level, what: str) -> None:
    async with VonageEmulator() as vonage:
        vonage.add_number("+15005550000")
        await vonage.carrier().set_voice_url("+15005550000", URL)
        vonage.api.numbers = [
            EmulatedNumber(msisdn=f"1500555000{place}", app_id=vonage.application_id if here else "old")
            for place, here in enumerate(linked)
        ]
        key, account, counted = await vonage.carrier().check()
    assert (key.level, key.what) == (Level.OK, "Vonage accepts the private key.")
    assert (account.level, account.what) == (Level.OK, "Vonage accepts the API key, and has the application.")
    assert (counted.level, counted.what) == (level, what)


async def test_webhooks_that_are_elsewhere_or_not_signed_are_told() -> None:
    async with VonageEmulator() as vonage:
        _, _, elsewhere, unsigned, _ = await vonage.carrier().check()
        assert (elsewhere.level, unsigned.level) == (Level.PROBLEM, Level.PROBLEM)
        assert "patter vonage webhooks" in elsewhere.remedy
        vonage.api.application.fields = {
            "name": "x",
            "capabilities": {
                "voice": {
                    "signed_callbacks": True,
                    "webhooks": {
                        "answer_url": {"address": URL, "http_method": "GET"},
                        "event_url": {"address": "https://voice.example/webhooks/vonage/event"},
                    },
                }
            },
        }
        _, _, method, _ = await vonage.carrier().check()
    assert (method.level, "POST" in method.what) == (Level.PROBLEM, True)


async def test_wrong_keys_and_no_network_are_problems_each_with_a_remedy() -> None:
    async with VonageEmulator() as vonage:
        stranger = dataclasses.replace(vonage.carrier(), private_key=new_key()[0], api_secret="wrong")
        refused = await stranger.check()
    away = await stranger.check()
    assert [result.level for result in (*refused, *away)] == [Level.PROBLEM] * 4
    assert ["private_key" in refused[0].remedy, "api_secret" in refused[1].remedy] == [True, True]
