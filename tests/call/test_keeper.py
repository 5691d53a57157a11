"""What is said reaches the store in order, as soon as it can; a store in trouble holds nobody up."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from patter_core.call import keeper
from patter_core.call.keeper import LineKeeper
from patter_core.errors import SinkUnavailable
from patter_core.store import CallStore, Line, MemoryCallStore, Speaker

pytestmark = pytest.mark.anyio

LINES = [Line(Speaker.CALLER, str(number)) for number in range(3)]


class Shaky(CallStore):
    """A store that fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.kept = MemoryCallStore()
        self.closed = False

    async def append(self, call_id: str, line: Line) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await self.kept.append(call_id, line)

    async def so_far(self, call_id: str) -> Sequence[Line]:
        if self.failures:
            raise self.failures.pop(0)
        return await self.kept.so_far(call_id)

    async def aclose(self) -> None:
        self.closed = True


async def test_lines_are_stored_in_order_and_a_store_that_comes_back_has_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_PAUSE", 0.01)
    store = Shaky(SinkUnavailable("away"), SinkUnavailable("away"))
    lines = LineKeeper(store)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.run)
            for line in LINES:
                lines.put("call-1", line)
            while await lines.so_far("call-1") != tuple(LINES):  # noqa: ASYNC110 - the store tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert lines.dropped == 0


async def test_a_line_that_the_store_refuses_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    store = Shaky(ZeroDivisionError("a bug"))
    lines = LineKeeper(store)
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert await lines.so_far("call-1") == tuple(LINES[1:])
    assert lines.dropped == 1
    assert "ZeroDivisionError" in caplog.text
    assert store.closed


async def test_what_waits_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_QUEUE_LIMIT", 2)
    lines = LineKeeper(MemoryCallStore())
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert await lines.so_far("call-1") == tuple(LINES[1:])
    assert lines.dropped == 1


async def test_a_store_that_cannot_say_what_was_said_leaves_the_call_without(caplog: pytest.LogCaptureFixture) -> None:
    assert await LineKeeper(Shaky(SinkUnavailable("away"))).so_far("call-1") == ()
    assert "does not say" in caplog.text


async def test_without_a_store_nothing_is_kept() -> None:
    lines = LineKeeper(None)
    lines.put("call-1", LINES[0])
    await lines.drain()
    assert await lines.so_far("call-1") == ()
