"""The feed: every reader gets everything in order, goes on where it was, and is told what it has lost."""

from __future__ import annotations

import itertools

import anyio
import pytest

from patter_core.apps.feed import Feed, Kept
from patter_core.events import DtmfReceived, Record

pytestmark = pytest.mark.anyio


numbers = itertools.count(1)


def kept(digit: str, size: int = 1) -> Kept:
    number = next(numbers)

    def record(shown: str) -> Record:
        return Record(call_id="call", sequence=number, time=0, elapsed_ms=0, event=DtmfReceived(digit=shown))

    return Kept(record("*"), record(digit), size)


async def digits(feed: Feed, after: str, *, unmasked: bool = True) -> list[tuple[str, int]]:
    return [
        (item.record.event.digit, item.lost)
        async for item in feed.read(after, unmasked=unmasked)
        if isinstance(item.record.event, DtmfReceived)
    ]


async def test_a_reader_goes_on_where_it_was() -> None:
    feed = Feed()
    before = feed.position
    feed.put(kept("1"))
    after_one = feed.position
    feed.put(kept("2"))
    feed.close()
    assert await digits(feed, before) == [("1", 0), ("2", 0)]
    assert await digits(feed, after_one) == [("2", 0)]
    assert await digits(feed, "") == []


async def test_a_reader_waits_for_what_happens_next() -> None:
    feed, got = Feed(), list[str]()

    async def read() -> None:
        async for item in feed.read():
            assert isinstance(item.record.event, DtmfReceived)
            got.append(item.record.event.digit)

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        feed.put(kept("7"))
        await anyio.wait_all_tasks_blocked()
        assert got == ["*", "*"]  # redacted, unless it is asked for otherwise
        feed.close()


async def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    feed = Feed(limit=3)
    start = feed.position
    for digit in "12345":
        feed.put(kept(digit))
    feed.close()
    assert await digits(feed, start) == [("3", 2), ("4", 0), ("5", 0)]


async def test_a_record_that_comes_again_is_not_added() -> None:
    feed = Feed(limit=2)
    start = feed.position
    one, two, three = (kept(digit) for digit in "123")
    for again in (one, two, one, two, three, three):
        feed.put(again)
    feed.put(one)  # it is forgotten by now
    feed.close()
    assert await digits(feed, start) == [("3", 2), ("1", 0)]


async def test_records_are_bounded_in_bytes_too() -> None:
    feed = Feed(max_bytes=100)
    start = feed.position
    for digit in "123":
        feed.put(kept(digit, size=60))
    feed.close()
    assert await digits(feed, start) == [("3", 2)]


@pytest.mark.parametrize("after", ["0123abcd.1", "nonsense", ".", "0123abcd.-1", "1" * 5000])
async def test_the_position_of_another_worker_begins_anew_and_says_so(after: str) -> None:
    feed = Feed()
    feed.put(kept("1"))
    feed.close()
    assert await digits(feed, after) == [("1", -1)]


async def test_a_position_of_the_future_waits() -> None:
    feed = Feed()
    epoch = feed.position.partition(".")[0]
    feed.put(kept("1"))
    feed.close()
    assert await digits(feed, f"{epoch}.99999999999") == []


async def test_a_reader_that_is_cancelled_leaves_nothing_behind() -> None:
    feed = Feed()
    with anyio.move_on_after(0.01):
        async for _ in feed.read():
            pass
    assert feed.readers == 0
    feed.put(kept("1"))
    feed.close()
    assert await digits(feed, "") == []
