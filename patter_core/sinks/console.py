"""Prints calls on a terminal while they happen."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar

from patter_core.aio.threads import SerialThread
from patter_core.config import flag_from_environment
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallMoved,
    CallPriced,
    CallProgressed,
    ConversationStarted,
    DtmfReceived,
    Error,
    FallbackUsed,
    Interruption,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MediaTrouble,
    NoticePlayed,
    Record,
    RecordingStarted,
    ResponseHeard,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
    TransferStarted,
)
from patter_core.observe.metrics import CarrierBill, Latency, costs_of, unpriced_of
from patter_core.observe.printing import Printer, Span, Style, Table
from patter_core.observe.terminal import counted, one_line, write_past_buffer
from patter_core.sink import EventSink
from patter_core.telephony.leg import AnsweredBy, Direction, Progress
from patter_core.telephony.outcome import end_words
from patter_core.telephony.prices import Cost, cost_text, costs_text, sum_costs

__all__ = ["ConsoleSink", "event_words", "metrics_table", "transcript_line"]


_ANSWERED_BY = {
    AnsweredBy.HUMAN: "a human answered",
    AnsweredBy.MACHINE: "a machine answered",
    AnsweredBy.MACHINE_READY: "a machine answered, and takes a message now",
    AnsweredBy.FAX: "a fax machine answered",
    AnsweredBy.UNKNOWN: "the carrier does not know who answered",
}


class ConsoleSink(EventSink):
    """Prints each event as a line with its time; where there are several calls, also with the call's id, shortened.

    A thread prints, so that a reader of the terminal or pipe that stalls, or goes away, costs this sink's records only.

    Args:
        printer: by default to standard error.
        several_workers: True if other workers print calls there, too: each line has an id then. By default, as
            PATTER_SEVERAL_WORKERS says, which `patter serve --workers` sets.
    """

    name: ClassVar[str] = "console"
    batch_age: ClassVar[float] = 0.0

    def __init__(self, printer: Printer | None = None, *, several_workers: bool | None = None) -> None:
        several = flag_from_environment("PATTER_SEVERAL_WORKERS") if several_workers is None else several_workers
        self._printer = printer or Printer(sys.stderr)
        self._most_without_id = 0 if several else 1
        """How many live calls are told apart without their ids."""
        self._live: set[str] = set()
        self._with_id: set[str] = set()
        """Those of them whose lines have their ids, until they end."""
        self._rendered: tuple[Record, str] | None = None
        """The first record of the present batch, and what is to be printed of the batch."""
        self._thread = SerialThread()

    async def write(self, records: Sequence[Record]) -> None:
        if not records:
            return
        if self._rendered is None or self._rendered[0] is not records[0]:  # else it is repeated
            self._rendered = records[0], "".join(map(self._line, records))
        await self._thread.run(self._print, records[0])

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        return ()  # nothing is kept

    def _print(self, first: Record) -> None:
        if self._rendered is None or self._rendered[0] is not first:
            return
        _, text = self._rendered
        write_past_buffer(self._printer.file, text)
        self._rendered = first, ""  # a batch is repeated after a time-out, while an abandoned thread still prints it

    def _line(self, record: Record) -> str:
        """Returns the line of a record as the terminal gets it; "" for a record without one."""
        is_over = isinstance(record.event, CallEnded | CallMoved)
        is_over |= isinstance(record.event, CallPriced) and record.call_id not in self._live
        self._live.add(record.call_id)
        if len(self._live) > self._most_without_id:
            self._with_id |= self._live
        call_id = f"{record.call_id[:6]}  " if record.call_id in self._with_id else ""
        if is_over:
            self._live.discard(record.call_id)
            self._with_id.discard(record.call_id)
        description = event_words(record.event)
        if description is None:
            return ""
        style, text = description
        return self._printer.line(Span(f"{call_id}{record.elapsed_ms / 1000:7.2f} s  ", "dim"), Span(text, style))


def transcript_line(event: CallEvent) -> str | None:
    """Returns what was said in an event, as one line of a transcript; None if nothing was."""
    said = isinstance(event, TranscriptInput | TranscriptOutput | TranscriptCorrection)
    description = event_words(event) if said else None
    return None if description is None else description[1]


def metrics_table(metrics: CallMetrics, price: Cost | None = None) -> Table:
    """Returns a table of a call's metrics, without those of audio that there was not, and of an engine not reached.

    Args:
        metrics: of the call.
        price: the carrier's own, once it is known; it takes the place of the estimate.
    """
    had_audio, had_engine = bool(metrics.carrier_format), metrics.engine_connect_ms is not None
    bill = _bill(metrics.carrier_bill, price)
    rows = (
        *([("duration", f"{metrics.duration_ms / 1000:.2f} s")] if had_audio else ()),
        *([("answered after", _ms(metrics.answer_ms))] if had_audio or metrics.answer_ms is not None else ()),
        *([("carrier bills", bill or "of unknown price")] if had_audio or bill else ()),
        *_of_engine(metrics),
        *(_of_audio(metrics) if had_audio else ()),
        *([("engine errors", str(metrics.errors))] if had_audio or had_engine or metrics.errors else ()),
    )
    return Table((), rows)


def _of_engine(metrics: CallMetrics) -> Iterator[tuple[str, str]]:
    if metrics.engine_connect_ms is not None:
        yield "engine connect", _ms(metrics.engine_connect_ms)
        yield "engine", f"{metrics.engine_ms / 1000:.2f} s"
    yield from _engine_bills(metrics)


def _of_audio(metrics: CallMetrics) -> tuple[tuple[str, str], ...]:
    return (
        ("turns", f"{metrics.turns} of the agent, {metrics.user_turns} of the caller"),
        ("first agent audio", f"{_ms(metrics.first_audio_ms)} after the carrier's stream started"),
        ("speech's end to reply", _latency(metrics.speech_reply)),
        ("transcript to reply", _latency(metrics.reply)),
        *((f"speech's end to {stage.replace('_', ' ')}", _latency(took)) for stage, took in metrics.stages.items()),
        ("barge-in to clear", _latency(metrics.barge_in)),
        ("caller audio", f"{counted(metrics.frames_in, 'frame')}, {counted(metrics.bytes_in, 'byte')}"),
        ("agent audio", f"{counted(metrics.frames_out, 'message')}, {counted(metrics.bytes_out, 'byte')}"),
        ("heard by the caller", f"{metrics.heard_ms / 1000:.2f} s"),
        ("interruptions", str(metrics.interruptions)),
        (
            "dropped, early, late, faulty",
            f"{metrics.frames_dropped}, {metrics.frames_early}, {metrics.frames_late}, {metrics.faults}",
        ),
        ("audio", f"{metrics.carrier_format}, {'untouched' if metrics.passthrough else 'converted'}"),
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "-"
    times = (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms)
    return f"{', '.join(f'{time:.0f}' for time in times)} ms (p50, p90, p95, p99 of {latency.count})"


def _bill(bill: CarrierBill | None, price: Cost | None) -> str:
    if price is not None:
        return f"{cost_text(price)}, as it charges"
    if bill is None:
        return ""
    return f"{bill.minutes} min, {cost_text(bill.cost)} ({bill.source}, {bill.as_of})"


def _engine_bills(metrics: CallMetrics) -> Iterator[tuple[str, str]]:
    """Returns a row for each bill. The price of what an engine does not report is on the vendor's bill only."""
    if not metrics.engine_bills and metrics.engine_connect_ms is not None:
        yield "engine bills", "see the vendor's bill"
    for bill in metrics.engine_bills:
        of = " ".join(part for part in (bill.vendor, bill.model) if part)
        if bill.cost is None:
            amounts = ", ".join(f"{amount:g} {unit.replace('_', ' ')}" for unit, amount in bill.amounts.items())
            yield f"{bill.part} bills", f"{of}: of unknown price: {amounts}"
        else:
            yield f"{bill.part} bills", f"{of}: {cost_text(bill.cost)}"


