"""`patter calls` lists, filters, and shows one call: its story, its transcript, its figures."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import anyio
import msgspec
import pytest
from click.testing import CliRunner, Result

from patter_core.cli.calls import calls
from patter_core.errors import ConfigurationError
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallPriced,
    MetricsReported,
    Record,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
)
from patter_core.observe.metrics import CarrierBill, EngineBill, Latency
from patter_core.observe.terminal import one_line
from patter_core.sinks import SQLiteSink
from patter_core.storage.archive import CallRow
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.prices import Cost

ONE, OTHER = "aaaa1111", "aaaa2222"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    async def write() -> None:
        sink = SQLiteSink(tmp_path / "patter.db")
        for call_id, agent in ((ONE, "concierge"), (OTHER, "agent")):
            leg = Leg(carrier="fake", call_id=f"leg-{call_id}", from_number="+*******11", to_number="+*******22")
            events: list[CallEvent] = [
                CallAnnounced(leg=leg, agent=agent),
                TranscriptInput(text="A table, please."),
                TranscriptOutput(text="For how many?"),
                MetricsReported(metrics=CallMetrics(turns=1, carrier_format="ulaw_8000")),
                CallEnded(
                    reason="caller_hung_up",
                    by="caller",
                    duration_ms=61_000,
                    metrics=CallMetrics(turns=7, carrier_format="ulaw_8000"),
                ),
            ]
            await sink.write(
                [
                    Record(call_id=call_id, sequence=number, time=number, elapsed_ms=number * 1000, event=event)
                    for number, event in enumerate(events if call_id == ONE else events[:4], 1)
                ]
            )
        await sink.aclose()

    anyio.run(write)
    return tmp_path / "patter.db"


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(calls, ["--db", str(path), *arguments], env={"COLUMNS": "160"})


def test_the_list_has_a_line_for_each_call(path: Path) -> None:
    out = run(path).stdout
    one, other = (next(line for line in out.splitlines() if call_id in line) for call_id in (ONE, OTHER))
    assert "concierge" in one
    assert "61 s" in one
    assert one.endswith("  caller_hung_up")
    assert "no end known" in other


def test_at_80_columns_a_call_takes_two_lines(tmp_path: Path) -> None:
    bill = CarrierBill(minutes=2, cost=Cost(Decimal("0.0129")), as_of=dt.date(2026, 10, 1), source="a list")
    bills = (EngineBill(part="engine", vendor="elevenlabs", cost=None),)
    metrics = CallMetrics(carrier_bill=bill, engine_bills=bills, speech_reply=Latency.of([1640.0]))
    leg = Leg(carrier="fake", call_id="leg", from_number="+*********34", to_number="+*********78")
    ended = CallEnded(reason="caller_hung_up", by="caller", duration_ms=3_600_000, metrics=metrics)
    events: list[CallEvent] = [CallAnnounced(leg=leg, agent="concierge"), ended]
    anyio.run(keep, tmp_path / "patter.db", events)
    with contextlib.closing(sqlite3.connect(tmp_path / "patter.db")) as database, database:
        database.execute("UPDATE calls SET started = 1767225600")
    shown = CliRunner().invoke(calls, ["--db", str(tmp_path / "patter.db")], env={"COLUMNS": "80"}).stdout.splitlines()
    assert shown[:2] == [
        "id        began       from, to      agent      lasted,  costs     ended",
        "                                               reply",
    ]
    assert [line.split() for line in shown[2:4]] == [
        [ONE, shown[2].split()[1], "+*********34", "concierge", "3600", "s,", "≥", "0.0129", "caller_hung_up"],
        ["in", shown[3].split()[1], "+*********78", "1640", "ms", "USD"],
    ]
    assert shown[4:] == ["Not in the costs, as no price is known: elevenlabs engine."]


def test_a_call_without_an_end_has_none_yet_while_there_are_events(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE records SET time = ? WHERE call_id = ?", (time.time() - 60, OTHER))
    (line,) = (line for line in run(path).stdout.splitlines() if OTHER in line)
    assert line.rstrip().endswith("not yet")


def test_it_is_filtered(path: Path) -> None:
    assert ONE not in run(path, "--agent", "agent").stdout
    hung_up = run(path, "--reason", "caller_hung_up").stdout
    assert ONE in hung_up
    assert OTHER not in hung_up
    assert ONE in run(path, "--text", "TABLE", "--direction", "inbound", "--carrier", "fake").stdout


def test_it_is_told_why_nothing_is_listed(path: Path, tmp_path: Path) -> None:
    assert run(path, "--since", "2020-01-01").stdout == "No call fits these options.\n"
    assert "No call has the agent “agnt”. The latest have agent, concierge." in run(path, "--agent", "agnt").stdout
    assert "No call has the carrier “acme”. The latest have fake." in run(path, "--carrier", "acme").stdout
    assert run(path, "--reason", "hung_up").exit_code == 2
    empty = tmp_path / "empty.db"
    empty.touch()
    assert run(empty).stdout == f"There are no calls in {empty} yet.\n"
    missing = tmp_path / "nodir" / "x.db"
    assert str(missing) in str(run(missing).exception)


@pytest.mark.parametrize("damaged", [1e300, float("inf"), -1e12, "yesterday"])
def test_a_call_whose_row_is_damaged_is_listed_beside_the_others(path: Path, damaged: float | str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE calls SET started = ?1, duration_ms = ?1, reply_ms = ?1, cost = ?1 WHERE call_id = ?2",
            (damaged, ONE),
        )
        database.execute(
            "UPDATE records SET record = replace(record, '\"time\":1', '\"time\":NaN') WHERE call_id = ?", (ONE,)
        )
    result = run(path)
    assert result.exception is None
    one, other = (next(line for line in result.stdout.splitlines() if call_id in line) for call_id in (ONE, OTHER))
    assert one.split() == f"{ONE} in - +*******11 +*******22 concierge 0 s, - - caller_hung_up".split()
    assert "1970-01-01" in other
    assert "caller: A table, please." in run(path, "show", ONE).stdout  # without the record that cannot be read


def test_a_day_before_the_first_is_an_error_of_usage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        error = run(path, "--since", "0001-01-01").exception
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "--since is out of range" in str(error)


@pytest.mark.parametrize("wrong", ["yesterday", "31.01.2026", "2026-02-30", ""])
def test_what_is_no_date_is_told_with_the_form_of_one(path: Path, wrong: str) -> None:
    result = run(path, "--since", wrong)
    assert result.exit_code == 2
    assert f"“{wrong}” is no date. Expected YYYY-MM-DD, such as 2026-01-31, or YYYY-MM-DD HH:MM." in result.output
    options = run(path, "--help").stdout
    assert "--since YYYY-MM-DD[THH:MM]" in options
    assert "%" not in result.output + options
    for moment in ("2026-01-31 12:30:00", "2026-01-31 12:30", "2026-01-31T12:30"):
        assert run(path, "--since", moment).exit_code == 0


def test_the_list_is_json_if_asked(path: Path) -> None:
    rows = msgspec.json.decode(run(path, "--json", "--limit", "1").stdout, type=list[CallRow])
    assert len(rows) == 1


def test_a_call_is_shown_with_its_story_and_its_final_figures(path: Path) -> None:
    out = run(path, "show", "aaaa1").stdout
    assert "fake rings, inbound; concierge answers" in out
    assert "caller: A table, please." in out
    assert "7 of the agent" in out
    assert "1 of the agent" in run(path, "show", OTHER).stdout  # the latest, while it lasts


@pytest.mark.parametrize(
    ("engine", "priced", "listed"),
    [
        ((), None, "≈ 0.0170 USD"),
        ((), Cost(Decimal("0.0125"), estimated=False), "0.0125 USD"),
        ((Cost(Decimal("0.03")),), None, "≈ 0.0470 USD"),
        ((Cost(Decimal("0.03")),), Cost(Decimal("0.0125"), "EUR", estimated=False), "≈ 0.0300 USD + 0.0125 EUR"),
        ((Cost(Decimal("0.03")), None), None, "≥ 0.0470 USD"),
    ],
)
def test_a_cost_that_the_carrier_has_not_named_yet_is_told_as_an_estimate(
    tmp_path: Path, engine: tuple[Cost | None, ...], priced: Cost | None, listed: str
) -> None:
    bill = CarrierBill(minutes=2, cost=Cost(Decimal("0.017")), as_of=dt.date(2026, 10, 1), source="a list")
    bills = tuple(EngineBill(part="engine", vendor="acme", model=f"{n}", cost=cost) for n, cost in enumerate(engine))
    metrics = CallMetrics(carrier_bill=bill, engine_bills=bills)
    events: list[CallEvent] = [
        CallAnnounced(leg=Leg(carrier="fake", call_id="leg"), agent="agent"),
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=61_000, metrics=metrics),
        *([] if priced is None else [CallPriced(cost=priced)]),
    ]
    anyio.run(keep, tmp_path / "patter.db", events)
    (line,) = (line for line in run(tmp_path / "patter.db").stdout.splitlines() if ONE in line)
    assert line.split(" s, ")[1].split("caller_hung_up")[0].split() == ["-", *listed.split()]
    shown = run(tmp_path / "patter.db", "show", ONE, "--metrics").stdout
    (bills_line,) = (line for line in shown.splitlines() if line.startswith("carrier bills"))
    estimate = "2 min, about 0.0170 USD (a list, 2026-10-01)"
    price = f"{priced.amount} {priced.currency}, as it charges" if priced else estimate
    assert bills_line.removeprefix("carrier bills").strip() == price


def test_a_sum_without_the_price_of_its_carrier_says_so_until_the_carrier_names_it(tmp_path: Path) -> None:
    bill = EngineBill(part="engine", vendor="acme", cost=Cost(Decimal("0.03")))
    events: list[CallEvent] = [
        CallAnnounced(leg=Leg(carrier="fake", call_id="leg"), agent="agent"),
        CallEnded("caller_hung_up", by="caller", duration_ms=61_000, metrics=CallMetrics(engine_bills=(bill,))),
        CallPriced(cost=Cost(Decimal("0.01"), estimated=False)),
    ]
    anyio.run(keep, tmp_path / "patter.db", events[:2])
    listed = run(tmp_path / "patter.db").stdout
    assert "  ≥ 0.0300 USD  " in listed
    assert listed.endswith("\nNot in the costs, as no price is known: fake.\n")
    anyio.run(keep, tmp_path / "patter.db", events)
    listed = run(tmp_path / "patter.db").stdout
    assert "  ≈ 0.0400 USD  " in listed
    assert "price" not in listed


def test_a_call_that_was_not_answered_was_ended_by_no_side(tmp_path: Path) -> None:
    ended = CallEnded(reason="no_answer", by="caller", duration_ms=0, metrics=CallMetrics())
    announced = CallAnnounced(leg=Leg(carrier="fake", call_id="leg", direction=Direction.OUTBOUND), agent="agent")
    events: list[CallEvent] = [announced, ended]
    anyio.run(keep, tmp_path / "patter.db", events)
    (line,) = (line for line in run(tmp_path / "patter.db").stdout.splitlines() if ONE in line)
    assert line.endswith("no_answer")


async def keep(path: Path, events: Sequence[CallEvent]) -> None:
    sink = SQLiteSink(path)
    await sink.write(
        [Record(call_id=ONE, sequence=n, time=n, elapsed_ms=n * 1000, event=event) for n, event in enumerate(events)]
    )
    await sink.aclose()


def test_the_stages_of_each_answer_and_the_cost_of_each_part_are_shown(tmp_path: Path) -> None:
    bills = (
        EngineBill(part="stt", vendor="acme", model="nova", cost=Cost(Decimal("0.0010"))),
        EngineBill(part="tts", vendor="other", cost=Cost(Decimal("0.0205"))),
    )
    metrics = CallMetrics(speech_reply=Latency.of([640.0]), engine_bills=bills)
    events: list[CallEvent] = [
        CallAnnounced(leg=Leg(carrier="fake", call_id="leg"), agent="agent"),
        TurnTimings(turn="2", stages_ms={"end_of_turn": 612.4, "first_token": -10.0, "sent": 640.0}),
        TurnTimings(turn="4", stages_ms={"end_of_turn": 700.0, "[b]own": 5.0}),
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=61_000, metrics=metrics),
        CallPriced(cost=Cost(Decimal("0.0085"), estimated=False)),
    ]
    path = tmp_path / "patter.db"
    anyio.run(keep, path, events)
    listed = next(line for line in run(path).stdout.splitlines() if ONE in line)
    assert "640 ms" in listed
    assert "  ≈ 0.0300 USD  " in listed
    shown = " ".join(run(path, "show", ONE, "--metrics").stdout.split())
    assert "answer at end of turn first token sent [b]own 1.00 s 612 ms -10 ms 640 ms - 2.00 s 700 ms - - 5 ms" in shown
    assert "stt bills acme nova: about 0.0010 USD" in shown
    assert "tts bills other: about 0.0205 USD" in shown


def test_only_the_transcript_or_the_figures_or_every_record(path: Path) -> None:
    assert run(path, "show", ONE, "--transcript").stdout == "caller: A table, please.\nagent:  For how many?\n"
    figures = run(path, "show", ONE, "--metrics").stdout
    both = run(path, "show", ONE, "--metrics", "--transcript").stdout
    assert both == f"caller: A table, please.\nagent:  For how many?\n\n{figures}"
    assert "7 of the agent" in figures
    assert "table" not in figures
    lines = run(path, "show", ONE, "--json").stdout.splitlines()
    assert [msgspec.json.decode(line, type=Record).sequence for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("call_id", "told"),
    [("aaaa", "Give more of the ID"), ("zzz", "No call has this ID"), ("", "The ID is empty."), (" ", "is empty.")],
)
def test_an_id_must_be_one_calls(path: Path, call_id: str, told: str) -> None:
    error = run(path, "show", call_id).exception
    assert isinstance(error, ConfigurationError)
    assert told in str(error)


@pytest.mark.parametrize("command", [("show", ""), ("delete", "", "--yes")])
def test_an_empty_id_is_not_the_only_calls(path: Path, command: tuple[str, ...]) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM calls WHERE call_id = ?", (OTHER,))
    assert "The ID is empty." in str(run(path, *command).exception)
    assert ONE in run(path, "--json").stdout


def test_the_file_can_be_named_in_the_environment(path: Path) -> None:
    result = CliRunner().invoke(calls, ["--json"], env={"PATTER_DB": str(path)})
    assert len(msgspec.json.decode(result.stdout, type=list[CallRow])) == 2


def test_the_file_can_be_named_behind_the_commands_below(path: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(calls, ["show", ONE, "--db", str(path), "--transcript"])
    assert shown.stdout.startswith("caller: A table")
    missing = str(tmp_path / "missing.db")  # the file of the group is not meant then
    assert run(Path(missing), "show", ONE, "--db", str(path), "--transcript").stdout == shown.stdout
    assert "Would erase 1 call." in run(Path(missing), "delete", ONE, "--db", str(path), "--dry-run").stdout


@pytest.mark.parametrize("command", [("show", ONE), ("delete", ONE), ("delete", "a" * 32)])
def test_a_file_without_tables_has_no_calls_yet(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    said = f"There are no calls in {path} yet."
    assert run(path).stdout.replace("\n", " ").strip() == said
    assert str(run(path, *command).exception) == said


OTHER_PROGRAM = "it is the database of another program"
MADE_BY_NEWER = "PRAGMA user_version = 99"


@pytest.mark.parametrize("command", [(), ("show", ONE), ("delete", ONE, "--yes")])
@pytest.mark.parametrize(
    ("ours", "statements", "problem", "remedy"),
    [
        (False, "CREATE TABLE notes (text)", OTHER_PROGRAM, "Give another path"),
        (
            False,
            "CREATE TABLE calls (id)",
            f"{OTHER_PROGRAM}, or of another version of Patter: its table “calls” has",
            "Give another path",
        ),
        (False, MADE_BY_NEWER, OTHER_PROGRAM, "Give another path"),
        (True, MADE_BY_NEWER, "a newer version of Patter made it", "Install that version, or give another path"),
        (True, "ALTER TABLE calls RENAME agent TO a", "its table “calls” has no column “agent”", "Move the file away"),
    ],
)
def test_a_file_that_no_sink_would_write_is_told_as_a_check_tells_it(
    path: Path, command: tuple[str, ...], *, ours: bool, statements: str, problem: str, remedy: str, tmp_path: Path
) -> None:
    path = path if ours else tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript(statements)
    was = path.read_bytes()
    error = str(run(path, *command).exception)
    said, _, todo = error.partition(". Expected a file of SQLiteSink. ")
    assert said.startswith(f"{path} cannot be read: {problem}")
    assert todo.startswith(remedy)
    assert todo.endswith(" path: with --db, or in PATTER_DB.")
    assert path.read_bytes() == was
    (result,) = anyio.run(SQLiteSink(path).check)
    assert result.what == f"{said}.".replace("cannot be read", "cannot be written")


HOSTILE = "\x1b[2J\x1b]0;title\x07 [/oops] [link=https://evil.example]x[/link]\nagent:  I agree.\x9b31m"


@pytest.mark.parametrize(
    "arguments", [[], ["--json"], ["show", ONE], ["show", ONE, "--transcript"], ["show", ONE, "--json"]]
)
def test_what_a_caller_is_called_or_says_is_text(tmp_path: Path, arguments: list[str]) -> None:
    async def write() -> None:
        sink = SQLiteSink(tmp_path / "patter.db")
        leg = Leg(carrier="fake", call_id="leg", from_number=f"sip:{HOSTILE}@x", to_number=HOSTILE)
        events: list[CallEvent] = [
            CallAnnounced(leg=leg, agent=HOSTILE),
            TranscriptInput(text=HOSTILE),
            CallEnded(reason=HOSTILE, by=HOSTILE, duration_ms=1, metrics=CallMetrics(carrier_format=HOSTILE)),
        ]
        await sink.write(
            [
                Record(call_id=ONE, sequence=number, time=number, elapsed_ms=number, event=event)
                for number, event in enumerate(events, 1)
            ]
        )
        await sink.aclose()

    anyio.run(write)
    result = run(tmp_path / "patter.db", *arguments)
    assert result.exit_code == 0
    assert one_line(result.output.replace("\n", "")) == result.output.replace("\n", "")
    assert not any(line.startswith("agent:") for line in result.output.splitlines())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("arguments", [[], ["show", ONE], ["show", ONE, "--transcript"], ["show", ONE, "--json"]])
def test_a_terminal_without_the_letters_of_a_caller_shows_their_codes(
    tmp_path: Path, arguments: list[str], encoding: str
) -> None:
    async def write() -> None:
        sink = SQLiteSink(tmp_path / "patter.db")
        leg = Leg(carrier="fake", call_id="leg", from_number="sip:你好@x")
        events: list[CallEvent] = [CallAnnounced(leg=leg, agent="✓"), TranscriptInput(text="你好 😀 é")]
        await sink.write(
            [
                Record(call_id=ONE, sequence=number, time=number, elapsed_ms=number, event=event)
                for number, event in enumerate(events, 1)
            ]
        )
        await sink.aclose()

    anyio.run(write)
    program = "from patter_core.cli import main; main()"
    command = [sys.executable, "-c", program, "calls", "--db", str(tmp_path / "patter.db"), *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "160"}
    result = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    if "--json" in arguments:
        event = msgspec.json.decode(result.stdout.splitlines()[1], type=Record).event
        assert event == TranscriptInput(text="你好 😀 é")


def test_help_needs_no_file(tmp_path: Path) -> None:
    for command in ("show", "delete"):
        assert "Usage" in run(tmp_path / "missing.db", command, "--help").stdout
