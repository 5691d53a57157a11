"""A call over loopback, from an emulated carrier, and a folder with its recording, transcript and metrics."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio

from patter_core.errors import ConfigurationError
from patter_core.events import CallEnded, Record
from patter_core.observe.printing import Printer, Span
from patter_core.patter import Patter
from patter_core.server.routing import Routing
from patter_core.server.serving import serve_app
from patter_core.sinks.console import metrics_table, transcript_line
from patter_core.telephony.numbers import voice_path
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.stream import CallRecording
from patter_core.testing.wav import write_stereo_wav

__all__ = ["place_call", "report", "writable_folder"]

_LONGEST_RINGING = 30.0
"""Seconds after which a caller gives up."""


async def place_call(
    emulator: CarrierEmulator,
    phone: Patter,
    routing: Routing,
    caller: Caller,
    *,
    longest: float = math.inf,
    on_placed: Callable[[CallRecording], None] = lambda _recording: None,
) -> CallRecording:
    """Places a call with a running emulator. Returns when the call is over and its sinks have all records.

    A call that is not answered within half a minute is hung up.

    Args:
        emulator: of the phone's carrier.
        phone: is called.
        routing: who answers it.
        caller: what they say.
        longest: s after which the caller hangs up.
        on_placed: called with the recording when the call begins: it has what was heard whatever happens then.
    """
    async with serve_app(phone.asgi(routing)) as url:
        call = emulator.place(url + voice_path(emulator.carrier().name), caller)
        on_placed(call.recording)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_unanswered, call)
            if math.isfinite(longest):
                tasks.start_soon(_hang_up_after, call, longest)
            recording = await call.run()
            tasks.cancel_scope.cancel()
        return recording


def writable_folder(path: Path) -> Path:
    """Makes a folder, and finds out before the call whether it can be written.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written.",
            expected="a folder for the recording and the transcript",
            got=error.strerror or type(error).__name__,
            remedy="Choose another one with --out.",
        ) from None


def report(console: Printer, records: Iterable[Record], recording: CallRecording, out: Path) -> None:
    """Writes the recording, the transcript and the metrics to `out`. Exits with code 1 if the agent was not heard."""
    out.mkdir(parents=True, exist_ok=True)
    write_stereo_wav(out / "call.wav", bytes(recording.caller), bytes(recording.agent), recording.format)
    kept = list(records)
    lines = [line for record in kept if (line := transcript_line(record.event))]
    (out / "transcript.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ended = next((record.event for record in kept if isinstance(record.event, CallEnded)), None)
    if ended is None or not recording.played:
        console.print(Span("The call failed.", "red"), " The lines above show how far it came.")
        sys.exit(1)
    table = metrics_table(ended.metrics)
    with (out / "metrics.txt").open("w", encoding="utf-8") as file:
        Printer(file).table(table)
    console.print()
    console.table(table)
    console.print()
    console.print(Span(str(out), "bold"), " holds call.wav (caller left, agent right), transcript.txt and metrics.txt")


async def _hang_up_unanswered(call: EmulatedCall) -> None:
    with anyio.move_on_after(_LONGEST_RINGING):
        await call.streaming()
        return
    call.end()


async def _hang_up_after(call: EmulatedCall, seconds: float) -> None:
    await anyio.sleep(seconds)
    call.end()
