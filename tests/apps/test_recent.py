"""The latest calls in memory: found as in a sink's file, and bounded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import anyio
import anyio.lowlevel
import msgspec
import pytest

from patter_core.apps.feed import Kept
from patter_core.apps.recent import RecentCalls
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallPriced,
    DtmfReceived,
    Record,
    TranscriptInput,
)
from patter_core.observe.metrics import CarrierBill, EngineBill
from patter_core.storage.archive import CallFilter
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.prices import Cost

pytestmark = pytest.mark.anyio

END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=4_000, metrics=CallMetrics())


def put(recent: RecentCalls, call_id: str, event: CallEvent, time: float, size: int = 100) -> None:
    recent.put(Kept(Record(call_id=call_id, sequence=1, time=time, elapsed_ms=0, event=event), None, size))


def three_calls() -> RecentCalls:
    recent = RecentCalls()
    for number, direction in enumerate((Direction.INBOUND, Direction.OUTBOUND, Direction.INBOUND)):
        leg = Leg(carrier="acme", call_id=f"leg-{number}", direction=direction, from_number="***********34")
        put(recent, f"call-{number}", CallAnnounced(leg=leg, agent=f"agent-{number}"), 100.0 + number)
    put(recent, "call-1", TranscriptInput(text="Where is my Parcel?"), 103.0)
    put(recent, "call-0", END, 104.0)
    return recent


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (CallFilter(), ["call-2", "call-1", "call-0"]),
        (CallFilter(limit=1), ["call-2"]),
        (CallFilter(since=101.0), ["call-2", "call-1"]),
        (CallFilter(before=101.0), ["call-0"]),
        (CallFilter(direction="outbound"), ["call-1"]),
        (CallFilter(agent="agent-2"), ["call-2"]),
        (CallFilter(reason="caller_hung_up"), ["call-0"]),
        (CallFilter(ended=False), ["call-2", "call-1"]),
        (CallFilter(ended=True), ["call-0"]),
        (CallFilter(number="34"), ["call-2", "call-1", "call-0"]),
        (CallFilter(number="35"), []),
        (CallFilter(text="PARCEL"), ["call-1"]),
    ],
)
async def test_calls_are_found_by_what_is_asked(condition: CallFilter, found: list[str]) -> None:
    assert [row.call_id for row in await three_calls().calls(condition)] == found


async def test_records_are_found_by_call_and_by_kind() -> None:
    recent = three_calls()
    assert [record.event.kind for record in await recent.records("call-1")] == ["call_announced", "transcript_input"]
    assert await recent.records("call-9") == []
    assert [record.call_id for record in await recent.of_kinds(["call_ended"], since=0, limit=5)] == ["call-0"]
    assert await recent.of_kinds(["call_ended"], since=105, limit=5) == []
    latest = await recent.of_kinds(["call_announced"], since=0, limit=2)
    assert [record.call_id for record in latest] == ["call-1", "call-2"]


async def test_a_call_costs_an_estimate_until_the_carrier_names_its_price() -> None:
    recent, bill = three_calls(), CarrierBill(minutes=1, cost=Cost(Decimal("0.01")), as_of=dt.date.min, source="a list")
    llm, stt = (EngineBill(part=part, vendor="acme", is_priced=False) for part in ("llm", "stt"))
    end = msgspec.structs.replace(END, metrics=CallMetrics(carrier_bill=bill, engine_bills=(stt, llm, llm)))
    put(recent, "call-1", end, 105.0)
    (row,) = await recent.calls(CallFilter(direction="outbound"))
    assert (row.costs, row.unpriced) == ((Cost(Decimal("0.01")),), "acme llm, acme stt")
    price = Cost(Decimal("0.02"), estimated=False)
    put(recent, "call-1", CallPriced(cost=price), 106.0)
    (row,) = await recent.calls(CallFilter(direction="outbound"))
    assert row.costs == (price,)


async def test_without_room_a_call_that_ended_goes_before_one_that_lasts() -> None:
    recent = RecentCalls(calls=2)
    put(recent, "live", DtmfReceived(digit="1"), 1)
    put(recent, "over", END, 2)
    put(recent, "new", DtmfReceived(digit="1"), 3)
    assert {row.call_id for row in await recent.calls(CallFilter())} == {"live", "new"}


async def test_calls_are_bounded_in_bytes_and_one_call_in_records() -> None:
    recent = RecentCalls(max_bytes=1_000)
    for number in range(20):
        put(recent, f"call-{number}", DtmfReceived(digit="1"), number)
    assert len(await recent.calls(CallFilter())) == 10
    recent = RecentCalls()
    for number in range(6_000):
        put(recent, "long", DtmfReceived(digit="1"), number)
    records = await recent.records("long")
    assert len(records) == 5_000
    assert [records[0].time, records[-1].time] == [0, 5_999]


async def test_a_search_lets_others_run_between_calls_and_new_calls_come_meanwhile() -> None:
    recent, turns = RecentCalls(), list[int]()
    for number in range(160):
        put(recent, f"call-{number}", TranscriptInput(text="A table for two."), time=number)

    async def others() -> None:
        while True:
            put(recent, f"new-{len(turns)}", TranscriptInput(text="Hello."), time=1_000)
            turns.append(1)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        found = await recent.calls(CallFilter(text="table", limit=500))
        tasks.cancel_scope.cancel()
    assert len(found) == 160
    assert len(turns) >= 9
