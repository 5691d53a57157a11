"""`patter demo`: a whole call over loopback, with the real server, the real plugins, and emulators of both vendors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import click
from rich.console import Console

from patter_core.audio import AudioFormat
from patter_core.cli.loopback import carrier_emulator, engine_emulator, place_call, report
from patter_core.cli.settings import AgentConfig, PluginConfig, Settings, make_sinks
from patter_core.registry import Registry
from patter_core.sink import EventSink
from patter_core.sinks.console import ConsoleSink
from patter_core.sinks.memory import MemorySink
from patter_core.testing.caller import Caller, EndCall, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.emulator import CarrierEmulator, EngineEmulator
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording

__all__ = ["demo"]


@click.command()
@click.option("--carrier", default="", metavar="NAME", help="Which carrier to emulate; by default the first installed.")
@click.option("--engine", default="", metavar="NAME", help="Which engine to emulate; by default the first installed.")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="A sink to carry the events to, besides.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("patter-demo"),
    show_default=True,
    help="Where to leave the recording and the transcript.",
)
@click.pass_obj
def demo(registry: Registry, *, carrier: str, engine: str, sinks: tuple[str, ...], out: Path) -> None:
    """Hear what Patter does: one call, with real audio and no account anywhere."""
    console = Console()
    kept = MemorySink()
    made = make_sinks(registry, Settings(sinks=[PluginConfig(name) for name in sinks]))
    recording = anyio.run(
        _call,
        registry,
        carrier_emulator(registry, carrier),
        engine_emulator(registry, engine),
        [ConsoleSink(console), kept, *made],
    )
    report(console, kept.records, recording, out)


async def _call(
    registry: Registry, carrier: CarrierEmulator, engine: EngineEmulator, sinks: Sequence[EventSink]
) -> CallRecording:
    async with carrier, engine:
        caller = _caller(carrier.format)
        return await place_call(registry, carrier, engine.engine(), caller, sinks=sinks, agent=AgentConfig())


def _caller(format: AudioFormat) -> Caller:
    """A caller who listens, speaks, talks over the answer, and says goodbye."""
    first, interruption, *_, goodbye = (line.audio(format) for line in CALLER_LINES)
    return Caller(
        [
            WaitForSilence(),
            Say(first),
            WaitForAgent(heard=1.0),
            Say(interruption),
            WaitForSilence(),
            Say(goodbye),
            WaitForSilence(),
            Pause(0.2),
            EndCall(),
        ],
        format,
    )
