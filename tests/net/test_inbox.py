from __future__ import annotations

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import EngineError, EngineLost
from patter_core.events import EngineEvent, Interruption, TranscriptInput
from patter_core.net.inbox import BYTE_LIMIT, ITEM_LIMIT, EngineInbox, Inbox

pytestmark = pytest.mark.anyio


async def test_items_are_taken_in_order_until_the_end() -> None:
    inbox = EngineInbox[int | None]()
    chunk = AudioChunk(b"\xff", ULAW_8000)
    inbox.put(TranscriptInput("a"))
    inbox.put_audio(chunk, 1)
    inbox.close()
    inbox.put(TranscriptInput("too late"))
    inbox.put_audio(chunk, 2)
    assert [item async for item in inbox] == [TranscriptInput("a"), chunk]


async def test_a_consumer_waits_for_later_items() -> None:
    inbox, taken = EngineInbox[int | None](), list[AudioChunk | EngineEvent]()

    async def consume() -> None:
        taken.extend([item async for item in inbox])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            inbox.put(TranscriptInput("a"))
            inbox.put(TranscriptInput("b"))
            await anyio.wait_all_tasks_blocked()
            inbox.close()
    assert taken == [TranscriptInput("a"), TranscriptInput("b")]


async def test_a_consumer_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    inbox = EngineInbox[int | None]()
    with anyio.move_on_after(0):
        await anext(inbox)
    inbox.put(TranscriptInput("a"))
    assert await anext(inbox) == TranscriptInput("a")


async def test_events_that_were_not_taken_can_be_removed_by_kind() -> None:
    inbox = EngineInbox[int]()
    chunk = AudioChunk(b"\xff", ULAW_8000)
    inbox.put(TranscriptInput("a"))
    inbox.put_audio(chunk, 1)
    inbox.put(Interruption())
    inbox.put(TranscriptInput("b"))
    inbox.close()
    assert inbox.remove(TranscriptInput) == [TranscriptInput("a"), TranscriptInput("b")]
    assert inbox.remove(TranscriptInput) == []
    assert inbox.dropped == 0
    assert [item async for item in inbox] == [chunk, Interruption()]


async def test_an_error_is_raised_once_after_everything_else() -> None:
    inbox = EngineInbox[int | None]()
    inbox.put(TranscriptInput("a"))
    inbox.close(EngineLost("Gone."))
    inbox.close()
    assert await anext(inbox) == TranscriptInput("a")
    with pytest.raises(EngineLost, match="Gone"):
        await anext(inbox)
    with pytest.raises(StopAsyncIteration):
        await anext(inbox)


async def test_void_audio_is_removed_and_does_not_count_as_dropped() -> None:
    inbox = EngineInbox[int | None]()
    chunks = [AudioChunk(bytes([number]), ULAW_8000) for number in range(4)]
    inbox.put(TranscriptInput("a"))
    for number, chunk in enumerate(chunks[:3]):
        inbox.put_audio(chunk, number)
    inbox.put_audio(chunks[3], None)
    inbox.discard_audio(lambda event_id: event_id is not None and event_id < 2)
    inbox.put(Interruption())
    inbox.close()
    assert [item async for item in inbox] == [TranscriptInput("a"), chunks[2], chunks[3], Interruption()]
    assert inbox.dropped == 0


