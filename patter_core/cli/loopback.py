"""A call over loopback, from an emulated carrier, and a folder with its recording, transcript and metrics."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import anyio

from patter_core.cli.told import INTERRUPTED
from patter_core.errors import ConfigurationError
from patter_core.events import CallEnded, CallEvent, Record
from patter_core.observe.printing import Printer, Span, Table
from patter_core.patter import Patter
from patter_core.server.routing import Routing
from patter_core.server.serving import serve_app
from patter_core.sinks.console import metrics_table, transcript_line
from patter_core.storage.files import write_private
from patter_core.telephony.numbers import voice_path
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.stream import CallRecording
from patter_core.testing.wav import write_stereo_wav

__all__ = ["place_call", "report", "run_call", "writable_folder"]

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
    on_late: Callable[[], None] = lambda: None,
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
        on_late: called when the caller hangs up after `longest`.
    """
    async with serve_app(phone.asgi(routing)) as url:
        call = emulator.place(url + voice_path(emulator.carrier().name), caller)
        on_placed(call.recording)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_unanswered, call)
            if math.isfinite(longest):
                tasks.start_soon(_hang_up_after, call, longest, on_late)
            recording = await call.run()
            tasks.cancel_scope.cancel()
        return recording


@contextlib.contextmanager
def writable_folder(path: Path) -> Iterator[Path]:
    """Makes a folder, and finds out before the call whether it can be written.

    At the end, what it has made and what holds nothing by then is removed, the folders around it as well.

    Raises:
        ConfigurationError: it cannot.
    """
    made: list[Path] = []
    try:
        try:
            made += [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written.",
                expected="a folder for the recording and the transcript",
                got=error.strerror or type(error).__name__,
                remedy="Choose another one with --out.",
            ) from None
        yield path
    finally:
        with contextlib.suppress(OSError):  # one holds something, and so do those around it
            for folder in made:
                folder.rmdir()


def run_call(call: Callable[[], Awaitable[None]]) -> bool:
    """Runs a call to its end. False if Ctrl-C has interrupted it."""
    try:
        anyio.run(call)
    except KeyboardInterrupt:
        return False
    return True


def report(
    console: Printer, records: Iterable[Record], recording: CallRecording, out: Path, *, complete: bool = True
) -> int:
    """Writes the recording, the transcript and the metrics to `out`, as far as there are any, and tells where they are.

    Returns the exit code: 1 if the agent was not heard, 130 if the call was interrupted.

    Args:
        console: is told.
        records: of the call.
        recording: what both sides heard.
        out: the folder.
        complete: False if the call was interrupted.
    """
    events = [record.event for record in records]
    ended = next((event for event in events if isinstance(event, CallEnded)), None)
    metrics = None if ended is None else metrics_table(ended.metrics)
    failed = ended is None or not recording.played
    if metrics is not None and not failed:
        console.print()
        console.table(metrics)
        console.print()
    if not complete:
        console.print("Interrupted.")
    elif failed:
        console.print(Span("The call failed.", "red"), " The lines above show how far it came.")
    if events or recording.caller or recording.agent:
        _keep(events, metrics, recording, out)
        others = "transcript.txt" if metrics is None else "transcript.txt and metrics.txt"
        comma = "," if metrics is not None else " and"
        console.print(Span(str(out), "bold"), f" holds call.wav (caller left, agent right){comma} {others}")
    return INTERRUPTED if not complete else int(failed)


def _keep(events: Iterable[CallEvent], metrics: Table | None, recording: CallRecording, out: Path) -> None:
    """Writes the files, in place of those of an earlier call. As those of sinks, they are for their owner alone."""
    write_stereo_wav(out / "call.wav", bytes(recording.caller), bytes(recording.agent), recording.format)
    lines = [line for event in events if (line := transcript_line(event))]
    write_private(out / "transcript.txt", ("\n".join(lines) + "\n").encode())
    (out / "metrics.txt").unlink(missing_ok=True)
    if metrics is not None:
        text = io.StringIO()
        Printer(text).table(metrics)
        write_private(out / "metrics.txt", text.getvalue().encode())


async def _hang_up_unanswered(call: EmulatedCall) -> None:
    with anyio.move_on_after(_LONGEST_RINGING):
        await call.streaming()
        return
    call.end()


async def _hang_up_after(call: EmulatedCall, seconds: float, on_late: Callable[[], None]) -> None:
    await anyio.sleep(seconds)
    on_late()
    call.end()
