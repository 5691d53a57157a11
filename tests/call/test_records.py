"""What a call records about what was said and done: in the history at once, in the store soon, and told when it is."""

from __future__ import annotations

import time

import anyio
import pytest

from patter_core.call.history import HistoryWriter
from patter_core.call.records import Outlets, Records
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.store import history_of
from patter_core.testing.fakes import MemoryCallStore

pytestmark = pytest.mark.anyio

RUNNING = ToolUsed(id="c1", name="book", arguments='{"day": 1}', started_ms=2.0)
DONE = ToolUsed(id="c1", name="book", arguments='{"day": 1}', started_ms=2.0, result="Booked.", state=ToolState.DONE)


def records_of(writer: HistoryWriter) -> Records:
    return Records("call-1", Outlets(history=writer), time.monotonic)


async def test_the_use_of_a_tool_is_in_the_store_before_the_tool_runs_and_its_result_takes_its_place() -> None:
    store = MemoryCallStore()
    writer = HistoryWriter(store)
    records = records_of(writer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        records.use_tool(RUNNING)
        assert records.history.items == (RUNNING,)
        assert await records.stored(5)
        assert history_of(await store.history("call-1")) == (RUNNING,)
        records.use_tool(DONE)
        assert await records.stored(5)
        tasks.cancel_scope.cancel()
    assert records.history.items == (DONE,)
    assert history_of(await store.history("call-1")) == (DONE,)


async def test_another_worker_reads_what_was_said_and_done_in_its_order_and_adds_to_it() -> None:
    store = MemoryCallStore()
    one, other = HistoryWriter(store), HistoryWriter(store)
    first = records_of(one)
    first.use_tool(RUNNING)
    first.keep(UserSaid(text="Book it.", started_ms=1.0))
    await one.drain()
    second = records_of(other)
    second.keep(AgentSaid(text="It is booked.", started_ms=3.0))
    await second.fetch_history()
    second.use_tool(DONE)
    said = (UserSaid(text="Book it.", started_ms=1.0), DONE, AgentSaid(text="It is booked.", started_ms=3.0))
    assert second.history.items == said
    await other.drain()
    assert history_of(await store.history("call-1")) == said


async def test_what_was_said_can_be_replaced_and_taken_back() -> None:
    records = records_of(HistoryWriter(None))
    whole, heard = AgentSaid(text="Nine to five.", started_ms=1.0), AgentSaid(text="Nine", started_ms=1.0)
    item = records.keep(whole)
    assert list(records.history.items) == [whole]
    assert records.keep(heard, item) == item
    assert list(records.history.items) == [heard]
    records.keep(AgentSaid(text="", started_ms=1.0), item)
    assert not records.history.items


async def test_without_a_store_nothing_is_waited_for() -> None:
    records = records_of(HistoryWriter(None))
    with anyio.fail_after(1):
        assert await records.stored(60)
        records.use_tool(RUNNING)
        assert await records.stored(60)
