"""A carrier's plugin may raise anything, and hang: the call sees an exception, in time, and no bill is no fault."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from patter_core.call.carrier_wall import ask_carrier, carrier_bill
from patter_core.errors import CarrierRequestFailed, ForeignFault
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import CarrierRates, Usage
from patter_core.testing.fakes import FakeCarrier

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1")


class Raises(FakeCarrier):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    async def hang_up(self, leg: Leg) -> None:
        raise self._error

    @property
    def rates(self) -> CarrierRates:
        raise self._error


class Hangs(FakeCarrier):
    async def hang_up(self, leg: Leg) -> None:
        await anyio.sleep_forever()


async def test_a_carrier_that_does_not_answer_is_given_up() -> None:
    with anyio.fail_after(5), pytest.raises(CarrierRequestFailed, match=r"within 0\.1 s"):
        await ask_carrier(Hangs().hang_up, 0.1, LEG)


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError()], ids=repr)
async def test_what_is_no_exception_becomes_one(error: BaseException) -> None:
    with pytest.raises(ForeignFault, match=type(error).__name__):
        await ask_carrier(Raises(error).hang_up, 1, LEG)


@pytest.mark.parametrize("error", [KeyError("no price for this country"), SystemExit(1)], ids=repr)
def test_a_price_that_cannot_be_worked_out_is_none(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    assert carrier_bill(Raises(error), Usage()) is None
    assert type(error).__name__ in caplog.text
