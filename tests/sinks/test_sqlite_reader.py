"""Calls are found by their fields and by what was said; a file that is not one of the sink's is an error."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record, TranscriptInput
from patter_core.sinks import SQLiteSink
from patter_core.sinks.sqlite_reader import SQLiteReader, list_query
from patter_core.sinks.sqlite_schema import SCHEMA
from patter_core.storage.archive import CallFilter, Latest
from patter_core.storage.sqlite import Database, open_database
from patter_core.telephony.leg import Direction, Leg
from tests.held_database import held
from tests.other_user import as_other, open_folder, read_only


def call(call_id: str, start: float, *, agent: str, direction: Direction, said: str, reason: str) -> list[Record]:
    number = "********34" if agent == "two" and direction is Direction.OUTBOUND else ""
    leg = Leg(carrier="fake", call_id=f"leg-{call_id}", direction=direction, to_number=number)
    events: list[CallEvent] = [
        CallAnnounced(leg=leg, agent=agent),
        TranscriptInput(text=said),
        CallEnded(reason=reason, by="caller", duration_ms=10, metrics=CallMetrics()),
    ]
    return [
        Record(call_id=call_id, sequence=number, time=start + number, elapsed_ms=number * 1000, event=event)
        for number, event in enumerate(events)
    ]


@pytest.fixture
def reader(tmp_path: Path) -> SQLiteReader:
    async def write() -> None:
        sink = SQLiteSink(tmp_path / "patter.db")
        inbound, outbound = Direction.INBOUND, Direction.OUTBOUND
        await sink.write(call("aa1", 100, agent="one", direction=inbound, said="A TABLE, please.", reason="x"))
        await sink.write(call("aa2", 200, agent="two", direction=outbound, said="Größe?", reason="y"))
        await sink.write(call("bb1", 300, agent="two", direction=inbound, said="Hello.", reason="x")[:2])
        await sink.aclose()

    anyio.run(write)
    return SQLiteReader(tmp_path / "patter.db")


@pytest.mark.parametrize(
    ("which", "ids"),
    [
        (CallFilter(), ["bb1", "aa2", "aa1"]),
        (CallFilter(limit=1), ["bb1"]),
        (CallFilter(since=200), ["bb1", "aa2"]),
        (CallFilter(before=200), ["aa1"]),
        (CallFilter(ended=True), ["aa2", "aa1"]),
        (CallFilter(ended=False), ["bb1"]),
        (CallFilter(active_since=202), ["bb1", "aa2"]),
        (CallFilter(number="34"), ["aa2"]),
        (CallFilter(number="%"), []),
        (CallFilter(agent="two"), ["bb1", "aa2"]),
        (CallFilter(agent="two", direction="outbound"), ["aa2"]),
        (CallFilter(carrier="none"), []),
        (CallFilter(reason="x"), ["aa1"]),
        (CallFilter(text="table"), ["aa1"]),
        (CallFilter(text="GRÖSSE"), ["aa2"]),
        (CallFilter(text="100%"), []),
    ],
)
def test_calls_are_found_the_latest_first(reader: SQLiteReader, which: CallFilter, ids: list[str]) -> None:
    assert [row.call_id for row in reader.calls(which)] == ids


@pytest.mark.parametrize(
    ("field", "damaged", "unknown"),
    [
        ("started", "yesterday", 0.0),
        ("started", 1e300, 0.0),
        ("ended", -1, None),
        ("duration_ms", 1e300, 0.0),
        ("reply_ms", "soon", None),
        ("agent", b"\0\1", ""),
        ("cost", "much", ""),
        ("cost", f"{'9' * 300} USD", ""),
        ("engine_cost", "1 USD + 2", ""),
    ],
)
def test_a_field_that_is_damaged_is_unknown_and_the_others_are_as_they_were(
    reader: SQLiteReader, tmp_path: Path, field: str, damaged: object, unknown: object
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "patter.db")) as database:
        with database:
            database.execute("UPDATE calls SET engine_cost = '1E-7 USD + 0.5 EUR', cost = '0.0085 USD'")
        whole = reader.row("aa1")
        with database:
            database.execute(f"UPDATE calls SET {field} = ? WHERE call_id = 'aa1'", (damaged,))
    assert whole is not None
    assert (whole.engine_cost, whole.cost) == ("1E-7 USD + 0.5 EUR", "0.0085 USD")
    assert reader.row("aa1") == msgspec.structs.replace(whole, **{field: unknown})
    assert len(reader.calls(CallFilter())) == 3


def test_a_file_without_the_words_of_calls_says_what_it_has_not(reader: SQLiteReader, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "patter.db")) as database:
        database.execute("DROP TABLE said")
    with pytest.raises(ConfigurationError, match="cannot be read: no such table: said"):
        reader.calls(CallFilter(text="table"))


def test_a_file_that_was_deleted_under_a_server_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "patter.db"
    server = Database(path, SCHEMA)
    with server.transaction() as database:
        database.execute("INSERT INTO said VALUES ('call', 'words')")
    with held(path):
        path.unlink()
        with pytest.raises(SinkUnavailable), server.transaction():
            pass
        with pytest.raises(ConfigurationError) as caught:
            SQLiteReader(path).calls(CallFilter())
    assert caught.value.problem == f"{path} was deleted or replaced while it was in use."
    server.close()


def test_the_start_of_an_id_finds_all_that_begin_so(reader: SQLiteReader) -> None:
    assert sorted(reader.find("aa")) == ["aa1", "aa2"]
    assert reader.find("%") == []


def test_a_call_that_goes_on_has_no_end_yet(reader: SQLiteReader) -> None:
    assert reader.calls(CallFilter(limit=1))[0].ended is None


def test_a_record_of_a_later_version_is_passed_over(reader: SQLiteReader, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "patter.db")
    raw = '{"call_id": "aa1", "sequence": 9, "time": 0, "elapsed_ms": 0, "event": {"type": "call_sung"}}'
    with database:
        columns = "id, call_id, time, sequence, kind, record"
        database.execute(f"INSERT INTO records ({columns}) VALUES ('x', 'aa1', 999, 9, 'call_sung', ?)", (raw,))
    database.close()
    assert [record.sequence for record in reader.records("aa1")] == [0, 1, 2]


def test_what_is_new_is_read_once_in_the_order_in_which_it_was_written(reader: SQLiteReader, tmp_path: Path) -> None:
    path = tmp_path / "patter.db"
    late = call("cc1", 50, agent="one", direction=Direction.INBOUND, said="Hi.", reason="x")

    async def write(records: list[Record]) -> None:
        sink = SQLiteSink(path)
        await sink.write(records)
        await sink.aclose()

    before = reader.latest("", limit=10)
    assert not before.records
    anyio.run(write, [*late, *late, *call("aa1", 100, agent="", direction=Direction.INBOUND, said="", reason="")])
    first = reader.latest(before.position, limit=2)
    rest = reader.latest(first.position, limit=2)
    assert [*first.records, *rest.records] == late
    assert reader.latest(rest.position, limit=2) == Latest(rest.position, [])
    for name in tmp_path.iterdir():
        name.unlink()
    anyio.run(write, late[:1])  # another file in its place
    assert reader.latest(rest.position, limit=9).records == late[:1]


def test_no_file_or_no_database_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--db"):
        SQLiteReader(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("no database at all, " * 100)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SQLiteReader(tmp_path / "text.db").calls(CallFilter())


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are not those of POSIX")
def test_a_copy_is_read_where_nothing_may_be_written(reader: SQLiteReader, tmp_path: Path) -> None:
    with open_folder() as folder:
        copy = folder / "patter.db"
        shutil.copy(tmp_path / "patter.db", copy)
        calls, records = reader.calls(CallFilter()), reader.records("aa1")
        with read_only(folder):
            assert SQLiteReader(copy).calls(CallFilter()) == calls
            archive = SQLiteSink(copy).archive()
            assert archive is not None
            assert list(anyio.run(archive.records, "aa1")) == records


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are not those of POSIX")
def test_a_copy_that_cannot_be_read_is_told_with_what_keeps_it_from_that(reader: SQLiteReader, tmp_path: Path) -> None:
    with open_folder() as folder:
        copy = folder / "patter.db"
        with contextlib.closing(sqlite3.connect(tmp_path / "patter.db")) as database:
            database.execute("UPDATE calls SET agent = 'three'")
            database.commit()  # in the log alone, which a copy of both files has
            shutil.copy(tmp_path / "patter.db", copy)
            shutil.copy(tmp_path / "patter.db-wal", folder)
        with read_only(folder), pytest.raises(ConfigurationError) as caught:
            SQLiteReader(copy).calls(CallFilter())
        assert (
            caught.value.problem == f"{copy} cannot be read: {copy}-wal holds a part of it, which needs to be merged."
        )
        assert "Copy both files to a folder in which you may write" in caught.value.remedy
        (folder / "patter.db-wal").unlink()
        copy.chmod(0o000)
        with as_other(), pytest.raises(ConfigurationError, match="cannot be read: Permission denied") as caught:
            SQLiteReader(copy).calls(CallFilter())
        assert "Let this user read it" in caught.value.remedy
        folder.chmod(0o000)
        with as_other(), pytest.raises(ConfigurationError, match="cannot be read: Permission denied"):
            SQLiteReader(copy)
    assert len(reader.calls(CallFilter(agent="three"))) == 3


@pytest.mark.anyio
async def test_an_archive_reads_what_the_sink_has_kept(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "patter.db")
    archive = sink.archive()
    assert archive is not None
    assert list(await archive.calls(CallFilter())) == []  # the file does not exist yet
    (tmp_path / "patter.db").touch()
    assert list(await archive.calls(CallFilter())) == []  # it is being made
    records = call("aa1", 100, agent="one", direction=Direction.INBOUND, said="Hello.", reason="x")
    records += call("aa2", 200, agent="two", direction=Direction.INBOUND, said="Hello.", reason="y")
    await sink.write(records)
    assert [row.call_id for row in await archive.calls(CallFilter())] == ["aa2", "aa1"]
    assert list(await archive.records("aa1")) == records[:3]
    assert list(await archive.records("zz9")) == []
    ends = await archive.of_kinds(["call_ended"], since=0, limit=10)
    assert [record.call_id for record in ends] == ["aa1", "aa2"]
    assert [record.call_id for record in await archive.of_kinds(["call_ended"], since=0, limit=1)] == ["aa2"]
    both = await archive.of_kinds(["call_announced", "call_ended"], since=200, limit=10)
    assert [record.event.kind for record in both] == ["call_announced", "call_ended"]
    await sink.aclose()


@pytest.mark.anyio
async def test_an_archive_of_another_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "patter.db").write_bytes(b"no database" * 1_000)
    archive = SQLiteSink(tmp_path / "patter.db").archive()
    assert archive is not None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await archive.calls(CallFilter())


def test_pages_go_on_within_calls_of_one_start(tmp_path: Path) -> None:
    async def write() -> None:
        sink = SQLiteSink(tmp_path / "same.db")
        for number in range(7):
            await sink.write(
                call(f"c{number}", 100, agent="one", direction=Direction.INBOUND, said="Hello.", reason="x")
            )
        await sink.aclose()

    anyio.run(write)
    reader, found, page = SQLiteReader(tmp_path / "same.db"), list[str](), CallFilter(limit=3)
    while rows := reader.calls(page):
        found += [row.call_id for row in rows]
        page = CallFilter(limit=3, before=rows[-1].started, before_id=rows[-1].call_id)
    assert found == [f"c{number}" for number in reversed(range(7))]


def test_a_list_of_many_calls_reads_an_index_and_not_the_calls(tmp_path: Path) -> None:
    with contextlib.closing(open_database(tmp_path / "many.db", SCHEMA)) as database:
        with database:
            database.executemany(
                "INSERT INTO calls (call_id, started, agent, from_number, ended) VALUES (?, ?, ?, ?, 1)",
                ((f"{number:032x}", number, "rare" if number == 7 else "usual", "+1") for number in range(20_000)),
            )
        reader, plans = SQLiteReader(tmp_path / "many.db"), dict[str, list[str]]()
        plan = list[str]()
        for condition in (
            CallFilter(agent="rare", reason="", number="1", carrier="", direction=""),
            CallFilter(before=15_000, before_id="f" * 32, since=10),
            CallFilter(ended=False),
            CallFilter(text="Hello", agent="rare"),
        ):
            query, values = list_query(condition)
            plan = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {query}", values)]
            plans[plan[2]] = plan
            assert plan[0] == "SEARCH calls USING PRIMARY KEY (call_id=?)"
        assert list(plans) == [
            "SCAN calls USING COVERING INDEX calls_found",
            "SEARCH calls USING COVERING INDEX calls_found (started>? AND (started,call_id)<(?,?))",
            "SCAN calls USING INDEX calls_open",
        ]
        assert "SEARCH said USING INDEX sqlite_autoindex_said_1 (call_id=?)" in plan  # of the last, by what was said
    assert [row.started for row in reader.calls(CallFilter(agent="rare"))] == [7]
    assert [row.started for row in reader.calls(CallFilter(limit=2))] == [19_999, 19_998]
