"""`patter simulate`: an emulated carrier calls the user's own engine, so that they hear their agent without a phone."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import anyio
import click
import msgspec

from patter_core.audio import AudioFormat
from patter_core.cli.expectations import check_expectations, unmet
from patter_core.cli.loopback import place_call, report, run_call, writable_folder
from patter_core.cli.microphone import LiveCaller, open_microphone
from patter_core.cli.options import app_option, check_app, configuration_options, log_options, start_log
from patter_core.cli.ranges import AboveZero
from patter_core.cli.told import tell
from patter_core.cli.told_settings import tell_unread
from patter_core.config import did_you_mean
from patter_core.errors import AudioError, ConfigurationError
from patter_core.observe.log_setup import LogFormat, LogLevel, LogSettings
from patter_core.observe.printing import Printer, Span
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.settings.load import load
from patter_core.settings.model import PluginConfig, Settings
from patter_core.settings.target import open_phone
from patter_core.sinks.console import ConsoleSink
from patter_core.sinks.memory import MemorySink
from patter_core.testing.caller import Caller, EndCall, Pause, Say, Step, WaitForSilence
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.finding import carrier_emulator
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording
from patter_core.testing.voice import has_voice, spoken
from patter_core.testing.wav import read_wav_as

__all__ = ["simulate"]

_LINES = {line.name: line for line in CALLER_LINES}
_SAID = f"a WAV file, one of {', '.join(_LINES)}, or a sentence where espeak-ng is installed"
_SAYS = ("booking", "goodbye")
"""What the caller says, unless SAYS says it."""
_SECONDS = AboveZero()
_GREETING_WITHIN = 5.0
"""Seconds for the agent to begin, where it is not said who does."""
_ANSWER_WITHIN = 30.0
"""Seconds for the agent to answer: then the caller goes on."""

_LONGEST, _LONGEST_TALK = 120.0, 3600.0
"""Seconds of a call, if --longest says nothing: of a script, and of a person."""

Begins = Literal["agent", "caller", "either"]


@click.command()
@click.argument("says", nargs=-1)
@app_option
@configuration_options
@click.option(
    "--begins",
    type=click.Choice(["agent", "caller", "either"]),
    default="either",
    show_default=True,
    help="Who speaks first. either: the agent, or the caller after 5 s of silence.",
)
@click.option("--silence", type=_SECONDS, default=1.5, show_default=True, help="Seconds that end the agent's turn.")
@click.option(
    "--longest",
    type=_SECONDS,
    default=None,
    help="Seconds until the caller hangs up.  [default: 120, with --microphone 3600]",
)
@click.option("--microphone", is_flag=True, help="Speak yourself, and listen: Ctrl-C hangs up.")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="WORDS",
    help="Words that the agent must say, whatever the case and punctuation; repeatable.",
)
@click.option(
    "--expect-tool", "tools", multiple=True, metavar="NAME", help="A tool that the agent must use; repeatable."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("patter-simulation"),
    show_default=True,
    help="Folder for the recording and the transcript.",
)
@log_options
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
    begins: Begins,
    silence: float,
    longest: float | None,
    microphone: bool,
    expected: tuple[str, ...],
    tools: tuple[str, ...],
    out: Path,
    verbose: int,
    log_level: LogLevel | None,
    log_format: LogFormat,
) -> None:
    """Call your own engine with an emulated carrier: hear your agent without a phone.

    SAYS is what the caller says, in order, each after the agent has fallen silent: WAV files (8, 16, 24 or 32 bits,
    floating point, A-law or μ-law), or lines that come with Patter: booking, correction, time, goodbye; or sentences,
    where espeak-ng is installed. By default booking, then goodbye.

    The engine is the real one, with your credentials. The recording is kept however the call ends, also after Ctrl-C.

    Exit code 1 if the agent was not heard, an --expect or --expect-tool was not met, or --longest cut what the caller
    says; 130 after Ctrl-C.

    With --microphone you are the caller, in place of SAYS. Wear headphones: the agent would hear itself.
    """
    logs = LogSettings(format=log_format, level=log_level or "", verbose=verbose, calls=False, stories=False)
    start_log(logs, registry)
    check_app(app, config, engine, sinks, store)
    check_expectations(expected, tools)
    console, memory = Printer(), MemorySink()
    out = click.get_current_context().with_resource(writable_folder(out))
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    emulator, open_called = _prepare(registry, settings, app)
    says = says or (() if microphone else _SAYS)
    opened = _opened(says, emulator.format, silence, begins, microphone=microphone)
    longest = longest or (_LONGEST_TALK if microphone else _LONGEST)
    recordings, late = [CallRecording(format=emulator.format)], threading.Event()

    async def call(caller: Caller) -> None:
        async with emulator:
            phone, routing = open_called([ConsoleSink(console, several_workers=False), memory])
            noting = functools.partial(place_call, on_placed=recordings.append, on_late=late.set)
            await noting(emulator, phone, routing, caller, longest=longest)

    with opened as caller:
        complete = run_call(functools.partial(call, caller))
    unsaid = says[len(says) - caller.unsaid :] if late.is_set() else ()
    code = report(console, memory.records, recordings[-1], out, complete=complete)
    has_failed = _tell_failures(console, caller, unmet(memory.records, expected, tools) if complete else [], unsaid)
    sys.exit(code or int(has_failed))


def _tell_failures(console: Printer, caller: Caller, problems: Sequence[str], unsaid: Sequence[str]) -> bool:
    """Tells what went wrong, and what the caller did not get to say. True if the command fails for it."""
    for problem in (*(caller.faults if isinstance(caller, LiveCaller) else ()), *problems):
        console.print(Span(problem, "red"))
    if unsaid:
        tell(f"The time of --longest was over before the caller had said: {', '.join(unsaid)}.")
    return bool(problems or unsaid or (isinstance(caller, LiveCaller) and caller.has_failed))


def _prepare(
    registry: Registry, settings: Settings, app: str
) -> tuple[CarrierEmulator, Callable[[Sequence[ConsoleSink | MemorySink]], tuple[Patter, Routing]]]:
    """Returns the emulator of the carrier that is named, or that the phone has, and what opens the phone on it."""
    names = [config.name for config in (settings.carrier, *settings.carriers) if config.name]
    others = [sink for sink in settings.sinks if sink.name != ConsoleSink.name]  # the timeline is printed once
    settings = msgspec.structs.replace(settings, sinks=others)
    if not app:
        emulator = carrier_emulator(registry, names[0] if names else "")
        return emulator, lambda sinks: open_phone(registry, settings, carrier=emulator.carrier(), more_sinks=sinks)
    phone, routing = open_phone(registry, settings, app)
    tell_unread(msgspec.structs.replace(settings, carrier=PluginConfig(), carriers=[]), app, phone)
    own = [carrier.name for carrier in phone.parts.carriers if carrier.emulator]
    played = carrier_emulator(registry, next(iter((*names, *own)), ""))
    return played, lambda sinks: (phone.copy(carrier=played.carrier(), more_sinks=sinks), routing)


def _opened(
    says: tuple[str, ...], format: AudioFormat, silence: float, begins: Begins, *, microphone: bool
) -> contextlib.AbstractContextManager[Caller]:
    """Returns the caller: a person for as long as the devices are open, or one who follows a script."""
    if not microphone:
        return contextlib.nullcontext(_caller(says, format, silence, begins))
    if says:
        raise click.UsageError("With --microphone you are the caller: leave SAYS out.")
    return open_microphone(format)


def _caller(says: Sequence[str], format: AudioFormat, silence: float, begins: Begins) -> Caller:
    patience = _GREETING_WITHIN if begins == "either" else math.inf
    steps: list[Step] = [Pause(0.3) if begins == "caller" else WaitForSilence(silence, patience)]
    for words in says:
        steps += [Say(_audio(words, format)), WaitForSilence(silence, _ANSWER_WITHIN)]
    return Caller([*steps, EndCall()], format)


def _audio(words: str, format: AudioFormat) -> bytes:
    if not words.strip():
        raise ConfigurationError("The words that the caller says are empty.", expected=_SAID)
    if words in _LINES:
        return _LINES[words].audio(format)
    if " " in words and has_voice() and not Path(words).exists():
        return anyio.run(spoken, words, format)
    try:
        audio = read_wav_as(words, format)
    except OSError as error:
        raise ConfigurationError(
            f"{words} cannot be read.",
            expected=_SAID,
            got=error.strerror or type(error).__name__,
            remedy=did_you_mean(words, _LINES),
        ) from None
    except AudioError as error:
        raise ConfigurationError(
            f"{words}: {error.problem}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from None
    if not audio:
        raise ConfigurationError(f"{words} holds no audio.", expected="something that the caller says")
    return audio
