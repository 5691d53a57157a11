from __future__ import annotations

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import EngineLost
from patter_core.events import Interruption, TranscriptInput
from patter_elevenlabs.inbox import BYTE_LIMIT, EVENT_LIMIT, Inbox

pytestmark = pytest.mark.anyio


def nothing_void(_: int | None) -> bool:
    return False


async def test_what_was_put_is_taken_in_order_and_then_it_ends() -> None:
    inbox = Inbox(nothing_void)
    chunk = AudioChunk(b"\xff", ULAW_8000)
    inbox.put(TranscriptInput("a"))
    inbox.put(chunk, 1)
    inbox.end()
    inbox.put(TranscriptInput("too late"))
    assert [item async for item in inbox] == [TranscriptInput("a"), chunk]


async def test_a_consumer_waits_for_what_comes_later() -> None:
    inbox, taken = Inbox(nothing_void), []

    async def consume() -> None:
        taken.extend([item async for item in inbox])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            inbox.put(TranscriptInput("a"))
            inbox.put(TranscriptInput("b"))
            await anyio.wait_all_tasks_blocked()
            inbox.end()
    assert taken == [TranscriptInput("a"), TranscriptInput("b")]


async def test_a_consumer_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    inbox = Inbox(nothing_void)
    with anyio.move_on_after(0):
        await anext(inbox)
    inbox.put(TranscriptInput("a"))
    assert await anext(inbox) == TranscriptInput("a")


async def test_an_error_is_raised_once_after_all_else() -> None:
    inbox = Inbox(nothing_void)
    inbox.put(TranscriptInput("a"))
    inbox.end(EngineLost("Gone."))
    inbox.end()
    assert await anext(inbox) == TranscriptInput("a")
    with pytest.raises(EngineLost, match="Gone"):
        await anext(inbox)
    with pytest.raises(StopAsyncIteration):
        await anext(inbox)


async def test_audio_that_became_void_while_it_waited_is_passed_over() -> None:
    void_below = 0

    def is_void(event_id: int | None) -> bool:
        return event_id is not None and event_id < void_below

    inbox = Inbox(is_void)
    live = AudioChunk(b"\x01", ULAW_8000)
    inbox.put(AudioChunk(b"\x00", ULAW_8000), 1)
    void_below = 2
    inbox.put(Interruption())
    inbox.put(live, 2)
    inbox.end()
    assert [item async for item in inbox] == [Interruption(), live]


async def test_beyond_the_bound_the_oldest_audio_goes_and_is_counted() -> None:
    inbox = Inbox(nothing_void)
    third = bytes(BYTE_LIMIT // 3)
    chunks = [AudioChunk(third, ULAW_8000) for _ in range(5)]
    inbox.put(TranscriptInput("a"))
    for chunk in chunks:
        inbox.put(chunk)
    inbox.end()
    assert inbox.dropped == 2
    assert [item async for item in inbox] == [TranscriptInput("a"), *chunks[2:]]


async def test_one_message_beyond_the_bound_is_kept() -> None:
    inbox = Inbox(nothing_void)
    huge = AudioChunk(bytes(BYTE_LIMIT + 1), ULAW_8000)
    inbox.put(TranscriptInput("a"))
    inbox.put(AudioChunk(b"\xff", ULAW_8000))
    inbox.put(huge)
    inbox.end()
    assert [item async for item in inbox] == [TranscriptInput("a"), huge]


async def test_events_that_nobody_takes_are_bounded_too() -> None:
    inbox = Inbox(nothing_void)
    for number in range(EVENT_LIMIT + 10):
        inbox.put(TranscriptInput(str(number)))
    assert inbox.dropped == 10
    assert await anext(inbox) == TranscriptInput("10")


async def test_among_too_many_the_oldest_audio_goes_before_any_event() -> None:
    inbox = Inbox(nothing_void)
    chunks = [AudioChunk(bytes([number]), ULAW_8000) for number in range(2)]
    inbox.put(TranscriptInput("first"))
    for chunk in chunks:
        inbox.put(chunk)
    for number in range(EVENT_LIMIT - 2):
        inbox.put(TranscriptInput(str(number)))
    inbox.end()
    assert inbox.dropped == 1
    taken = [item async for item in inbox]
    assert taken[:3] == [TranscriptInput("first"), chunks[1], TranscriptInput("0")]
    assert len(taken) == EVENT_LIMIT


async def test_long_texts_displace_audio_and_then_each_other() -> None:
    inbox = Inbox(nothing_void)
    chunks = [AudioChunk(bytes(10), ULAW_8000) for _ in range(2)]
    texts = [TranscriptInput(letter * (BYTE_LIMIT // 3)) for letter in "abcd"]
    for chunk in chunks:
        inbox.put(chunk)
    for text in texts[:3]:
        inbox.put(text)
    assert inbox.dropped == 1
    inbox.put(texts[3])
    inbox.end()
    assert inbox.dropped == 2
    assert [item async for item in inbox] == [chunks[1], *texts[1:]]


async def test_what_was_taken_does_not_count() -> None:
    inbox = Inbox(nothing_void)
    text, chunk = TranscriptInput("x" * (BYTE_LIMIT // 2)), AudioChunk(bytes(BYTE_LIMIT // 3), ULAW_8000)
    for item in (text, chunk) * 3:
        inbox.put(item)
        assert await anext(inbox) == item
    assert inbox.dropped == 0
