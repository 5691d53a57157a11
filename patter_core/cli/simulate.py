"""`patter simulate`: an emulated carrier calls the user's own engine, so that they hear their agent without a phone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import click
from rich.console import Console

from patter_core.audio import AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.cli.loopback import carrier_emulator, place_call, report
from patter_core.cli.options import app_option, check_app, configuration_options, log_to_stderr
from patter_core.errors import ConfigurationError
from patter_core.registry import Registry
from patter_core.settings.load import load
from patter_core.settings.target import open_phone
from patter_core.sinks.console import ConsoleSink
from patter_core.sinks.memory import MemorySink
from patter_core.testing.caller import Caller, EndCall, Say, Step, WaitForSilence
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording
from patter_core.testing.wav import read_wav

__all__ = ["simulate"]

_LINES = {line.name: line for line in CALLER_LINES}


@click.command()
@click.argument("says", nargs=-1)
@app_option
@configuration_options
@click.option("--silence", default=1.5, show_default=True, help="Seconds of silence that end the agent's turn.")
@click.option("--longest", default=120.0, show_default=True, help="Seconds after which the call is cut off.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("patter-simulation"),
    show_default=True,
    help="Folder for the recording and the transcript.",
)
@click.option("-v", "--verbose", count=True, help="Log what happens; twice for more.")
@click.pass_obj
def simulate(
    registry: Registry,
    *,
    says: tuple[str, ...],
    app: str,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    store: str,
    silence: float,
    longest: float,
    out: Path,
    verbose: int,
) -> None:
    """Call your own engine with an emulated carrier: hear your agent without a phone.

    SAYS is what the caller says, in order, each after the agent has fallen silent: WAV files (one channel, 16 bits), or
    lines that come with Patter: booking, correction, time, goodbye. By default booking, then goodbye.

    The engine is the real one, with your credentials. Microphones are not supported, since no Python package brings the
    system library that they need; `arecord -f S16_LE -r 16000 -d 5 hello.wav` records a file.
    """
    log_to_stderr(verbose, registry)
    check_app(app, config, engine, sinks, store)
    console = Console()
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    memory = MemorySink()
    emulator = carrier_emulator(registry, settings.carrier.name)
    caller = _caller(says or ("booking", "goodbye"), emulator.format, silence)

    async def call() -> CallRecording:
        recording = CallRecording(format=emulator.format)
        async with emulator:
            phone, routing = open_phone(
                registry, settings, app, carrier=emulator.carrier(), more_sinks=[ConsoleSink(console), memory]
            )
            with anyio.move_on_after(longest):
                recording = await place_call(emulator, phone, routing, caller)
        return recording

    recording = anyio.run(call)
    report(console, memory.records, recording, out)


def _caller(says: Sequence[str], format: AudioFormat, silence: float) -> Caller:
    steps: list[Step] = [WaitForSilence(silence)]
    for words in says:
        steps += [Say(_audio(words, format)), WaitForSilence(silence)]
    return Caller([*steps, EndCall()], format)


def _audio(words: str, format: AudioFormat) -> bytes:
    if words in _LINES:
        return _LINES[words].audio(format)
    try:
        return transcode(*read_wav(words), format)
    except OSError as error:
        raise ConfigurationError(
            f"{words} cannot be read.",
            expected=f"a WAV file, or one of {', '.join(_LINES)}",
            got=error.strerror or type(error).__name__,
        ) from None
