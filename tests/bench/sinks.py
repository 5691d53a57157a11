"""What sinks cost: CPU for each call of one second, by sink, and what a stuck one costs its audio.

    python -m tests.bench.sinks [--calls 200]

Every call runs through the core as it is, with 50 frames each way and the story of a short talk; only the sockets are
in memory. The first line is what the call itself costs.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import anyio
import msgspec

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.records import Outlets
from patter_core.events import Record, ResponseDone, ResponseStart, TranscriptInput, TranscriptOutput
from patter_core.observe.printing import Printer
from patter_core.server.delivery import Delivery
from patter_core.sink import EventSink
from patter_core.sinks import ConsoleSink, JsonLinesSink, MemorySink, SQLiteSink, WavSink
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeEngine, FakeSocket
from tests.calls import new_call

FRAMES = 50
FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
AT_ONCE = 20


class Stuck(EventSink):
    """Never takes anything."""

    name = "stuck"

    async def write(self, records: Sequence[Record]) -> None:
        await anyio.sleep_forever()


class Measured(msgspec.Struct, frozen=True):
    """Of one run."""

    cpu_ms: float
    """For each call."""
    p99_ms: float
    """From a frame that the engine gave to the socket that took it."""


async def place_call(number: int, host: Delivery, delays: list[float]) -> None:
    """One call, its frames in bursts of ten, as engines send them."""
    engine, socket = FakeEngine(), FakeSocket()
    call = new_call(
        engine,
        call_id=f"{number:032x}",
        leg=Leg(carrier="fake", call_id=f"leg-{number}", from_number="+15550001111", to_number="+15550002222"),
        outlets=Outlets(
            put=(host.put,),
            put_audio=host.put_audio if host.takes_audio else None,
            recordings=host.recordings(f"{number:032x}"),
        ),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.run)
        tasks.start_soon(call.serve_media, socket)
        socket.say("start", f"leg-{number}")
        session = await engine.session()
        for turn in range(FRAMES // 10):
            session.give(TranscriptInput(text="A table for four, please, tomorrow at seven."))
            session.give(ResponseStart(text="Of course."))
            session.give(TranscriptOutput(text="Of course. Under which name may I book it?"))
            at = time.perf_counter()
            for _ in range(10):
                socket.say("audio", FRAME.base64)
                session.give(FRAME)
            await socket.wait_for("audio", (turn + 1) * 10)
            delays.append((time.perf_counter() - at) * 100)
            session.give(ResponseDone())
        socket.say("stop")


async def measure(sinks: Sequence[EventSink], calls: int) -> Measured:
    """Place so many calls, some at once, and drain the sinks."""
    host = Delivery(sinks)
    delays: list[float] = []
    started = time.process_time()
    async with anyio.create_task_group() as serving:
        serving.start_soon(host.run)
        for first in range(0, calls, AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for number in range(first, min(first + AT_ONCE, calls)):
                    tasks.start_soon(place_call, number, host, delays)
        serving.cancel_scope.cancel()
    await host.drain(0.5 if any(isinstance(sink, Stuck) for sink in sinks) else 60)
    return Measured((time.process_time() - started) * 1000 / calls, sorted(delays)[int(len(delays) * 0.99)])


def candidates(folder: Path, nowhere: TextIO) -> dict[str, Callable[[], list[EventSink]]]:
    """What is measured."""
    return {
        "no sink": list,
        "memory": lambda: [MemorySink()],
        "jsonl": lambda: [JsonLinesSink(folder / "events.jsonl")],
        "sqlite": lambda: [SQLiteSink(folder / "patter.db")],
        "console": lambda: [ConsoleSink(Printer(nowhere))],
        "wav": lambda: [WavSink(folder / "wav")],
        "stuck": lambda: [Stuck()],
        "jsonl + sqlite + stuck": lambda: [
            JsonLinesSink(folder / "more.jsonl"),
            SQLiteSink(folder / "more.db"),
            Stuck(),
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    calls: int = parser.parse_args().calls
    logging.disable()
    print(f"{calls} calls of {FRAMES} frames each way, {AT_ONCE} at once\n")  # noqa: T201 - a bench prints
    print("sinks                    CPU a call   more than none   audio p99")  # noqa: T201 - as above
    with tempfile.TemporaryDirectory() as folder, Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        bare = 0.0
        anyio.run(measure, [], AT_ONCE)  # warm
        for name, make in candidates(Path(folder), nowhere).items():
            found = anyio.run(measure, make(), calls)
            bare = bare or found.cpu_ms
            more = found.cpu_ms - bare
            print(f"{name:24} {found.cpu_ms:7.2f} ms {more:12.2f} ms {found.p99_ms:9.2f} ms")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
