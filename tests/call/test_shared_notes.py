"""What workers note of a call in the store that they share: it is in the same order for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.call.history import History, HistoryWriter
from patter_core.call.shared_notes import OthersNotes, SharedNotes
from patter_core.errors import StoreUnavailable
from patter_core.history import UserSaid
from patter_core.store import HistoryLine, history_of
from patter_core.telephony.leg import AnsweredBy
from patter_core.testing.fakes import MemoryCallStore

pytestmark = pytest.mark.anyio

CALL = "call-1"


@contextlib.asynccontextmanager
async def two_workers(store: MemoryCallStore) -> AsyncIterator[tuple[SharedNotes, SharedNotes]]:
    writers = HistoryWriter(store), HistoryWriter(store)
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.run)
        yield SharedNotes(writers[0]), SharedNotes(writers[1])
        tasks.cancel_scope.cancel()


async def test_one_of_two_that_are_told_the_same_at_once_takes_it() -> None:
    async with two_workers(MemoryCallStore()) as workers:
        taken: list[bool] = []

        async def take(notes: SharedNotes) -> None:
            taken.append(await notes.take_report(CALL, AnsweredBy.MACHINE))

        async with anyio.create_task_group() as tasks:
            for notes in workers:
                tasks.start_soon(take, notes)
        assert sorted(taken) == [False, True]
        assert await workers[1].take_report(CALL, AnsweredBy.MACHINE_READY)  # another report
        assert await workers[1].take_report("call-2", AnsweredBy.MACHINE)


async def test_a_worker_learns_of_the_others_latest_stream_and_of_a_message_that_was_not_taken_back() -> None:
    async with two_workers(MemoryCallStore()) as (here, there):
        assert await here.of_others(CALL) == OthersNotes()
        here.note_stream(CALL, 4)
        for streams in (2, 3):
            there.note_stream(CALL, streams)
        assert await there.take_report(CALL, AnsweredBy.MACHINE_READY)
        assert await here.of_others(CALL) == OthersNotes(streams=3, leaves_message=True)
        assert await there.of_others(CALL) == OthersNotes(streams=4)
        there.take_back(CALL, AnsweredBy.MACHINE_READY)
        await there.take_report(CALL, AnsweredBy.HUMAN)  # once that is in the store, what was before it is, too
        assert not (await here.of_others(CALL)).leaves_message


async def test_without_a_store_or_while_it_is_away_a_report_is_taken() -> None:
    class Away(MemoryCallStore):
        async def append(self, call_id: str, line: HistoryLine) -> None:
            raise StoreUnavailable("The store is away.")

    assert await SharedNotes(HistoryWriter(None)).take_report(CALL, AnsweredBy.MACHINE)
    async with two_workers(Away()) as (here, there):
        with anyio.fail_after(10):
            assert await here.take_report(CALL, AnsweredBy.MACHINE)
            assert await there.take_report(CALL, AnsweredBy.MACHINE)


async def test_notes_are_no_part_of_the_history() -> None:
    said = HistoryLine("1", UserSaid(text="Hello.", started_ms=1.0))
    async with two_workers(store := MemoryCallStore()) as (here, _):
        await store.append(CALL, said)
        assert await here.take_report(CALL, AnsweredBy.HUMAN)
        lines = await store.history(CALL)
    assert len(lines) == 2
    history = History()
    history.precede(lines)
    assert history_of(lines) == history.items == (said.item,)
