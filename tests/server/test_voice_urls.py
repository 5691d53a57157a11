"""What is told of where carriers reach a phone."""

from __future__ import annotations

import pytest

from patter_browser import Browser
from patter_core.server.voice_urls import ready_text
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.fakes import FakeCarrier
from patter_plivo.testing import PlivoEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from patter_vonage.testing import VonageEmulator


def test_an_address_that_carriers_do_not_reach_is_told() -> None:
    carriers = {"fake": FakeCarrier()}
    assert "http://localhost:8000 is not https" in ready_text(carriers, "http://127.0.0.1:1", "http://localhost:8000")
    for base in ("https://voice.example.org", ""):
        assert "not https" not in ready_text(carriers, "http://127.0.0.1:1", base)


POINTED: dict[type[CarrierEmulator], str] = {
    TwilioEmulator: "your number's voice webhook at https://voice.example.org/webhooks/twilio/voice",
    TelnyxEmulator: "the webhook of your Voice API application at https://voice.example.org/webhooks/telnyx/voice",
    VonageEmulator: "your application's answer URL at https://voice.example.org/webhooks/vonage/voice",
    PlivoEmulator: "your application's answer URL at https://voice.example.org/webhooks/plivo/voice",
}


@pytest.mark.anyio
@pytest.mark.parametrize("emulator", POINTED)
async def test_what_is_to_be_pointed_here_is_told_in_the_words_of_its_vendor(emulator: type[CarrierEmulator]) -> None:
    async with emulator() as vendor:
        one = vendor.carrier()
        told = ready_text({one.name: one}, "http://127.0.0.1:1", "https://voice.example.org")
    assert told == f"Ready for calls at http://127.0.0.1:1.\nPoint {POINTED[emulator]}."


def test_what_is_to_be_pointed_is_told_once_for_carriers_that_call_it_the_same() -> None:
    carriers = {"bell": FakeCarrier(), "horn": FakeCarrier(), "browser": Browser()}
    told = ready_text(carriers, "http://127.0.0.1:1", "https://a.example")
    said = (
        "your number's voice webhook at https://a.example/webhooks/bell/voice and https://a.example/webhooks/horn/voice"
    )
    assert told.endswith(f"\nPoint {said}.")


class Applications(FakeCarrier):
    voice_setting = "the application's URL"


def test_what_carriers_call_otherwise_is_told_of_each() -> None:
    told = ready_text({"bell": FakeCarrier(), "horn": Applications()}, "http://127.0.0.1:1", "https://a.example")
    assert (
        "Point your number's voice webhook at https://a.example/webhooks/bell/voice, and the application's URL at "
        in told
    )
