"""`patter demo`: a whole call over loopback, with the real server, the real plugins, and emulators of both vendors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import click
from rich.console import Console

from patter_core.errors import PluginNotFound
from patter_core.events import CallEnded, Record
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.serving import serve_app
from patter_core.sink import EventSink
from patter_core.sinks.console import ConsoleSink, metrics_table, transcript_line
from patter_core.sinks.memory import MemorySink
from patter_core.testing.caller import Caller, HangUp, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.emulator import CallRecording, CarrierEmulator, EngineEmulator
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.wav import write_stereo_wav

__all__ = ["demo"]


@click.command()
@click.option("--carrier", default="", metavar="NAME", help="Which carrier to emulate; by default the first installed.")
@click.option("--engine", default="", metavar="NAME", help="Which engine to emulate; by default the first installed.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("patter-demo"),
    show_default=True,
    help="Where to leave the recording and the transcript.",
)
@click.pass_obj
def demo(registry: Registry, *, carrier: str, engine: str, out: Path) -> None:
    """Hear what Patter does: one call, with real audio and no account anywhere."""
    console = Console()
    carrier_emulator = _emulator(registry, "carrier", carrier)
    engine_emulator = _emulator(registry, "engine", engine)
    assert isinstance(carrier_emulator, CarrierEmulator)  # what the contract says of Carrier.emulator
    assert isinstance(engine_emulator, EngineEmulator)
    kept = MemorySink()
    recording = anyio.run(_call, registry, carrier_emulator, engine_emulator, [ConsoleSink(console), kept])
    out.mkdir(parents=True, exist_ok=True)
    write_stereo_wav(out / "call.wav", bytes(recording.caller), bytes(recording.agent), recording.format)
    lines = [line for record in kept.records if (line := transcript_line(record.event))]
    (out / "transcript.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ended = _end(kept.records)
    if ended is None or not lines:
        console.print("[red]The call did not go through.[/] The lines above say how far it came.")
        sys.exit(1)
    table = metrics_table(ended.metrics)
    with (out / "metrics.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=100).print(table)
    console.print()
    console.print(table)
    console.print(f"\n[bold]{out}[/] holds call.wav (caller left, agent right), transcript.txt and metrics.txt")


async def _call(
    registry: Registry,
    carrier_emulator: CarrierEmulator,
    engine_emulator: EngineEmulator,
    sinks: Sequence[EventSink],
) -> CallRecording:
    async with carrier_emulator, engine_emulator:
        carrier = carrier_emulator.carrier()
        phone = Patter(carrier=carrier, sinks=sinks, registry=registry)
        agent = phone.agent(engine=engine_emulator.engine())
        async with serve_app(phone.asgi(agent)) as url:
            return await carrier_emulator.call(f"{url}/webhooks/{carrier.name}/voice", _caller(carrier_emulator))


def _caller(emulator: CarrierEmulator) -> Caller:
    """A caller who listens, speaks, talks over the answer, and says goodbye."""
    format = emulator.format
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
            HangUp(),
        ],
        format,
    )


def _emulator(registry: Registry, kind: str, name: str) -> object:
    """The emulator of that carrier or engine; without a name, of the first that has one."""
    for candidate in [name] if name else registry.names(kind):
        found = registry.carrier(candidate) if kind == "carrier" else registry.engine(candidate)
        module, _, attribute = found.emulator.partition(":")
        if module:
            make: object = getattr(importlib.import_module(module), attribute)
            assert callable(make)  # the contract says that it is a class
            return make()
    raise PluginNotFound(
        f"No {kind} with an emulator is installed.", remedy="Try `pip install getpatter`, which brings both kinds."
    )


def _end(records: list[Record]) -> CallEnded | None:
    return next((record.event for record in records if isinstance(record.event, CallEnded)), None)
