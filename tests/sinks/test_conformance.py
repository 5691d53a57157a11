"""The core's own sinks keep the whole contract, as the check for everybody's sinks tries it."""

from __future__ import annotations

import io
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from patter_core.events import AudioCaptured, CallEvent, Record
from patter_core.observe.printing import Printer
from patter_core.sinks import ConsoleSink, JsonLinesSink, MemorySink, SQLiteSink, WavSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.testing import check_sink
from patter_core.testing.conformance.sink import sample_records

pytestmark = pytest.mark.anyio


def places(records: Sequence[Record]) -> list[tuple[str, int]]:
    return [(record.call_id, record.sequence) for record in records]


async def test_memory() -> None:
    made: list[MemorySink] = []

    def make() -> MemorySink:
        made.append(MemorySink())
        return made[-1]

    async def received() -> Sequence[tuple[str, int]]:
        return places(made[0].records)

    await check_sink(make, received=received)


async def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    async def received() -> Sequence[tuple[str, int]]:
        return places([msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()])

    await check_sink(lambda: JsonLinesSink(path), received=received)


async def test_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "patter.db"

    async def received() -> Sequence[tuple[str, int]]:
        reader = SQLiteReader(path)
        return places([record for call in ("one", "two") for record in reader.records(call)])

    await check_sink(lambda: SQLiteSink(path), received=received)


@pytest.mark.parametrize(
    "make",
    [lambda _: ConsoleSink(Printer(io.StringIO())), WavSink],
    ids=["console", "wav"],
)
async def test_those_that_keep_no_records(make: Callable[[Path], ConsoleSink | WavSink], tmp_path: Path) -> None:
    await check_sink(lambda: make(tmp_path))


def test_the_check_knows_every_kind_of_event() -> None:
    tried = {type(record.event) for record in sample_records("call")} | {AudioCaptured}
    assert tried == set(typing.get_args(CallEvent))