def _figures(metrics: CallMetrics) -> Iterator[str]:
    """Returns what the end of a call says of it: how long replies took, and what the call costs."""
    if metrics.speech_reply is not None:
        yield f"replies after {metrics.speech_reply.p50_ms:.0f} ms (p50)"
    costs = _costs(metrics)
    if costs:
        yield costs


def _costs(metrics: CallMetrics) -> str:
    """Returns what is known of the costs of a call at its end, and of what; "" for nothing."""
    bills, bill = metrics.engine_bills, metrics.carrier_bill
    if not bills and (bill is None or not bill.cost.amount):
        return ""
    parts = ["carrier"] if bill is not None else []
    parts += dict.fromkeys(one.part for one in bills if one.cost is not None)
    unpriced = [unpriced_of(bills), "carrier" if bill is None and metrics.duration_ms else ""]
    sums = sum_costs([*costs_of(bills), *([bill.cost] if bill is not None else [])])
    return costs_text(sums, ", ".join(filter(None, unpriced)), of=", ".join(parts))


def event_words(event: CallEvent) -> tuple[Style, str] | None:
    """Returns a style and a description of an event, in one line; None for the events that are not worth one."""
    description = _words(event)
    if description is None:
        return None
    style, text = description
    return style, one_line(text)


def _words(event: CallEvent) -> tuple[Style, str] | None:  # noqa: C901, PLR0912 - a table of cases
    match event:
        case CallAnnounced() | CallProgressed() | MachineDetected():
            return _beginning(event)
        case MediaStarted(format=format):
            return "", f"the caller's audio starts ({format})"
        case MediaPaused(held=held):
            return "dim", "the caller is put on hold" if held else "the caller's audio broke off"
        case ConversationStarted(engine=engine, connect_ms=connect_ms, output_format=format):
            return "", f"{engine} is ready after {connect_ms:.0f} ms ({format})"
        case TranscriptInput(text=text):
            return "cyan", f"caller: {text}"
        case TranscriptOutput(text=text):
            return "green", f"agent:  {text}"
        case TranscriptCorrection(text=text):
            return "green", f"agent, as far as heard: {text or 'nothing'}"
        case Interruption():
            return "yellow", "the caller interrupts the agent: its audio is cleared"
        case ResponseHeard(heard_ms=heard, sent_ms=sent, interrupted=interrupted):
            return (
                "dim",
                f"heard {heard / 1000:.2f} of {sent / 1000:.2f} s" if interrupted else f"heard {heard / 1000:.2f} s",
            )
        case ToolCall(name=name):
            return "magenta", f"the agent uses {name}"
        case ToolResult(name=name, failed=failed):
            return ("red", f"{name} failed") if failed else ("magenta", f"{name} answered")
        case TransferStarted(to=to):
            return "bold", f"the caller is transferred to {to}"
        case TransferDone(to=to, ok=ok, detail=detail):
            return ("bold", f"transferred to {to}") if ok else ("red", f"no transfer to {to}: {detail}")
        case FallbackUsed():
            return _fallback(event)
        case NoticePlayed(by=by, interrupted=interrupted):
            return "dim", f"the notice was {'interrupted' if interrupted else 'heard'}, in the voice of the {by}"
        case RecordingStarted(location=location):
            return "dim", f"recorded in {location}"
        case CallPriced(cost=cost):
            return "dim", f"the carrier charges {cost.amount} {cost.currency}"
        case DtmfReceived(digit=digit):
            return "cyan", f"caller presses {digit}"
        case Error(message=message):
            return "red", f"engine: {message}"
        case MediaTrouble(problem=problem):
            return "red", f"carrier: {problem}"
        case CallMoved():
            return "dim", "goes on at another worker"
        case CallEnded():
            return "bold", _end(event)
        case _:
            return None


