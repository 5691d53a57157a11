"""Round trips: how long a frame of a caller's audio takes to the engine and back, through the worker."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import msgspec

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, CallerFrame
from patter_core.testing.stream import CarrierStream
from patter_elevenlabs.testing import Conversation
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import AnyCall, Fleet, Worker
from tests.polling import until

__all__ = ["Figures", "Harm", "Neighbours", "harmed", "neighbours", "parrot"]

P99_BOUND_MS = 50
MEMORY_BOUND = 32 * 2**20

_SIZE = ULAW_8000.size(20)
_NUMBER = struct.Struct(">Q")
_OVERDUE = 1.0
"""Seconds after which a frame that is not back counts as one that took so long as it has been away."""


async def parrot(talk: Conversation) -> None:
    """An agent that gives each frame back as it comes."""
    async for piece in talk.caller_audio():
        await talk.send_audio(piece, 1)


class Figures(msgspec.Struct, frozen=True):
    """Of one span of time, in ms."""

    frames: int
    p50: float
    p99: float
    longest: float


class NumberedCaller(Caller):
    """Says nothing but the number of each frame, and notes when."""

    def __init__(self) -> None:
        super().__init__(FOREVER, ULAW_8000)
        self.said_at: list[float] = []

    def next(self, agent_audible: bool) -> CallerFrame:
        del agent_audible
        number = len(self.said_at)
        self.said_at.append(anyio.current_time())
        return CallerFrame(_NUMBER.pack(number).ljust(_SIZE, b"\xff"))


class Neighbours:
    """Live calls whose round trips are measured."""

    def __init__(self, calls: list[AnyCall]) -> None:
        self.calls = calls
        self._since = [0] * len(calls)

    @property
    def lost(self) -> int:
        """Those that are over, and those that lost their media socket once."""
        return sum(call.is_over or len(call.streams) != 1 for call in self.calls)

    def begin(self) -> None:
        """What is said from now on is measured."""
        self._since = [len(_caller(call).said_at) for call in self.calls]

    def figures(self) -> Figures:
        """Of what was said since `begin`."""
        took = sorted(
            span * 1000 for call, since in zip(self.calls, self._since, strict=True) for span in _spans(call, since)
        )
        if not took:
            return Figures(0, math.inf, math.inf, math.inf)
        return Figures(len(took), took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])


def _caller(call: AnyCall) -> NumberedCaller:
    assert isinstance(call.caller, NumberedCaller)
    return call.caller


def _spans(call: AnyCall, since: int) -> Iterator[float]:
    """How long each frame was away, in s; those that are not back yet if they are overdue."""
    now, said_at = anyio.current_time(), _caller(call).said_at
    back = dict(_returned(call.stream, now))
    for number in range(since, len(said_at)):
        if number in back:
            yield back[number] - said_at[number]
        elif now - said_at[number] > _OVERDUE:
            yield now - said_at[number]


def _returned(stream: CarrierStream, now: float) -> Iterator[tuple[int, float]]:
    """The numbers that came back, with the time."""
    began = now - stream.elapsed
    for received in stream.received:
        audio = getattr(received.message, "audio", b"")
        for start in range(0, len(audio), _SIZE):
            yield _NUMBER.unpack_from(audio, start)[0], began + received.at


@contextlib.asynccontextmanager
async def neighbours(fleet: Fleet, worker: Worker, count: int = 3) -> AsyncIterator[Neighbours]:
    """So many calls at that worker, for as long as the context lasts. Their agent is to be a `parrot`."""
    calls: list[AnyCall] = [fleet.carrier.place(fleet.url_of(worker.port), NumberedCaller()) for _ in range(count)]
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call.run)
        await until(lambda: all(len(call.recording.played) > 8_000 for call in calls))
        yield Neighbours(calls)
        tasks.cancel_scope.cancel()


class Harm:
    """What was measured of live calls while another one was harmed."""

    def __init__(self, before: Figures) -> None:
        self.before = before
        """Of two seconds in which nothing was harmed."""
        self.during = before
        self.lost = 0
        self.memory = 0
        """The peak of the worker's, in bytes beyond what it had."""

    def __str__(self) -> str:
        return (
            f"p99 {self.during.p99:.0f} ms (else {self.before.p99:.0f}), longest {self.during.longest:.0f} ms, "
            f"memory +{self.memory / 2**20:.0f} MiB"
        )

    def check(self) -> None:
        """The promise: no neighbour is lost, or hears it, and the worker's memory stays where it was."""
        assert self.lost == 0
        assert self.during.p99 <= P99_BOUND_MS, str(self)
        assert self.memory <= MEMORY_BOUND, str(self)


@contextlib.asynccontextmanager
async def harmed(others: Neighbours, worker: Worker) -> AsyncIterator[Harm]:
    """Measures these calls and that worker while the context lasts, and a second longer. Waits for a quiet machine."""
    harm = Harm(await _at_rest(others))
    before = _bytes(worker, "VmRSS")
    _forget_peak(worker)
    others.begin()
    yield harm
    await anyio.sleep(_OVERDUE + 0.1)
    harm.during, harm.lost = others.figures(), others.lost
    harm.memory = _bytes(worker, "VmHWM") - before


async def _at_rest(others: Neighbours) -> Figures:
    """Of two seconds in which nothing is harmed, once the machine is quiet; after ten tries, as it is."""
    figures = Figures(0, math.inf, math.inf, math.inf)
    for _ in range(10):
        others.begin()
        await anyio.sleep(2)
        figures = others.figures()
        if figures.p99 < P99_BOUND_MS / 2:
            break
    return figures


def _forget_peak(worker: Worker) -> None:
    """From now on, its peak is what it has now."""
    Path(f"/proc/{worker.process.pid}/clear_refs").write_text("5", encoding="ascii")


def _bytes(worker: Worker, name: str) -> int:
    """A figure of the kernel's about a process."""
    lines = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
