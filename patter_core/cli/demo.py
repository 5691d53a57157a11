"""`patter demo`: a call over loopback, with the real server, the real plugins, and emulators of both vendors."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from patter_core.audio import AudioFormat
from patter_core.cli.demo_parts import EmulatedParts, part_names
from patter_core.cli.loopback import place_call, report, run_call, writable_folder
from patter_core.errors import ConfigurationError
from patter_core.observe.printing import Printer
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.settings.model import OptionName, PluginConfig
from patter_core.settings.plugins import make_sinks, make_store
from patter_core.sinks.console import ConsoleSink
from patter_core.sinks.memory import MemorySink
from patter_core.testing.caller import Caller, EndCall, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.emulator import EngineEmulator
from patter_core.testing.finding import carrier_emulator, engine_emulator
from patter_core.testing.speech import CALLER_LINES, WELCOME
from patter_core.testing.stream import CallRecording

__all__ = ["demo"]


@click.command()
@click.option(
    "--carrier",
    default="",
    metavar="NAME",
    help="Carrier to emulate. Default: an installed one.",
)
@click.option("--engine", default="", metavar="NAME", help="Engine to emulate. Default: an installed one.")
@click.option("--pipeline", is_flag=True, help="In place of an engine, emulate the services of an agent of parts.")
@click.option("--part", "parts", multiple=True, metavar="KIND=NAME", help="Part of the pipeline, such as stt=NAME.")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Sink for the call's events; repeatable.")
@click.option("--store", default="", metavar="NAME", help="Store for what is said on the call.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("patter-demo"),
    show_default=True,
    help="Folder for the recording and the transcript.",
)
@click.pass_obj
def demo(
    registry: Registry,
    *,
    carrier: str,
    engine: str,
    pipeline: bool,
    parts: tuple[str, ...],
    sinks: tuple[str, ...],
    store: str,
    out: Path,
) -> None:
    """Make a demo call on this machine: real audio, emulated vendors, no account."""
    console = Printer()
    out = click.get_current_context().with_resource(writable_folder(out))
    memory = MemorySink()
    more_sinks = make_sinks(registry, [PluginConfig(OptionName(name)) for name in sinks if name != ConsoleSink.name])
    carrier_played = carrier_emulator(registry, carrier)
    engine_played = _agent_emulator(registry, engine, parts, pipeline=pipeline)
    first_message = WELCOME.text if isinstance(engine_played, EmulatedParts) else ""
    call_store = make_store(registry, PluginConfig(OptionName(store)))

    recordings = [CallRecording(format=carrier_played.format)]

    async def call() -> None:
        async with carrier_played, engine_played:
            phone = Patter(
                carrier=carrier_played.carrier(),
                sinks=[ConsoleSink(console, several_workers=False), memory, *more_sinks],
                store=call_store,
                registry=registry,
            )
            if isinstance(engine_played, EngineEmulator):
                engine_played.prefer(carrier_played.format)
            agent = phone.agent(engine=engine_played.engine(), first_message=first_message)
            caller = _caller(carrier_played.format)
            await place_call(carrier_played, phone, agent, caller, on_placed=recordings.append)

    complete = run_call(call)
    sys.exit(report(console, memory.records, recordings[-1], out, complete=complete))


def _agent_emulator(
    registry: Registry, engine: str, parts: tuple[str, ...], *, pipeline: bool
) -> EngineEmulator | EmulatedParts:
    if not (pipeline or parts):
        return engine_emulator(registry, engine)
    if engine:
        raise ConfigurationError("The demo has an engine, or a pipeline.", expected="--engine, or --pipeline")
    return EmulatedParts(registry, part_names(parts))


def _caller(format: AudioFormat) -> Caller:
    """Returns a caller who listens, speaks, talks over the answer, and says goodbye."""
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