def _fallback(event: FallbackUsed) -> tuple[Style, str]:
    if not event.ok:
        return "red", f"fallback failed, the caller is hung up on: {event.detail.rstrip().removesuffix('.')}"
    done = [f"says “{event.say}”"] if event.say else []
    done.append("transfers the caller" if event.to else "hangs up")  # to where, is told by the transfer's own lines
    return "bold", f"fallback: the carrier {' and '.join(done)}"


def _beginning(event: CallAnnounced | CallProgressed | MachineDetected) -> tuple[Style, str]:
    match event:
        case CallAnnounced(leg=leg, agent=agent, resumed=True):
            does = "talks" if leg.direction is Direction.OUTBOUND else "answers"
            return "bold", f"the {leg.carrier} call goes on, {leg.direction.value}; {agent} {does}"
        case CallAnnounced(leg=leg, agent=agent) if leg.direction is Direction.OUTBOUND:
            return "bold", f"{leg.carrier} dials, outbound; {agent} talks"
        case CallAnnounced(leg=leg, agent=agent):
            return "bold", f"{leg.carrier} rings, {leg.direction.value}; {agent} answers"
        case CallProgressed(progress=progress):
            return "dim", "the called phone rings" if progress is Progress.RINGING else f"the call is {progress.value}"
        case MachineDetected(answered_by=who):
            return "dim", _ANSWERED_BY[who]


def _end(event: CallEnded) -> str:
    when = f"ended after {event.duration_ms / 1000:.2f} s" if event.duration_ms else "ended without audio"
    what = f"{when}: {end_words(event.reason, event.by).replace('_', ' ')}"
    why = event.detail.rstrip().removesuffix(".")
    return "; ".join((f"{what}: {why}" if why else what, *_figures(event.metrics)))
