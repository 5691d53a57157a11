"""The console says what happened in a line each, and the table what it came to."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
from decimal import Decimal

import anyio
import anyio.to_thread
import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallPriced,
    CallProgressed,
    DtmfReceived,
    Error,
    FallbackUsed,
    Interruption,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MediaTrouble,
    Record,
    RecordingStarted,
    ResponseDone,
    ResponseHeard,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
)
from patter_core.observe.metrics import CarrierBill, EngineBill, Latency
from patter_core.observe.printing import Printer
from patter_core.observe.terminal import one_line
from patter_core.server.sink_queue import SinkQueue
from patter_core.sinks.console import ConsoleSink, event_words, metrics_table, transcript_line
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.prices import Cost
from tests.polling import until

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15550001111")
BILLED = CallMetrics(
    carrier_format="ulaw_8000",
    speech_reply=Latency.of([640.0]),
    stages={stage: took for stage in ("first_token", "[b]own") if (took := Latency.of([100.0, 200.0]))},
    engine_bills=(
        EngineBill(part="stt", vendor="acme", cost=Cost(Decimal("0.001"))),
        EngineBill(part="tts", vendor="acme", model="a", cost=Cost(Decimal("0.002"), estimated=False)),
        EngineBill(part="tts", vendor="acme", model="b", cost=Cost(Decimal("0.0005"))),
        EngineBill(part="llm", vendor="acme", amounts={"input_text_tokens": 12.0}, is_priced=False),
    ),
)


def billed(amount: str, *parts: str, carrier: str | None = None) -> CallEnded:
    """The end of a call whose parts cost so much each, and whose carrier bills that much."""
    cost = Cost(Decimal(carrier or 0))
    bill = CarrierBill(minutes=1, cost=cost, as_of=dt.date(2026, 1, 1), source="list") if carrier else None
    bills = tuple(EngineBill(part=part, vendor="acme", cost=Cost(Decimal(amount))) for part in parts)
    metrics = CallMetrics(duration_ms=1500, engine_bills=bills, carrier_bill=bill)
    return CallEnded(reason="completed", by="caller", duration_ms=1500, metrics=metrics)


@pytest.mark.parametrize(
    ("event", "costs"),
    [
        (billed("0.01", "stt", "llm", carrier="0.0085"), "; about 0.0285 USD for carrier, stt, llm"),
        (billed("0.01", "stt", "llm"), "; at least 0.0200 USD for stt, llm (carrier: no price known)"),
        (billed("0.01", "stt", carrier="0"), "; about 0.0100 USD for carrier, stt"),
        (billed("0", carrier="0.0085"), "; about 0.0085 USD for carrier"),
        (billed("0", carrier="0"), ""),
        (billed("0"), ""),
    ],
)
def test_the_end_says_what_is_known_of_the_costs_and_of_which_parts(event: CallEnded, costs: str) -> None:
    words = event_words(event)
    assert words is not None
    assert words[1] == f"ended after 1.50 s: completed (by the caller){costs}"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("event", "line"),
    [
        (CallAnnounced(leg=LEG, agent="agent"), "fake rings, inbound; agent answers"),
        (
            CallAnnounced(leg=msgspec.structs.replace(LEG, direction=Direction.OUTBOUND), agent="agent"),
            "fake dials, outbound; agent talks",
        ),
        (CallAnnounced(leg=LEG, agent="agent", resumed=True), "the fake call goes on, inbound; agent answers"),
        (
            CallAnnounced(leg=msgspec.structs.replace(LEG, direction=Direction.OUTBOUND), agent="agent", resumed=True),
            "the fake call goes on, outbound; agent talks",
        ),
        (CallProgressed(progress=Progress.RINGING), "the called phone rings"),
        (CallProgressed(progress=Progress.ANSWERED), "the call is answered"),
        (MachineDetected(answered_by=AnsweredBy.MACHINE_READY), "a machine answered, and takes a message now"),
        (
            CallEnded(reason="no_answer", by="caller", duration_ms=0, metrics=CallMetrics()),
            "ended without audio: no answer",
        ),
        (
            CallEnded(reason="host_hung_up", by="host", duration_ms=0, metrics=CallMetrics()),
            "ended without audio: host hung up (by the host)",
        ),
        (MediaStarted(format=ULAW_8000), "the caller's audio starts (ulaw_8000)"),
        (MediaPaused(held=True), "the caller is put on hold"),
        (MediaPaused(), "the caller's audio broke off"),
        (TranscriptInput(text="[bold]Hi.[/]"), "caller: [bold]Hi.[/]"),
        (FallbackUsed(say="Sorry."), "fallback: the carrier says “Sorry.” and hangs up"),
        (FallbackUsed(to="********11"), "fallback: the carrier transfers the caller"),
        (
            FallbackUsed(say="Wait.", to="********11"),
            "fallback: the carrier says “Wait.” and transfers the caller",
        ),
        (
            FallbackUsed(say="Sorry.", ok=False, detail="no credit."),
            "fallback failed, the caller is hung up on: no credit",
        ),
        (Interruption(), "the caller interrupts the agent: its audio is cleared"),
        (ResponseHeard(heard_ms=500, sent_ms=2000, interrupted=True), "heard 0.50 of 2.00 s"),
        (
            CallEnded(reason="caller_hung_up", by="caller", duration_ms=1500, metrics=CallMetrics()),
            "ended after 1.50 s: caller hung up (by the caller)",
        ),
        (
            CallEnded(
                reason="lost", by="engine", duration_ms=1500, metrics=CallMetrics(errors=1), detail="It is gone. Look."
            ),
            "ended after 1.50 s: lost (by the engine): It is gone. Look",
        ),
        (
            CallEnded(reason="lost", by="engine", duration_ms=1500, metrics=BILLED, detail="Gone."),
            (
                "ended after 1.50 s: lost (by the engine): Gone; replies after 640 ms (p50);"
                " at least 0.0035 USD for stt, tts (acme llm: no price known)"
            ),
        ),
        (
            CallEnded(reason="lost", by="engine", duration_ms=1500, metrics=BILLED),
            (
                "ended after 1.50 s: lost (by the engine); replies after 640 ms (p50);"
                " at least 0.0035 USD for stt, tts (acme llm: no price known)"
            ),
        ),
    ],
)
async def test_an_event_is_a_line_with_its_time(event: CallEvent, line: str) -> None:
    out = io.StringIO()
    await ConsoleSink(Printer(out, width=40)).write(
        [Record(call_id="c", sequence=1, time=0, elapsed_ms=1234, event=event)]
    )
    assert out.getvalue() == f"   1.23 s  {line}\n"


@pytest.mark.anyio
async def test_a_call_beside_others_has_its_id_in_each_line_until_its_end() -> None:
    out = io.StringIO()
    sink = ConsoleSink(Printer(out))
    end = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
    price = CallPriced(cost=Cost(Decimal("0.01")))
    told = (("a", Interruption()), ("b", Interruption()), ("a", end), ("b", Interruption()), ("b", end), ("b", price))
    for name, event in (*told, ("c", Interruption())):
        await sink.write([Record(call_id=name * 8, sequence=1, time=0, elapsed_ms=0, event=event)])
    starts = [line.split("  ")[0] for line in out.getvalue().splitlines()]
    assert starts == ["", "bbbbbb", "aaaaaa", "bbbbbb", "bbbbbb", "", ""]


@pytest.mark.anyio
@pytest.mark.parametrize(("given", "start"), [(None, "aaaaaa"), (False, "")])
async def test_where_several_workers_print_each_line_says_which_call_it_is(
    monkeypatch: pytest.MonkeyPatch, *, given: bool | None, start: str
) -> None:
    monkeypatch.setenv("PATTER_SEVERAL_WORKERS", "1")
    out = io.StringIO()
    sink = ConsoleSink(Printer(out), several_workers=given)
    await sink.write([Record(call_id="a" * 8, sequence=1, time=0, elapsed_ms=0, event=Interruption())])
    assert out.getvalue().split("  ")[0] == start


@pytest.mark.anyio
async def test_what_nobody_would_miss_is_left_out() -> None:
    out = io.StringIO()
    await ConsoleSink(Printer(out)).write([Record(call_id="c", sequence=1, time=0, elapsed_ms=0, event=ResponseDone())])
    assert out.getvalue() == ""


def test_a_transcript_holds_what_was_said_and_nothing_else() -> None:
    assert transcript_line(TranscriptInput(text="Hi.")) == "caller: Hi."
    assert transcript_line(TranscriptOutput(text="Hello.")) == "agent:  Hello."
    assert transcript_line(TranscriptCorrection(text="Hel…")) == "agent, as far as heard: Hel…"
    assert transcript_line(Interruption()) is None


def test_what_was_not_measured_is_a_dash() -> None:
    out = io.StringIO()
    Printer(out, width=120).table(metrics_table(CallMetrics(duration_ms=1500, carrier_format="ulaw_8000")))
    assert "1.50 s" in out.getvalue()
    assert re.search(r"answered after +- *\n", out.getvalue())


def test_a_call_without_audio_has_no_metrics_of_it_and_none_of_an_engine_that_was_not_reached() -> None:
    assert metrics_table(CallMetrics()).rows == ()
    assert metrics_table(CallMetrics(errors=2)).rows == (("engine errors", "2"),)
    names = [name for name, _ in metrics_table(CallMetrics(answer_ms=3.0, engine_connect_ms=9.0, errors=1)).rows]
    assert names == ["answered after", "engine connect", "engine", "engine bills", "engine errors"]
    talked = [name for name, _ in metrics_table(CallMetrics(carrier_format="ulaw_8000")).rows]
    assert talked[:4] == ["duration", "answered after", "carrier bills", "turns"]
    assert talked[-1] == "engine errors"


def test_the_figures_hold_what_each_vendor_of_the_engine_bills() -> None:
    out = io.StringIO()
    bills = (
        EngineBill(part="engine", vendor="acme", model="talk-2", cost=Cost(Decimal("0.01234567"))),
        EngineBill(part="stt", vendor="acme", amounts={"audio_seconds": 12.0}, is_priced=False),
    )
    Printer(out, width=120).table(metrics_table(CallMetrics(engine_bills=bills)))
    assert re.search(r"engine bills +acme talk-2: about 0\.0123 USD *\n", out.getvalue())
    assert re.search(r"stt bills +acme: of unknown price: 12 audio seconds *\n", out.getvalue())
    assert "vendor's bill" not in out.getvalue()
    Printer(out, width=120).table(metrics_table(CallMetrics(engine_connect_ms=9.0)))
    assert re.search(r"engine bills +see the vendor's bill *\n", out.getvalue())


def test_the_figures_hold_the_stages_of_answers() -> None:
    out = io.StringIO()
    Printer(out, width=120).table(metrics_table(BILLED))
    assert re.search(r"speech's end to first token +100, 200, 200, 200 ms", out.getvalue())
    assert re.search(r"speech's end to \[b\]own +100, 200, 200, 200 ms", out.getvalue())


def test_the_figures_hold_percentiles_and_what_the_carrier_will_bill() -> None:
    out = io.StringIO()
    bill = CarrierBill(
        minutes=2, cost=Cost(Decimal("0.0250")), as_of=dt.date(2026, 10, 1), source="the carrier's price list"
    )
    metrics = CallMetrics(reply=Latency.of([100.0, 200.0]), carrier_bill=bill, carrier_format="ulaw_8000")
    Printer(out, width=120).table(metrics_table(metrics))
    assert re.search(r"transcript to reply +100, 200, 200, 200 ms \(p50, p90, p95, p99 of 2\)", out.getvalue())
    assert re.search(r"speech's end to reply +-", out.getvalue())
    assert "2 min, about 0.0250 USD (the carrier's price list, 2026-10-01)" in out.getvalue()


HOSTILE = "\x1b[2J\x1b]0;title\x07 [link=https://evil.example]x[/link] [/oops]\r\nagent:  I agree.\x9b31m"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "event",
    [
        CallAnnounced(leg=LEG, agent=HOSTILE),
        TranscriptInput(text=HOSTILE),
        TranscriptCorrection(text=HOSTILE),
        ToolCall(id="1", name=HOSTILE),
        ToolResult(id="1", name=HOSTILE, failed=True),
        TransferDone(to=HOSTILE, ok=False, detail=HOSTILE),
        RecordingStarted(by="wav", location=HOSTILE),
        DtmfReceived(digit=HOSTILE),
        Error(message=HOSTILE),
        MediaTrouble(problem=HOSTILE),
        CallEnded(reason=HOSTILE, by=HOSTILE, duration_ms=0, metrics=CallMetrics(), detail=HOSTILE),
    ],
    ids=lambda event: event.kind,
)
async def test_no_text_of_others_is_more_than_text_in_its_line(event: CallEvent) -> None:
    out = io.StringIO()
    printer = Printer(out, width=40, styled=True)
    await ConsoleSink(printer).write([Record(call_id="c", sequence=1, time=0, elapsed_ms=0, event=event)])
    assert out.getvalue().count("\n") == 1
    assert "[link=https://evil.example]x[/link]" in out.getvalue()
    plain = re.sub("\x1b\\[[0-9;]*m", "", out.getvalue()[:-1])
    assert one_line(plain) == plain
    line = transcript_line(event)
    assert line is None or one_line(line) == line


def test_metrics_are_text() -> None:
    out = io.StringIO()
    Printer(out, width=120).table(metrics_table(CallMetrics(carrier_format=HOSTILE)))
    assert "[/oops]" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def said(number: int) -> Record:
    event = TranscriptInput(text=f"{number} " + "a" * 1_000)
    return Record(call_id="c", sequence=number, time=0, elapsed_ms=0, event=event)


@pytest.mark.anyio
async def test_a_reader_that_stalls_gets_each_line_once_and_holds_up_nothing() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as file, os.fdopen(read) as reader:
        sink = ConsoleSink(Printer(file))
        queue = SinkQueue(sink, write_timeout=0.2, first_pause=0.01, longest_pause=0.05)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            for number in range(500):
                queue.put(said(number))
            await until(lambda: queue.failures > 0)
            assert queue.waiting
            lines = await anyio.to_thread.run_sync(lambda: [reader.readline() for _ in range(500)])
            await until(lambda: not queue.waiting)
            tasks.cancel_scope.cancel()
    assert [int(re.findall(r"caller: (\d+)", line)[0]) for line in lines] == list(range(500))
    assert queue.written == 500


@pytest.mark.anyio
async def test_a_reader_that_goes_away_costs_the_sinks_records_only() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as file:
        sink = ConsoleSink(Printer(file))
        with pytest.raises(BrokenPipeError):
            await sink.write([said(1)])
        with pytest.raises(BrokenPipeError):
            await sink.write([said(2)])
