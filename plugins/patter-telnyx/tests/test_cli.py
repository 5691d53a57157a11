"""`patter telnyx` against the emulator's API. The commands' own tests are the core's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread
import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_telnyx import cli
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio

NUMBER = "+15005550001"


@pytest.fixture
async def telnyx(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TelnyxEmulator]:
    async with TelnyxEmulator() as emulator:
        for variable in ("TELNYX_API_KEY", "TELNYX_BASE_URL"):  # no application is needed to set up a number
            monkeypatch.setenv(variable, emulator.environment[variable])
        monkeypatch.setenv("COLUMNS", "120")
        emulator.api.numbers = [EmulatedNumber(id="1", phone_number=NUMBER, connection_id="old")]
        yield emulator


async def patter(*arguments: str, answer: str = "") -> Result:
    group = click.Group(commands=[cli.telnyx])
    runner = CliRunner()
    return await anyio.to_thread.run_sync(lambda: runner.invoke(group, arguments, input=answer))


@pytest.mark.usefixtures("telnyx")
async def test_numbers_are_listed_with_where_they_point() -> None:
    result = await patter("telnyx", "numbers")
    assert result.exit_code == 0
    assert all(part in result.output for part in (NUMBER, "active", "old"))


@pytest.mark.parametrize(("answer", "points_at"), [("y\n", "new"), ("n\n", "old")], ids=["yes", "no"])
async def test_a_number_is_pointed_after_asking(telnyx: TelnyxEmulator, answer: str, points_at: str) -> None:
    result = await patter("telnyx", "point", NUMBER, "new", answer=answer)
    assert "points at old now." in result.output
    assert telnyx.api.numbers[0].connection_id == points_at


async def test_a_number_of_another_account_is_an_error(telnyx: TelnyxEmulator) -> None:
    result = await patter("telnyx", "point", "+15005559999", "new", "--yes")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert telnyx.api.numbers[0].connection_id == "old"


@pytest.mark.usefixtures("telnyx")
async def test_wrong_credentials_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "wrong")
    result = await patter("telnyx", "numbers")
    assert isinstance(result.exception, CarrierRequestFailed)
    assert "api_key" in str(result.exception)


async def test_missing_credentials_are_an_error_that_says_where_to_find_them() -> None:
    result = await patter("telnyx", "numbers")
    assert isinstance(result.exception, ConfigurationError)
    assert "TELNYX_API_KEY" in str(result.exception)
