"""`patter twilio` against the emulator's API. The commands' own tests are the core's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread
import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_twilio import cli
from patter_twilio.testing import EmulatedNumber, TwilioEmulator

pytestmark = pytest.mark.anyio

NUMBER = "+15550001234"
OLD = "https://demo.twilio.com/x"


@pytest.fixture
async def twilio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwilioEmulator]:
    async with TwilioEmulator() as emulator:
        for variable, value in emulator.environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("COLUMNS", "120")
        emulator.api.numbers = [EmulatedNumber(phone_number=NUMBER, friendly_name="Front desk", voice_url=OLD)]
        yield emulator


async def patter(*arguments: str, answer: str = "") -> Result:
    group = click.Group(commands=[cli.twilio])
    runner = CliRunner()
    return await anyio.to_thread.run_sync(lambda: runner.invoke(group, arguments, input=answer))


@pytest.mark.usefixtures("twilio")
async def test_numbers_are_listed_with_where_they_point() -> None:
    result = await patter("twilio", "numbers")
    assert result.exit_code == 0
    assert all(part in result.output for part in (NUMBER, "Front desk", OLD))


@pytest.mark.parametrize(
    ("answer", "url"), [("y\n", "https://phone.example/webhooks/twilio/voice"), ("n\n", OLD)], ids=["yes", "no"]
)
async def test_a_number_is_pointed_after_asking(twilio: TwilioEmulator, answer: str, url: str) -> None:
    result = await patter("twilio", "point", NUMBER, "phone.example", answer=answer)
    assert f"points at {OLD} now, without a fallback." in result.output
    assert twilio.api.numbers[0].voice_url == url


async def test_a_number_of_another_account_is_an_error(twilio: TwilioEmulator) -> None:
    result = await patter("twilio", "point", "+15559999999", "phone.example", "--yes")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert twilio.api.numbers[0].voice_url == OLD


@pytest.mark.usefixtures("twilio")
async def test_wrong_credentials_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
    result = await patter("twilio", "numbers")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert "auth_token" in str(result.exception)


async def test_missing_credentials_are_an_error_that_says_where_to_find_them() -> None:
    result = await patter("twilio", "numbers")
    assert isinstance(result.exception, ConfigurationError)
    assert "TWILIO_ACCOUNT_SID" in str(result.exception)
