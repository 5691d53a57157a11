"""What all emulated calls have in common, by the smallest of them."""

from __future__ import annotations

import anyio
import pytest

from patter_core.audio import ULAW_8000
from patter_core.errors import CarrierError
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller

pytestmark = pytest.mark.anyio


class Silent(EmulatedCall):
    """A call without a vendor and without audio."""

    def __init__(self, caller: Caller | None = None) -> None:
        caller = caller or Caller((), ULAW_8000)
        super().__init__("call-1", caller, from_number="+15005550006", to_number="+15005550001")
        self.scope = anyio.CancelScope()

    async def live(self) -> None:
        with self.scope:
            await anyio.sleep_forever()

    def end(self) -> None:
        self.scope.cancel()


async def test_it_is_over_once_it_is_ended_and_those_who_wait_for_a_change_learn_it() -> None:
    call = Silent()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            tasks.start_soon(call.until, call.over.is_set)
            await anyio.wait_all_tasks_blocked()
            call.end()
    assert call.over.is_set()


async def test_one_that_is_cancelled_is_over_too() -> None:
    call = Silent()
    with anyio.move_on_after(0.01):
        await call.run()
    assert call.over.is_set()


async def test_a_caller_has_one_call() -> None:
    caller = Caller((), ULAW_8000)
    Silent(caller)  # which has not even begun
    with pytest.raises(CarrierError, match="new Caller for each call"):
        Silent(caller)


async def test_so_many_commands_are_refused_as_were_asked_for() -> None:
    call = Silent()
    call.refusals = 2
    assert [call.refuses() for _ in range(4)] == [True, True, False, False]
