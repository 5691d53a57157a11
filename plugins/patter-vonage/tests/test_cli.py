"""`patter vonage` against the emulator's APIs. The commands for numbers have their own tests in the core."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread
import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_vonage import cli
from patter_vonage.testing import EmulatedNumber, VonageEmulator

pytestmark = pytest.mark.anyio

NUMBER = "+15005550001"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
URL = "https://phone.example/webhooks/vonage/voice"


@pytest.fixture
async def vonage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VonageEmulator]:
    async with VonageEmulator() as emulator:
        for variable in ("VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_BASE_URL"):  # no application is needed
            monkeypatch.setenv(variable, emulator.environment[variable])
        monkeypatch.setenv("COLUMNS", "120")
        emulator.api.numbers = [EmulatedNumber(msisdn=NUMBER[1:], app_id="old")]
        yield emulator


async def patter(*arguments: str, answer: str = "") -> Result:
    group = click.Group(commands=[cli.vonage])
    runner = CliRunner()
    return await anyio.to_thread.run_sync(lambda: runner.invoke(group, arguments, input=answer))


@pytest.mark.usefixtures("vonage")
async def test_numbers_are_listed_with_where_they_point() -> None:
    result = await patter("vonage", "numbers")
    assert result.exit_code == 0
    assert all(part in result.output for part in (NUMBER, "old"))


@pytest.mark.parametrize(("answer", "points_at"), [("y\n", APPLICATION), ("n\n", "old")], ids=["yes", "no"])
async def test_a_number_is_pointed_after_asking(vonage: VonageEmulator, answer: str, points_at: str) -> None:
    result = await patter("vonage", "point", NUMBER, APPLICATION, answer=answer)
    assert "points at old now." in result.output
    assert vonage.api.numbers[0].app_id == points_at


async def test_a_number_is_pointed_at_no_url_which_vonage_would_not_take(vonage: VonageEmulator) -> None:
    result = await patter("vonage", "point", NUMBER, "https://phone.example", "--yes")
    assert isinstance(result.exception, ConfigurationError)
    assert "patter vonage webhooks" in str(result.exception)
    assert vonage.api.numbers[0].app_id == "old"


async def test_webhooks_are_set_after_asking_with_what_they_were(
    vonage: VonageEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VONAGE_APPLICATION_ID", vonage.application_id)
    refused = await patter("vonage", "webhooks", "phone.example", answer="n\n")
    assert "calls: none" in refused.output
    assert vonage.api.application.answer_url == ""
    assert "Done." in (await patter("vonage", "webhooks", "phone.example", answer="y\n")).output
    for address in ("https://phone.example/", URL):
        assert "point there already" in (await patter("vonage", "webhooks", address)).output
    assert vonage.api.application.answer_url == URL
    other = await patter("vonage", "webhooks", "other.example/prefix", "--yes")
    assert "Done." in other.output
    assert vonage.api.application.event_url == "https://other.example/prefix/webhooks/vonage/event"
    assert URL in other.output  # with which the change is undone


async def test_what_is_missing_or_wrong_is_an_error_that_says_so(
    vonage: VonageEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await patter("vonage", "webhooks", "phone.example", "--yes")
    assert isinstance(result.exception, ConfigurationError)
    assert "VONAGE_APPLICATION_ID" in str(result.exception)
    result = await patter("vonage", "webhooks", "ftp://phone.example", "--application", vonage.application_id, "--yes")
    assert isinstance(result.exception, ConfigurationError)
    result = await patter("vonage", "webhooks", "phone.example", "--application", APPLICATION, "--yes")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert "application_id" in str(result.exception)
    monkeypatch.setenv("VONAGE_API_SECRET", "wrong")
    result = await patter("vonage", "numbers")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert "api_secret" in str(result.exception)
    assert vonage.api.application.answer_url == ""


async def test_missing_credentials_are_an_error_that_says_where_to_find_them() -> None:
    result = await patter("vonage", "numbers")
    assert isinstance(result.exception, ConfigurationError)
    assert "VONAGE_API_KEY" in str(result.exception)
