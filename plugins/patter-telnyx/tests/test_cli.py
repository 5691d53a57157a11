from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread
import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import ConfigurationError
from patter_telnyx.plugin import patter_commands
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio

NUMBER = "+15005550001"


@pytest.fixture
async def telnyx(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TelnyxEmulator]:
    async with TelnyxEmulator() as emulator:
        for variable in ("TELNYX_API_KEY", "TELNYX_BASE_URL"):  # whoever sets a number up has no more than that
            monkeypatch.setenv(variable, emulator.environment[variable])
        monkeypatch.setenv("COLUMNS", "120")
        emulator.api.numbers = [EmulatedNumber(id="1", phone_number=NUMBER, connection_id="old")]
        yield emulator


async def patter(*arguments: str, answer: str = "") -> Result:
    group = click.Group()
    patter_commands(group)
    runner = CliRunner()
    return await anyio.to_thread.run_sync(lambda: runner.invoke(group, arguments, input=answer))


@pytest.mark.usefixtures("telnyx")
async def test_numbers_are_listed_with_where_they_point() -> None:
    result = await patter("telnyx", "numbers")
    assert result.exit_code == 0
    assert NUMBER in result.output
    assert "old" in result.output


async def test_an_account_without_numbers_says_so(telnyx: TelnyxEmulator) -> None:
    telnyx.api.numbers = []
    assert "no numbers" in (await patter("telnyx", "numbers")).output


@pytest.mark.parametrize(("answer", "points_at"), [("y\n", "new"), ("n\n", "old")])
async def test_a_number_is_pointed_after_asking(telnyx: TelnyxEmulator, answer: str, points_at: str) -> None:
    result = await patter("telnyx", "point", NUMBER, "new", answer=answer)
    assert "points at old now" in result.output
    assert telnyx.api.numbers[0].connection_id == points_at


@pytest.mark.usefixtures("telnyx")
async def test_nothing_is_asked_with_yes_or_where_nothing_changes() -> None:
    assert "Done" in (await patter("telnyx", "point", NUMBER, "new", "--yes")).output
    assert "already" in (await patter("telnyx", "point", NUMBER, "new")).output


@pytest.mark.usefixtures("telnyx")
async def test_a_number_of_somebody_else_is_told() -> None:
    result = await patter("telnyx", "point", "+15005559999", "new", "--yes")
    assert isinstance(result.exception, ConfigurationError)


async def test_without_a_key_it_is_told_where_to_find_one() -> None:
    result = await patter("telnyx", "numbers")
    assert isinstance(result.exception, ConfigurationError)
    assert "TELNYX_API_KEY" in str(result.exception)
