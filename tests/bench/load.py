"""The load: callers and the conversation server, in one process, so that a frame's two times are of one clock.

Started by the conductor as `python -m tests.bench.load CORE CARRIER ENGINE [PEM]`; see `control` and `protocol`.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable

import httpx
import msgspec
import uvloop

from patter_elevenlabs.formats import audio_format
from tests.bench import protocol
from tests.bench.carrier_side import CarrierSide
from tests.bench.certificates import server_context
from tests.bench.control import Ready, pin, serve
from tests.bench.engine_side import EngineSide
from tests.bench.flow import Direction, Flow
from tests.bench.lean import LeanSocket, listen
from tests.bench.pacer import Pacer
from tests.bench.service import Service
from tests.bench.services import SERVICES
from tests.bench.vendor import Vendor
from tests.bench.vendors import VENDORS
from tests.bench.voice import Voice

BEFORE_INTERRUPTION = 0.01
"""Seconds, in which what is to be interrupted gets to the carrier."""

_commands: msgspec.json.Decoder[protocol.LoadCommand] = msgspec.json.Decoder(protocol.LoadCommand)


class Load:
    """All calls of a run."""

    def __init__(self, vendor: Vendor, service: Service) -> None:
        self._vendor = vendor
        self._service = service
        self._voice_url = ""
        self._format = vendor.format
        self._conversations: asyncio.Queue[EngineSide] = asyncio.Queue()
        self._reset()

    def _reset(self) -> None:
        self._carriers: list[CarrierSide] = []
        self._engines: list[EngineSide] = []
        self._flows: list[tuple[Flow, Flow]] = []
        self._to_engine, self._to_caller = Direction("to the engine"), Direction("to the caller")
        self._pacer: Pacer | None = None
        self._began = self._began_cpu = 0.0

    def accept(self, socket: LeanSocket) -> None:
        """A conversation is opened."""
        EngineSide(socket, self._format, self._service.talk(self._format), self._conversations.put_nowait)

    async def handle(self, line: bytes) -> msgspec.Struct:
        match _commands.decode(line):
            case protocol.Dial() as dial:
                return await self._dial(dial)
            case protocol.Begin():
                return self._begin()
            case protocol.End():
                return self._end()
            case protocol.Interrupt(times=times):
                return await self._interrupt(times)
            case protocol.HangUp(settle=settle):
                return await self._hang_up(settle)

    async def _dial(self, dial: protocol.Dial) -> protocol.Done:
        began = time.perf_counter()
        if not dial.beside:
            self._reset()
        self._voice_url = dial.voice_url
        self._format = audio_format(dial.engine_format)
        vendors = self._vendor.format
        caller_voice, agent_voice = Voice(vendors), Voice(self._format)
        converted = self._format != vendors
        async with httpx.AsyncClient(trust_env=False) as client:
            for number in range(len(self._flows), len(self._flows) + dial.calls):
                caller = Flow(self._to_engine, number, heard_as=self._format if converted else None, place=number)
                agent = Flow(self._to_caller, number, heard_as=vendors if converted else None, place=number + 512)
                placed = await self._vendor.place(client, dial.voice_url)
                carrier = CarrierSide(placed, caller=caller, agent=agent, voice=caller_voice, format=vendors)
                engine = await asyncio.wait_for(self._conversations.get(), 10)
                engine.join(
                    caller=caller,
                    agent=agent,
                    voice=agent_voice,
                    profile=dial.profile,
                    frame_ms=self._vendor.frame_ms,
                )
                self._carriers.append(carrier)
                self._engines.append(engine)
                self._flows.append((caller, agent))
        if self._pacer is not None:
            self._pacer.stop()
        self._pacer = Pacer(_interleaved([c.tick for c in self._carriers], [e.tick for e in self._engines]))
        self._pacer.start()
        return protocol.Done(time.perf_counter() - began)

    def _begin(self) -> protocol.Done:
        assert self._pacer is not None
        for direction in self._directions:
            direction.measuring = True
        del self._pacer.late_ms[:]
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        return protocol.Done(0.0)

    def _end(self) -> protocol.Measured:
        assert self._pacer is not None
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._began_cpu
        for direction in self._directions:
            direction.measuring = False
        inward, outward = self._to_engine.latencies, self._to_caller.latencies
        return protocol.Measured(
            seconds=seconds,
            frames=len(inward) + len(outward),
            to_engine_ms=[latency * 1000 for latency in inward],
            to_caller_ms=[latency * 1000 for latency in outward],
            own_cpu=cpu / seconds,
            late_ms=list(self._pacer.late_ms),
        )

    async def _interrupt(self, times: int) -> protocol.BargedIn:
        clears: list[float] = []
        for number in itertools.islice(itertools.cycle(range(len(self._engines))), times):
            self._engines[number].say_ahead()
            await asyncio.sleep(BEFORE_INTERRUPTION)
            sent_at, live_from = self._engines[number].interrupt()
            cleared_at = await self._carriers[number].clear(void_before=live_from)
            clears.append((cleared_at - sent_at) * 1000)
        return protocol.BargedIn(clears)

    async def _hang_up(self, settle: float) -> protocol.Tally:
        assert self._pacer is not None
        self._pacer.stop()
        await asyncio.sleep(settle)
        for flows in self._flows:
            for flow in flows:
                flow.settle()
        async with httpx.AsyncClient(trust_env=False) as client:
            for carrier in self._carriers:
                carrier.stop()
                await self._vendor.hung_up(client, self._voice_url, carrier.stream)
        async with asyncio.timeout(10):
            for carrier in self._carriers:
                await carrier.closed.wait()
            for engine in self._engines:
                await engine.closed.wait()
        return protocol.Tally(
            sent=sum(direction.sent for direction in self._directions),
            arrived=sum(direction.arrived for direction in self._directions),
            void=sum(direction.void for direction in self._directions),
            marks=sum(carrier.marks for carrier in self._carriers),
            pongs=sum(engine.pongs for engine in self._engines),
            fault_count=sum(direction.fault_count for direction in self._directions),
            faults=[fault for direction in self._directions for fault in direction.faults],
        )

    @property
    def _directions(self) -> tuple[Direction, Direction]:
        return self._to_engine, self._to_caller


def _interleaved(callers: list[Callable[[], None]], agents: list[Callable[[], None]]) -> list[Callable[[], None]]:
    """In the order of their phases: a call's agent talks half a frame after its caller."""
    half = len(agents) // 2
    return [tick for pair in zip(callers, agents[half:] + agents[:half], strict=True) for tick in pair]


async def main(core: int, carrier: str, engine: str, pem: str = "") -> None:
    pin(core)
    vendor = VENDORS[carrier]()
    load = Load(vendor, SERVICES[engine]())
    tls = server_context(pem)
    server, port = await listen(load.accept, tls)
    async with server, vendor.api() as api_url:
        await serve(Ready(f"http{'s' if tls else ''}://127.0.0.1:{port}", api_url), load.handle)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:]))
