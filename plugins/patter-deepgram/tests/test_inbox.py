from __future__ import annotations

import pytest

from patter_core.errors import EngineError
from patter_deepgram.inbox import Inbox

pytestmark = pytest.mark.anyio


async def test_what_waits_is_taken_before_the_error() -> None:
    inbox: Inbox[str] = Inbox()
    inbox.put("first")
    inbox.close(EngineError("lost"))
    inbox.close()
    inbox.put("late")
    assert await anext(inbox) == "first"
    with pytest.raises(EngineError, match="lost"):
        await anext(inbox)
    with pytest.raises(StopAsyncIteration):
        await anext(inbox)


async def test_without_room_the_oldest_that_may_be_dropped_goes_first() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(-1)
    for number in range(20_000):
        inbox.put(number, droppable=True)
    inbox.close()
    left = [number async for number in inbox]
    assert left[0] == -1
    assert left[-1] == 19_999
    assert len(left) == 10_000
    assert inbox.dropped == 10_001


async def test_large_events_are_bounded_by_their_size() -> None:
    inbox: Inbox[bytes] = Inbox()
    for _ in range(100):
        inbox.put(b"audio", size=2**20, droppable=True)
    assert inbox.dropped == 92


async def test_what_is_void_is_removed_and_not_counted() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(4):
        inbox.put(number)
    inbox.discard(lambda number: number % 2 == 0)
    inbox.close()
    assert [number async for number in inbox] == [1, 3]
    assert inbox.dropped == 0
