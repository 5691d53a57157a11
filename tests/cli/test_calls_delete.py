"""`patter calls delete`: no file has a byte of the calls afterwards, a live call stays, and it says what it does."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from patter_core.checks import CheckResult, Level
from patter_core.cli.calls import calls
from patter_core.errors import ConfigurationError, SinkRefused
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    MetricsReported,
    Record,
    RecordingChanged,
    RecordingStarted,
    TranscriptInput,
)
from patter_core.sink import EventSink
from patter_core.sinks import JsonLinesSink, SQLiteSink, WavSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallFilter
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import Leg

NUMBER, OTHER = "+15550004711", "+15550000815"
DAY = 86_400.0
TOML = """
[[sinks]]
name = "jsonl"
options = { path = "events-{worker}.jsonl", max_bytes = 4000 }
"""


def story(number: str, *, began: float, ended: bool = True, more: Sequence[CallEvent] = ()) -> list[Record]:
    call_id = uuid.uuid4().hex
    events: list[CallEvent] = [
        CallAnnounced(leg=Leg(carrier="fake", call_id=f"leg-{call_id}", from_number=number), agent="agent"),
        RecordingStarted(by="wav", location=f"recordings/{call_id}.wav"),
        TranscriptInput(text=f"My number is {number}."),
        TranscriptInput(text=f"I said {number}."),
        MetricsReported(metrics=CallMetrics()),
        *more,
    ]
    if ended:
        events.append(CallEnded(reason="caller_hung_up", by="caller", duration_ms=10, metrics=CallMetrics()))
    return [
        Record(call_id=call_id, sequence=place, time=began + place, elapsed_ms=0, event=event)
        for place, event in enumerate(events, 1)
    ]


class Server:
    """What a server has written and keeps open."""

    def __init__(self) -> None:
        self.sinks = [SQLiteSink(), JsonLinesSink("events-0.jsonl", max_bytes=4000)]

    async def write(self, records: Sequence[Record]) -> None:
        for sink in self.sinks:
            await sink.write(records)
        recording = anyio.Path("recordings", f"{records[0].call_id}.wav")
        await recording.parent.mkdir(exist_ok=True)
        await recording.write_bytes(b"RIFF")

    async def close(self) -> None:
        for sink in self.sinks:
            await sink.aclose()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATTER_SINKS", raising=False)
    (tmp_path / "patter.toml").write_text(TOML)
    return tmp_path


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(calls, ["delete", *arguments], env={"COLUMNS": "160"}, input=answer)


def places_of(text: str, folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "patter.toml"]
    return sorted(path.name for path in files if text.encode() in path.read_bytes() or text in path.name)


def left() -> list[str]:
    return sorted(row.from_number for row in SQLiteReader("patter.db").calls(CallFilter()))


def test_no_byte_of_a_number_is_left_while_the_server_goes_on_writing(folder: Path) -> None:
    async def scenario() -> Result:
        server, now = Server(), time.time()
        for number in range(30):
            await server.write(story(NUMBER if number % 3 else OTHER, began=now - number * DAY))
        assert {"patter.db-wal", "events-0.jsonl", "events-0.jsonl.1"} <= set(places_of(NUMBER, folder))
        result = await anyio.to_thread.run_sync(lambda: run("--number", NUMBER, "--yes"))
        assert places_of(NUMBER, folder) == []
        kept = story(OTHER, began=now)
        await server.write(kept)
        assert "events-0.jsonl" in places_of(kept[0].call_id, folder)
        await server.close()
        return result

    result = anyio.run(scenario)
    assert result.exit_code == 0, result.output
    assert "20 calls in patter.db" in result.output
    assert "lines in events-0.jsonl.1" in result.output
    assert result.output.count("Erased: the recording recordings/") == 20
    assert "Not erased" not in result.output
    assert left() == [OTHER] * 11
    assert len(list(folder.glob("recordings/*.wav"))) == 11


def test_pages_of_a_large_file_that_were_split_hold_nothing_either(folder: Path) -> None:
    async def fill() -> list[str]:
        sink, chance = SQLiteSink(), random.Random(1)
        stories = [story(NUMBER if place % 7 else OTHER, began=100 + place) for place in range(1500)]
        order = [one for one in stories for _ in one]
        chance.shuffle(order)  # calls at the same time, each in its order
        left = {one[0].call_id: iter(one) for one in stories}
        mixed = [next(left[one[0].call_id]) for one in order]
        for start in range(0, len(mixed), 500):
            await sink.write(mixed[start : start + 500])
        await sink.aclose()
        return [one[0].call_id for place, one in enumerate(stories) if place % 7]

    gone = anyio.run(fill)
    assert run("--number", NUMBER, "--yes").exit_code == 0
    data = (folder / "patter.db").read_bytes()
    assert NUMBER.encode() not in data
    assert not [call_id for call_id in gone if call_id.encode() in data]


def write(*stories: list[Record]) -> None:
    async def written() -> None:
        server = Server()
        for records in stories:
            await server.write(records)
        await server.close()

    anyio.run(written)


@pytest.mark.usefixtures("folder")
def test_it_shows_the_calls_and_asks_first() -> None:
    one = story(NUMBER, began=100)
    write(one, story(OTHER, began=100))
    result = run(one[0].call_id[:8], answer="n\n")
    assert result.exit_code == 1
    assert NUMBER in result.output
    assert "Erase 1 call, for ever?" in result.output
    result = run(one[0].call_id[:8], "--dry-run")
    assert "Would erase 1 call. Nothing was erased." in result.output
    assert left() == [OTHER, NUMBER]
    assert "1 call in patter.db" in run(one[0].call_id[:8], answer="y\n").output
    assert left() == [OTHER]


def test_a_live_call_is_left_and_one_whose_worker_died_is_not(folder: Path) -> None:
    live, dead = story(NUMBER, began=time.time() - 60, ended=False), story(NUMBER, began=100, ended=False)
    write(live, dead)
    result = run("--number", NUMBER, "--yes")
    assert f"Live, and left: {live[0].call_id[:8]}." in result.output
    assert "1 call in patter.db" in result.output
    assert places_of(live[0].call_id, folder)
    assert not places_of(dead[0].call_id, folder)
    assert run(live[0].call_id, "--yes").output == f"Live, and left: {live[0].call_id[:8]}.\n"


@pytest.mark.usefixtures("folder")
def test_calls_are_found_by_age_and_number_together() -> None:
    now = time.time()
    write(*(story(number, began=now - days * DAY) for number in (NUMBER, OTHER) for days in (1, 29, 31)))
    assert "Would erase 2 calls." in run("--older-than", "30d", "--dry-run").output
    assert "Would erase 4 calls." in run("--older-than", "1w", "--dry-run").output
    assert "Would erase 1 call." in run("--older-than", "30d", "--number", NUMBER, "--dry-run").output


@pytest.mark.usefixtures("folder")
def test_what_is_elsewhere_is_named_and_masked_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_SINKS", "console,prometheus,webhook")
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_URL", "http://127.0.0.1:9/records")
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_SECRET", "whsec_" + "QUFB" * 8)
    at_carrier = RecordingChanged(recording=RecordingStatus(recording_id="RE1", status="completed"))
    write(story("+*********11", began=100, more=[at_carrier]))
    result = run("--number", NUMBER, "--yes")
    assert "calls of other numbers that end alike are among these" in result.output
    assert "Not erased: what the sinks webhook have sent. Erase it there." in result.output
    assert "Not erased: the recording RE1 at fake." in result.output
    assert left() == []


def test_what_killed_processes_have_left_is_erased_too(folder: Path) -> None:
    write(story(NUMBER, began=100))
    lines = folder / "events-0.jsonl"
    lines.rename(folder / "events-0.jsonl.1")  # and no new file yet
    (folder / "events-0.jsonl.2.erasing").write_bytes((folder / "events-0.jsonl.1").read_bytes())
    assert run("--number", NUMBER, "--yes").exit_code == 0
    assert places_of(NUMBER, folder) == []


def test_a_file_that_cannot_be_erased_keeps_the_call_where_it_is_found(folder: Path) -> None:
    one = story(NUMBER, began=100)
    write(one)
    (folder / "events-0.jsonl.erasing").mkdir()
    result = run(one[0].call_id, "--yes")
    assert isinstance(result.exception, ConfigurationError)
    assert "jsonl" in str(result.exception)
    assert left() == [NUMBER]


def test_all_sinks_that_cannot_be_written_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = story(NUMBER, began=100)
    write(one)

    async def fail(sink: EventSink, _call_ids: object) -> None:
        raise SinkRefused(f"The {sink.name} is full.", remedy="Make room.")

    async def found(_sink: EventSink) -> list[CheckResult]:
        return [CheckResult(Level.PROBLEM, "It cannot be written.", "Mount it.")]

    for kind in (WavSink, JsonLinesSink):
        monkeypatch.setattr(kind, "erase", fail)
    monkeypatch.setattr(SQLiteSink, "check", found)
    (folder / "patter.toml").write_text('[[sinks]]\nname = "wav"\n[[sinks]]\nname = "jsonl"\n')
    assert str(run(one[0].call_id, "--yes").exception) == (
        "Not everything was erased. Got wav: The wav is full. Make room; jsonl: The jsonl is full. Make room;"
        " sqlite: It cannot be written. Mount it. Try again."
    )
    assert left() == [NUMBER]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "It is not said which calls to erase."),
        (("ab", "--number", NUMBER), "IDs exclude --number and --older-than."),
        (("--older-than", "soon"), "--older-than is no age."),
        (("--older-than", "", "--number", NUMBER), "--older-than is no age."),
        (("--number", "hello"), "--number is not an E.164 number."),
        (("--number", NUMBER[1:]), "--number is not an E.164 number."),
        (("--number", "", "--older-than", "1d"), "--number is not an E.164 number."),
    ],
)
def test_what_is_not_said_clearly_erases_nothing(arguments: tuple[str, ...], problem: str) -> None:
    write(story(NUMBER, began=100))
    error = run(*arguments, "--yes").exception
    assert isinstance(error, ConfigurationError)
    assert error.problem == problem
    assert left() == [NUMBER]


@pytest.mark.usefixtures("folder")
def test_separators_in_a_number_do_not_count() -> None:
    write(story(NUMBER, began=100), story(OTHER, began=100))
    assert "Would erase 1 call." in run("--number", "+1 (555) 000-4711", "--dry-run").output
    assert run("--number", "+1 555 000 4712", "--dry-run").output == "No such call.\n"


def test_what_is_kept_of_a_call_that_has_no_row_any_more_is_erased_by_its_whole_id(folder: Path) -> None:
    old, kept = story(NUMBER, began=100), story(OTHER, began=100)
    write(old, kept)

    async def expire() -> None:
        sink = SQLiteSink()
        await sink.erase([old[0].call_id])  # as its `keep` does
        await sink.aclose()

    anyio.run(expire)
    call_id = old[0].call_id
    (folder / "patter.toml").write_text(f'{TOML}\n[[sinks]]\nname = "wav"\n')
    assert isinstance(run(call_id[:8], "--yes").exception, ConfigurationError)
    assert f"Not in patter.db, but perhaps in what else the sinks keep: {call_id}." in run(call_id, "--dry-run").output
    result = run(call_id, kept[0].call_id[:8], "--yes")
    assert result.exit_code == 0, result.output
    assert f"Erased: the recording recordings/{call_id}.wav." in result.output
    assert places_of(NUMBER, folder) == places_of(call_id, folder) == []
    assert left() == []
    assert run(call_id, "--yes").output.endswith(
        "Nothing was erased: no sink on this machine keeps anything of that.\n"
    )
