"""A call over loopback, from an emulated carrier, and a folder with its recording, transcript and metrics."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

import anyio
from rich.console import Console
from rich.markup import escape

from patter_core.errors import PluginNotFound
from patter_core.events import CallEnded, Record
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.server.serving import serve_app
from patter_core.sinks.console import metrics_table, transcript_line
from patter_core.telephony.numbers import voice_path
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CarrierEmulator, EngineEmulator
from patter_core.testing.stream import CallRecording
from patter_core.testing.wav import write_stereo_wav

__all__ = ["carrier_emulator", "engine_emulator", "place_call", "report"]

_LONGEST_RINGING = 30.0
"""Seconds after which a caller gives up."""


def carrier_emulator(registry: Registry, name: str) -> CarrierEmulator:
    """Returns the emulator of that carrier; without a name, of the first carrier that has one.

    Raises:
        PluginError: there is none.
    """
    emulator = _emulator(registry, "carrier", name)
    assert isinstance(emulator, CarrierEmulator)  # by the contract of Carrier.emulator
    return emulator


def engine_emulator(registry: Registry, name: str) -> EngineEmulator:
    """Returns the emulator of that engine, as `carrier_emulator`."""
    emulator = _emulator(registry, "engine", name)
    assert isinstance(emulator, EngineEmulator)  # by the contract of Engine.emulator
    return emulator


async def place_call(emulator: CarrierEmulator, phone: Patter, routing: Routing, caller: Caller) -> CallRecording:
    """Places a call with a running emulator. Returns when the call is over and its sinks have all records.

    A call that is not answered within half a minute is hung up.

    Args:
        emulator: of the phone's carrier.
        phone: is called.
        routing: who answers it.
        caller: what they say.
    """
    async with serve_app(phone.asgi(routing)) as url:
        call = emulator.place(url + voice_path(emulator.carrier().name), caller)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_unanswered, call)
            recording = await call.run()
            tasks.cancel_scope.cancel()
        return recording


def report(console: Console, records: Iterable[Record], recording: CallRecording, out: Path) -> None:
    """Writes the recording, the transcript and the metrics to `out`. Exits with code 1 if the agent was not heard."""
    out.mkdir(parents=True, exist_ok=True)
    write_stereo_wav(out / "call.wav", bytes(recording.caller), bytes(recording.agent), recording.format)
    kept = list(records)
    lines = [line for record in kept if (line := transcript_line(record.event))]
    (out / "transcript.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ended = next((record.event for record in kept if isinstance(record.event, CallEnded)), None)
    if ended is None or not recording.played:
        console.print("[red]The call failed.[/] The lines above show how far it came.")
        sys.exit(1)
    table = metrics_table(ended.metrics)
    with (out / "metrics.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=100).print(table)
    console.print()
    console.print(table)
    console.print(
        f"\n[bold]{escape(str(out))}[/] holds call.wav (caller left, agent right), transcript.txt and metrics.txt"
    )


async def _hang_up_unanswered(call: EmulatedCall) -> None:
    with anyio.move_on_after(_LONGEST_RINGING):
        await call.streaming()
        return
    call.end()


def _emulator(registry: Registry, kind: str, name: str) -> object:
    for candidate in [name] if name else registry.names(kind):
        found = registry.carrier(candidate) if kind == "carrier" else registry.engine(candidate)
        module, _, attribute = found.emulator.partition(":")
        if module:
            make: object = getattr(importlib.import_module(module), attribute)
            assert callable(make)  # a class, by the contract
            return make()
    raise PluginNotFound(f"No {kind} with an emulator is installed.", remedy="The README says how to install them.")
