"""Every record is kept once; each call has its row; another process may read, or hold the file for a while."""

from __future__ import annotations

import sqlite3
import stat
from decimal import Decimal
from pathlib import Path

import pytest

from patter_core.errors import SinkUnavailable
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallPriced,
    Record,
    TranscriptInput,
)
from patter_core.sinks import SQLiteSink
from patter_core.sinks.sqlite_reader import CallFilter, SQLiteReader
from patter_core.storage import sqlite as storage
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost

pytestmark = pytest.mark.anyio

STORY: list[CallEvent] = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1", from_number="+*******11"), agent="agent"),
    TranscriptInput(text="Hi."),
    CallEnded(reason="caller_hung_up", by="caller", duration_ms=1500, metrics=CallMetrics()),
    CallPriced(cost=Cost(Decimal("0.0085"), estimated=False)),
]


def records(call_id: str = "call") -> list[Record]:
    return [
        Record(call_id=call_id, sequence=number, time=100 + number, elapsed_ms=number * 1000, event=event)
        for number, event in enumerate(STORY, 1)
    ]


async def test_a_call_is_a_row_and_its_records_are_as_they_were(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "calls" / "patter.db")
    for record in records():
        await sink.write([record])
    log = SQLiteReader(tmp_path / "calls" / "patter.db")  # while the sink has it open
    (row,) = log.calls(CallFilter())
    assert (row.call_id, row.started, row.ended, row.agent) == ("call", 101, 103, "agent")
    assert (row.reason, row.ended_by, row.duration_ms, row.cost) == ("caller_hung_up", "caller", 1500, "0.0085 USD")
    assert log.records("call") == records()
    await sink.aclose()


async def test_a_batch_that_comes_again_is_kept_once(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "patter.db")
    for _ in range(2):
        await sink.write(records())
    await sink.aclose()
    assert SQLiteReader(tmp_path / "patter.db").records("call") == records()


async def test_the_file_is_in_wal_mode_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "patter.db"
    sink = SQLiteSink(path)
    await sink.write(records())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await sink.aclose()
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


async def test_a_file_that_somebody_holds_is_unavailable_and_later_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BUSY_TIMEOUT", 0.01)
    sink = SQLiteSink(tmp_path / "patter.db")
    await sink.write(records("one"))
    holder = sqlite3.connect(tmp_path / "patter.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkUnavailable, match="locked"):
        await sink.write(records("two"))
    holder.rollback()
    holder.close()
    await sink.write(records("two"))
    await sink.aclose()
    assert {row.call_id for row in SQLiteReader(tmp_path / "patter.db").calls(CallFilter())} == {"one", "two"}
