"""A carrier's socket that stalls, is cut, or brings more or other than it should: that call suffers, and no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.call.timeouts import Deadlines
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Steady, Torrent
from tests.chaos.callers import Callers, talking
from tests.chaos.fleet import CARRIERS, EMULATORS, AnyCall, AnyCarrier, Fleet, running_fleet
from tests.chaos.floods import BINARY, frame, spew
from tests.chaos.report import bound, note
from tests.chaos.worker import Ending, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

GAP_BOUND_MS = 800
"""What a call may miss while its neighbour is harmed, on two cores that others use too."""


class Scene:
    """Calls in one worker: some to be harmed, and others to be watched meanwhile."""

    def __init__(self, fleet: Fleet, ends: Path, tasks: anyio.abc.TaskGroup) -> None:
        self.fleet = fleet
        self.tasks = tasks
        self._ends = ends

    async def place(self, count: int) -> Callers:
        callers = Callers(self.fleet, count)
        await callers.talk(self.tasks)
        return callers

    def ends(self) -> list[Ending]:
        if not self._ends.exists():
            return []
        return [msgspec.json.decode(line, type=Ending) for line in self._ends.read_bytes().splitlines()]


@contextlib.asynccontextmanager
async def staged(
    emulator: type[AnyCarrier], folder: Path, *, deadlines: Deadlines | None = None
) -> AsyncIterator[Scene]:
    ends = folder / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, folder) as fleet, anyio.create_task_group() as tasks:
        await fleet.start(Settings(ends=str(ends), deadlines=deadlines or Deadlines()))
        yield Scene(fleet, ends, tasks)
        tasks.cancel_scope.cancel()


# --- sockets that stall ----------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_socket_that_leads_nowhere_is_given_up_at_the_deadline(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    deadlines = Deadlines(carrier_silence=1.0, media_return=1.0)
    async with staged(emulator, tmp_path, deadlines=deadlines) as scene:
        await scene.place(3)
        frozen = scene.fleet.balancer.streams()
        others = await scene.place(3)
        since = others.positions()
        for link in frozen:
            link.freeze_both()
        took = await until(lambda: len(talking(scene.fleet.engine)) == 3, within=10)
        await until(lambda: len(scene.ends()) == 3, within=10)
        reasons = {end.reason for end in scene.ends()}
        gap = others.longest_gap_ms(since)
        lost = others.lost
    assert reasons == {"media_lost"}
    assert took < 3.0
    assert (lost, gap < bound(GAP_BOUND_MS)) == (0, True), gap
    note(
        f"3 media sockets half open, 3 more calls, {emulator.__name__}",
        tried=6,
        lost=lost,
        figure=f"given up after {took:.1f} s, others' longest gap {gap:.0f} ms",
    )


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_carrier_that_takes_nothing_is_given_up_and_costs_bounded_memory(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    """With carriers that keep any amount. The others are sent no more than they play, so nothing is in the way."""
    async with staged(emulator, tmp_path, deadlines=Deadlines(carrier_silence=2.0, media_return=1.0)) as scene:
        fleet = scene.fleet
        others = await scene.place(3)
        worker = fleet.workers[0]
        fleet.engine.behaviour = Behaviour(agent=Torrent())
        before = await worker.holdings()
        since = others.positions()
        victims = Callers(fleet, 2)
        victims.start(scene.tasks)
        await until(lambda: all(heard > 0 for heard in victims.heard()))
        for link in fleet.balancer.streams()[3:]:
            link.deafen()
        await until(lambda: len(scene.ends()) >= 2, within=30)
        after = await worker.holdings()
        reasons = {end.reason for end in scene.ends()}
        gap, lost = others.longest_gap_ms(since), others.lost
    grown = (after.memory - before.memory) / 2**20
    assert reasons == {"media_lost"}
    assert grown < 60
    assert (lost, gap < bound(GAP_BOUND_MS)) == (0, True), gap
    note(
        f"2 carriers that read nothing of a torrent, 3 more calls, {emulator.__name__}",
        tried=3,
        lost=lost,
        figure=f"memory +{grown:.0f} MiB, others' longest gap {gap:.0f} ms",
    )


# --- floods on a media socket ----------------------------------------------------------------------------------------

Flood = Callable[[asyncio.Transport], Awaitable[None]]


async def audio(transport: asyncio.Transport) -> None:
    await spew(transport, frame(b'{"event":"media","media":{"payload":"' + b"A" * 216 + b'"}}'), 1_500)


async def garbage(transport: asyncio.Transport) -> None:
    for payload in (b"{" * 500, b"[]", b"nonsense", b'{"event":7}', b"\xc3\xa9" * 100):
        await spew(transport, frame(payload), 300)


async def binary(transport: asyncio.Transport) -> None:
    await spew(transport, frame(bytes(range(256)), BINARY), 1_500)


async def too_much(transport: asyncio.Transport) -> None:
    await spew(transport, frame(b"[]"), 50_000)


async def no_text(transport: asyncio.Transport) -> None:
    await spew(transport, frame(b"\xff\xfe\xfd"), 100)


async def no_websocket(transport: asyncio.Transport) -> None:
    await spew(transport, b"GET / HTTP/1.1\r\n\r\n", 1_000)


async def oversized(transport: asyncio.Transport) -> None:
    await spew(transport, frame(b"x" * 1_000_000), 20)


FLOODS: list[tuple[Flood, bool]] = [
    (audio, True),
    (garbage, True),
    (binary, True),
    (too_much, False),
    (no_text, False),
    (no_websocket, False),
    (oversized, False),
]
"""With whether the socket outlives it."""


async def reaches(call: AnyCall, *, streams: int, played: int) -> None:
    await until(lambda: len(call.streams) >= streams and len(call.recording.played) >= played)


@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_flood_on_one_socket_is_passed_over_or_ends_that_socket_and_no_neighbour_hears_of_it(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    worst, kept = 0.0, 0
    async with staged(emulator, tmp_path) as scene:
        others = await scene.place(5)
        for flood, survives in FLOODS:
            (victim,) = (await scene.place(1)).calls
            since, streams = others.positions(), len(victim.streams)
            await flood(victim.stream._connected.transport)
            if not survives:  # the socket is ended; the carrier comes back, and the conversation goes on
                await reaches(victim, streams=streams + 1, played=0)
            await reaches(victim, streams=streams, played=len(victim.recording.played) + 4_000)
            assert len(victim.streams) == streams + (not survives), flood.__name__
            kept += 1
            gap = others.longest_gap_ms(since)
            assert gap < bound(GAP_BOUND_MS), f"{flood.__name__}: {gap}"
            worst = max(worst, gap)
            victim.end()
        lost = others.lost
    assert lost == 0
    note(
        f"{len(FLOODS)} kinds of floods on a media socket, 5 more calls, {emulator.__name__}",
        tried=len(FLOODS) + 5,
        lost=lost + len(FLOODS) - kept,
        figure=f"others' longest gap {worst:.0f} ms",
    )
