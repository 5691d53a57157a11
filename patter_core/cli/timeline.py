"""A call as lines on a terminal, while it happens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    ConversationStarted,
    DtmfReceived,
    EngineTrouble,
    Interruption,
    MediaStarted,
    MediaTrouble,
    Record,
    ResponseHeard,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.sink import EventSink

__all__ = ["Timeline", "metrics_table", "transcript_line"]


class Timeline(EventSink):
    """Prints each event as a line with its time. Keeps the records."""

    name = "timeline"

    def __init__(self, console: Console) -> None:
        self.records: list[Record] = []
        self._console = console

    async def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self.records.append(record)
            said = _words(record.event)
            if said is not None:
                style, text = said
                line = Text(f"{record.elapsed_ms / 1000:7.2f} s  ", style="dim")
                self._console.print(line.append(text, style=style), soft_wrap=True)


def transcript_line(event: CallEvent) -> str | None:
    """What was said, as a line of a transcript; None for everything else."""
    match event:
        case TranscriptInput(text=text):
            return f"caller: {text}"
        case TranscriptOutput(text=text):
            return f"agent:  {text}"
        case TranscriptCorrection(text=text):
            return f"agent, as far as heard: {text}"
        case _:
            return None


def metrics_table(metrics: CallMetrics) -> Table:
    """The call in figures."""
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("duration", f"{metrics.duration_ms / 1000:.2f} s"),
        ("engine connect", _ms(metrics.engine_connect_ms)),
        ("first agent audio", f"{_ms(metrics.first_audio_ms)} after the carrier's stream started"),
        ("replies", ", ".join(_ms(reply) for reply in metrics.reply_ms) or "-"),
        ("caller audio", f"{metrics.frames_in} frames, {metrics.bytes_in} bytes"),
        ("agent audio", f"{metrics.frames_out} messages, {metrics.bytes_out} bytes"),
        ("heard by the caller", f"{metrics.heard_ms / 1000:.2f} s"),
        ("interruptions", str(metrics.interruptions)),
        ("dropped, too early, faulty", f"{metrics.frames_dropped}, {metrics.frames_early}, {metrics.faults}"),
        ("audio", f"{metrics.carrier_format}, {'untouched' if metrics.passthrough else 'converted'}"),
    ):
        table.add_row(name, value)
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _words(event: CallEvent) -> tuple[str, str] | None:  # noqa: C901, PLR0912 - a table of cases
    """Style and text of an event; None for those that a person would not miss."""
    match event:
        case CallAnnounced(leg=leg, agent=agent):
            return "bold", f"{leg.carrier} rings, {leg.direction.value}; {agent} answers"
        case MediaStarted(format=format):
            return "", f"the caller's audio is here ({format})"
        case ConversationStarted(engine=engine, connect_ms=connect_ms, output_format=format):
            return "", f"{engine} is ready after {connect_ms:.0f} ms ({format})"
        case TranscriptInput(text=text):
            return "cyan", f"caller: {text}"
        case TranscriptOutput(text=text):
            return "green", f"agent:  {text}"
        case TranscriptCorrection(text=text):
            return "green", f"agent, as far as heard: {text}"
        case Interruption():
            return "yellow", "the caller talks over the agent: its audio is cleared"
        case ResponseHeard(heard_ms=heard, sent_ms=sent, interrupted=interrupted):
            return (
                "dim",
                f"heard {heard / 1000:.2f} of {sent / 1000:.2f} s" if interrupted else f"heard {heard / 1000:.2f} s",
            )
        case DtmfReceived(digit=digit):
            return "cyan", f"caller presses {digit}"
        case EngineTrouble(message=message):
            return "red", f"engine: {message}"
        case MediaTrouble(problem=problem):
            return "red", f"carrier: {problem}"
        case CallEnded(reason=reason, by=by, duration_ms=duration, detail=detail):
            return (
                "bold",
                f"over after {duration / 1000:.2f} s: {reason.replace('_', ' ')} (by the {by}) {detail}".rstrip(),
            )
        case _:
            return None
