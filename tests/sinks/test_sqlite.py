"""Every record is kept once; each call has its row; another process may read, or hold the file for a while."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import sqlite3
import stat
import time
from decimal import Decimal
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.checks import Level
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallPriced,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
)
from patter_core.observe.metrics import CarrierBill, EngineBill, Latency
from patter_core.sink import WorkerFigures
from patter_core.sinks import SQLiteSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage import sqlite as storage
from patter_core.storage.archive import CallFilter
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost
from tests.polling import until

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


async def test_what_was_said_stages_of_answers_and_bills_have_rows_that_go_with_their_call(tmp_path: Path) -> None:
    bills = (
        EngineBill(part="stt", vendor="acme", model="n", amounts={"seconds": 9.5}, cost=Cost(Decimal("0.001"))),
        EngineBill(part="tts", vendor="acme", amounts={"characters": 300.0}, cost=Cost(Decimal("0.0205"))),
        EngineBill(part="llm", vendor="acme", amounts={"input_text_tokens": 12.0}, is_priced=False),
    )
    carriers = CarrierBill(minutes=2, cost=Cost(Decimal("0.017")), as_of=dt.date(2026, 10, 1), source="a list")
    metrics = CallMetrics(speech_reply=Latency.of([640.0, 900.0]), engine_bills=bills, carrier_bill=carriers)
    story: list[CallEvent] = [
        CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="agent"),
        TurnTimings(turn="2", stages_ms={"first_token": -10.5, "sent": 640.0}),
        TranscriptInput(text="STRASSE"),
        TranscriptOutput(text="Straße?"),
        TranscriptCorrection(text="Stra", original="Straße?"),
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=1500, metrics=metrics),
    ]
    path = tmp_path / "patter.db"
    sink = SQLiteSink(path, keep=1)
    now = time.time()
    for _ in range(2):  # a batch may come again
        await sink.write(
            [
                Record(call_id="call", sequence=number, time=now, elapsed_ms=0, event=event)
                for number, event in enumerate(story)
            ]
        )
    (row,) = SQLiteReader(path).calls(CallFilter())
    assert (row.reply_ms, row.engine_cost, row.estimated_cost) == (640.0, "0.0215 USD", "0.017 USD")
    assert row.unpriced == "acme llm"
    with contextlib.closing(sqlite3.connect(path)) as database:
        stages = database.execute("SELECT turn, stage, ms FROM stages ORDER BY stage").fetchall()
        assert stages == [("2", "first_token", -10.5), ("2", "sent", 640.0)]
        said = database.execute("SELECT call_id, text FROM said").fetchall()
        assert said == [("call", "strasse\nstrasse?\nstra")]
        found = database.execute("SELECT part, vendor, model, amounts, cost FROM bills ORDER BY part").fetchall()
        assert found == [
            ("carrier", "fake", "", '{"minutes":2}', "0.017 USD"),
            ("llm", "acme", "", '{"input_text_tokens":12.0}', ""),
            ("stt", "acme", "n", '{"seconds":9.5}', "0.001 USD"),
            ("tts", "acme", "", '{"characters":300.0}', "0.0205 USD"),
        ]
        assert sink._delete(now + 1) is True
        for table in ("records", "calls", "said", "stages", "bills"):
            assert database.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
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


OTHER_PROGRAM = "it is the database of another program"


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("CREATE TABLE notes (text)", OTHER_PROGRAM),
        (
            "CREATE TABLE calls (number TEXT)",
            f"{OTHER_PROGRAM}, or of another version of Patter: its table “calls” has no column “call_id”",
        ),
        (
            f"CREATE TABLE said (call_id); PRAGMA application_id = {int.from_bytes(b'Patr', 'big')}",
            "its table “said” has no column “text”",
        ),
    ],
)
async def test_a_file_that_is_not_ours_or_of_other_columns_is_refused_and_its_check_says_why(
    tmp_path: Path, schema: str, problem: str
) -> None:
    path = tmp_path / "patter.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript(schema)
    sink = SQLiteSink(path)
    (result,) = await sink.check()
    assert (result.level, "ive another path" in result.remedy) == (Level.PROBLEM, True)
    with pytest.raises(SinkRefused) as caught:
        await sink.write(records())
    assert caught.value.problem == f"{path} cannot be written: {problem}."
    assert result.what == caught.value.problem
    await sink.aclose()


async def test_calls_are_kept_for_so_many_days_after_their_last_record(tmp_path: Path) -> None:
    path = tmp_path / "patter.db"
    now = time.time()
    day = 86_400.0
    sink = SQLiteSink(path)
    for number in range(120):
        await sink.write([msgspec.structs.replace(got, time=number) for got in records(f"old-{number}")])
    for name, ended in (("long", now - 6.9 * day), ("late", now)):
        await sink.write(
            [msgspec.structs.replace(got, time=ended - 20 * day / got.sequence**9) for got in records(name)]
        )
    await sink.aclose()
    keeping = SQLiteSink(path, keep=7)
    reader = SQLiteReader(path)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keeping.run, WorkerFigures)
            await until(lambda: len(reader.calls(CallFilter(limit=1000))) == 2)
            tasks.cancel_scope.cancel()
    assert {row.call_id for row in reader.calls(CallFilter())} == {"long", "late"}
    assert len(reader.records("long")) == len(records())
    assert reader.records("old-1") == []
    await keeping.aclose()


@pytest.mark.parametrize("keep", [0, -1, math.nan])
def test_days_that_make_no_sense_are_refused(keep: float) -> None:
    with pytest.raises(ConfigurationError, match="keep"):
        SQLiteSink(keep=keep)
