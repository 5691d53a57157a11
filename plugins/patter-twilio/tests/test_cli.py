"""`patter twilio` against the emulator's API, as a user types it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_twilio.testing import EmulatedNumber, TwilioEmulator

pytestmark = pytest.mark.anyio

NUMBER = "+15550001234"
URL = "https://phone.example/webhooks/twilio/voice"


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioEmulator]:
    async with TwilioEmulator() as emulator:
        emulator.api.numbers = [
            EmulatedNumber(phone_number=NUMBER, friendly_name="Front desk", voice_url="https://demo.twilio.com/x"),
            EmulatedNumber(phone_number="+15550005678"),
        ]
        yield emulator


async def patter(twilio: TwilioEmulator, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[bytes]:
    with anyio.fail_after(30):
        return await anyio.run_process(
            [sys.executable, "-c", "from patter_core.cli import main; main()", "twilio", *arguments],
            input=answer.encode(),
            env={**os.environ, **twilio.environment, "COLUMNS": "200"},
            check=False,
        )


async def test_numbers_are_listed_with_where_they_point(twilio: TwilioEmulator) -> None:
    shown = (await patter(twilio, "numbers")).stdout.decode()
    for part in (NUMBER, "Front desk", "https://demo.twilio.com/x", "+15550005678", "nowhere"):
        assert part in shown
    twilio.api.numbers = []
    assert b"no numbers" in (await patter(twilio, "numbers")).stdout


async def test_a_number_is_pointed_here_after_asking(twilio: TwilioEmulator) -> None:
    twilio.api.numbers[0].voice_application_sid = "AP1"  # it would win over the URL
    refused = await patter(twilio, "point", NUMBER, "phone.example", answer="n\n")
    assert refused.returncode == 1
    assert twilio.api.numbers[0].voice_url == "https://demo.twilio.com/x"
    done = await patter(twilio, "point", NUMBER, "phone.example", answer="y\n")
    assert (done.returncode, twilio.api.numbers[0].voice_url) == (0, URL)
    assert twilio.api.numbers[0].voice_application_sid == ""
    assert b"https://demo.twilio.com/x" in done.stdout  # what it was
    again = await patter(twilio, "point", NUMBER, "https://phone.example")
    assert b"already" in again.stdout


async def test_a_whole_url_is_taken_as_it_is_without_asking_if_told_so(twilio: TwilioEmulator) -> None:
    done = await patter(twilio, "point", NUMBER, "https://other.example/mine", "--yes")
    assert (done.returncode, twilio.api.numbers[0].voice_url) == (0, "https://other.example/mine")


@pytest.mark.parametrize(("number", "url"), [("+15559999999", "phone.example"), (NUMBER, "ftp://phone.example")])
async def test_what_cannot_be_is_told_and_nothing_is_changed(twilio: TwilioEmulator, number: str, url: str) -> None:
    result = await patter(twilio, "point", number, url, "--yes")
    assert (result.returncode, result.stderr.startswith(b"patter: ")) == (1, True)
    assert twilio.api.numbers[0].voice_url == "https://demo.twilio.com/x"


async def test_wrong_credentials_are_told(twilio: TwilioEmulator) -> None:
    with contextlib.suppress(KeyError):
        del twilio.api.keys[twilio.account_sid]
    result = await patter(twilio, "numbers")
    assert (result.returncode, b"auth_token" in result.stderr) == (1, True)
