"""`patter plivo` against the emulator's API. The commands' own tests are the core's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread
import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_plivo import cli
from patter_plivo.testing import PlivoEmulator
from patter_plivo.testing.account import EmulatedApplication, EmulatedNumber

pytestmark = pytest.mark.anyio

NUMBER = "+15550001234"
OLD, URL = "https://demo.example/x", "https://phone.example/webhooks/plivo/voice"


@pytest.fixture
async def plivo(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PlivoEmulator]:
    async with PlivoEmulator() as emulator:
        for variable, value in emulator.environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("COLUMNS", "120")
        account = emulator.api.account
        account.applications = [EmulatedApplication(app_name="Demo", answer_url=OLD, app_id="1")]
        account.numbers = [EmulatedNumber(number=NUMBER[1:], alias="Front desk", app_id="1")]
        yield emulator


async def patter(*arguments: str, answer: str = "") -> Result:
    group = click.Group(commands=[cli.plivo])
    runner = CliRunner()
    return await anyio.to_thread.run_sync(lambda: runner.invoke(group, arguments, input=answer))


@pytest.mark.usefixtures("plivo")
async def test_numbers_are_listed_with_where_they_point() -> None:
    result = await patter("plivo", "numbers")
    assert result.exit_code == 0
    assert all(part in result.output for part in (NUMBER, "Front desk", "Demo", OLD))


@pytest.mark.parametrize(("answer", "url"), [("y\n", URL), ("n\n", OLD)], ids=["yes", "no"])
async def test_a_number_is_pointed_after_asking_and_what_it_pointed_at_is_told(
    plivo: PlivoEmulator, answer: str, url: str
) -> None:
    result = await patter("plivo", "point", NUMBER, "phone.example", answer=answer)
    assert f"points at Demo ({OLD}) now, without a fallback." in result.output
    assert plivo.voice_url(NUMBER) == url


async def test_pointing_is_undone_by_the_url_that_was_told(plivo: PlivoEmulator) -> None:
    plivo.api.account.applications[0].answer_url = old = "https://old.example/webhooks/plivo/voice"
    for url in (URL, old):
        result = await patter("plivo", "point", NUMBER, url, "--yes")
        assert result.exit_code == 0
    assert plivo.voice_url(NUMBER) == old


async def test_a_number_of_another_account_is_an_error(plivo: PlivoEmulator) -> None:
    result = await patter("plivo", "point", "+15559999999", "phone.example", "--yes")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert plivo.voice_url(NUMBER) == OLD


@pytest.mark.usefixtures("plivo")
async def test_wrong_credentials_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "wrong")
    result = await patter("plivo", "numbers")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert "auth_token" in str(result.exception)


async def test_missing_credentials_are_an_error_that_says_where_to_find_them() -> None:
    result = await patter("plivo", "numbers")
    assert isinstance(result.exception, ConfigurationError)
    assert "PLIVO_AUTH_ID" in str(result.exception)