async def test_beyond_the_limit_the_oldest_audio_is_dropped_and_counted() -> None:
    inbox = EngineInbox[int | None]()
    third = bytes(BYTE_LIMIT // 3)
    chunks = [AudioChunk(third, ULAW_8000) for _ in range(5)]
    inbox.put(TranscriptInput("a"))
    for chunk in chunks:
        inbox.put_audio(chunk, None)
    inbox.close()
    assert inbox.dropped == 2
    assert [item async for item in inbox] == [TranscriptInput("a"), *chunks[2:]]


async def test_one_chunk_beyond_the_limit_is_kept() -> None:
    inbox = EngineInbox[int | None]()
    huge = AudioChunk(bytes(BYTE_LIMIT + 1), ULAW_8000)
    inbox.put(TranscriptInput("a"))
    inbox.put(TranscriptInput("b"))
    inbox.put_audio(AudioChunk(b"\xff", ULAW_8000), None)
    inbox.put_audio(huge, None)
    inbox.close()
    assert [item async for item in inbox] == [TranscriptInput("a"), TranscriptInput("b"), huge]


async def test_events_are_bounded_too() -> None:
    inbox = EngineInbox[int | None]()
    for number in range(ITEM_LIMIT + 10):
        inbox.put(TranscriptInput(str(number)))
    assert inbox.dropped == 10
    assert await anext(inbox) == TranscriptInput("10")


async def test_the_oldest_audio_is_dropped_before_any_event() -> None:
    inbox = EngineInbox[int | None]()
    chunks = [AudioChunk(bytes([number]), ULAW_8000) for number in range(2)]
    inbox.put(TranscriptInput("first"))
    for chunk in chunks:
        inbox.put_audio(chunk, None)
    for number in range(ITEM_LIMIT - 2):
        inbox.put(TranscriptInput(str(number)))
    inbox.close()
    assert inbox.dropped == 1
    taken = [item async for item in inbox]
    assert taken[:3] == [TranscriptInput("first"), chunks[1], TranscriptInput("0")]
    assert len(taken) == ITEM_LIMIT


async def test_long_texts_displace_audio_and_then_each_other() -> None:
    inbox = EngineInbox[int | None]()
    chunks = [AudioChunk(bytes(10), ULAW_8000) for _ in range(2)]
    texts = [TranscriptInput(letter * (BYTE_LIMIT // 3)) for letter in "abcd"]
    for chunk in chunks:
        inbox.put_audio(chunk, None)
    for text in texts[:3]:
        inbox.put(text)
    assert inbox.dropped == 1
    inbox.put(texts[3])
    inbox.close()
    assert inbox.dropped == 2
    assert [item async for item in inbox] == [chunks[1], *texts[1:]]


async def test_what_was_taken_does_not_count() -> None:
    inbox = EngineInbox[int | None]()
    text, chunk = TranscriptInput("x" * (BYTE_LIMIT // 2)), AudioChunk(bytes(BYTE_LIMIT // 3), ULAW_8000)
    for _ in range(3):
        inbox.put(text)
        assert await anext(inbox) == text
        inbox.put_audio(chunk, None)
        assert await anext(inbox) == chunk
    assert inbox.dropped == 0


async def test_the_origin_of_audio_that_is_taken_is_told_once_in_a_row() -> None:
    told = list[str]()
    inbox = EngineInbox(told.append)
    for origin in ("a", "a", "b", "c", "b"):
        inbox.put_audio(AudioChunk(b"\xff", ULAW_8000), origin)
        inbox.put(TranscriptInput(origin))
    inbox.discard_audio(lambda origin: origin == "c")
    for _ in range(4):
        await anext(inbox)
    assert told == ["a"]  # what waits is not taken
    inbox.close()
    assert len([item async for item in inbox]) == 5
    assert told == ["a", "b"]


# --- of a part ---


async def test_of_a_part_what_waits_is_taken_before_the_error() -> None:
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


async def test_of_a_part_the_oldest_that_may_be_dropped_goes_first() -> None:
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


async def test_of_a_part_large_events_are_bounded_by_their_size() -> None:
    inbox: Inbox[bytes] = Inbox()
    for _ in range(100):
        inbox.put(b"audio", size=2**20, droppable=True)
    assert inbox.dropped == 92


async def test_of_a_part_what_is_void_is_removed_and_not_counted() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(4):
        inbox.put(number)
    inbox.discard(lambda number: number % 2 == 0)
    inbox.close()
    assert [number async for number in inbox] == [1, 3]
    assert inbox.dropped == 0


async def test_of_a_part_the_events_of_a_kind_can_be_taken_after_the_end() -> None:
    inbox: Inbox[int | str] = Inbox()
    for event in (1, "two", 3):
        inbox.put(event)
    inbox.close()
    assert inbox.remove(int) == [1, 3]
    assert [event async for event in inbox] == ["two"]
