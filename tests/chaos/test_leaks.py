"""After many short calls, ended in every way and every state, the worker holds what it held before."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from patter_core.call.timeouts import Deadlines
from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from tests.chaos.agents import Talker
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import EMULATORS, AnyCall, AnyCarrier, Fleet, Worker, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import Holdings, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

AT_ONCE = 40
KNOWN_BYTES = 6_000
"""A worker remembers 10,000 calls, tokens and events that are over, so that none of them is served twice; and a
carrier's plugin its latest 2,000 answers, so that a webhook that is repeated is answered alike."""
POOLED = AT_ONCE
"""Connections that the HTTP client may keep for its next requests: as many as there were at once."""
SLACK = 40 * 2**20
"""What allocators keep, and garbage until Python looks for it, which is rare where calls are served. A call that leaks
costs some 66 KB: of 2,000 that would be 130 MiB."""


# --- how agents behave -----------------------------------------------------------------------------------------------


class Moods:
    """One conversation after the other: most talk and interrupt, some end, break off, or never begin."""

    def __init__(self) -> None:
        self._talker = Talker(seconds=0.2, pause=0.05, interrupts=True)
        self._beginnings = itertools.count()
        self._talks = itertools.count()

    async def before(self, _: Conversation) -> None:
        if next(self._beginnings) % 10 == 9:
            await anyio.sleep_forever()

    async def __call__(self, talk: Conversation) -> None:
        match next(self._talks) % 10:
            case 3:
                await talk.say("Bye.", b"\x2a" * 800)
                await talk.close(1000)
            case 6:
                talk.abort()
            case 8:
                await talk.close(1011, "Internal error")
            case _:
                await self._talker(talk)


# --- how callers behave ----------------------------------------------------------------------------------------------


async def talks_and_hangs_up(call: AnyCall) -> None:
    await call.streaming()
    await anyio.sleep(0.6)


async def hangs_up_at_once(_: AnyCall) -> None:
    await anyio.lowlevel.checkpoint()


async def hangs_up_as_the_stream_starts(call: AnyCall) -> None:
    await call.until(lambda: bool(call.streams))


async def hangs_up_while_the_engine_connects(call: AnyCall) -> None:
    await call.streaming()


async def breaks_off_and_comes_back(call: AnyCall) -> None:
    await call.streaming()
    await anyio.sleep(0.1)
    call.stream.drop()
    await anyio.sleep(0.4)


async def breaks_off_for_good(call: AnyCall) -> None:
    await call.streaming()
    await anyio.sleep(0.1)
    call.stream.drop()


WAYS: list[Callable[[AnyCall], Awaitable[None]]] = [
    talks_and_hangs_up,
    hangs_up_at_once,
    hangs_up_as_the_stream_starts,
    hangs_up_while_the_engine_connects,
    breaks_off_and_comes_back,
    breaks_off_for_good,
]


async def place_calls(fleet: Fleet, count: int) -> None:
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            call = fleet.carrier.place(fleet.voice_url, Caller(FOREVER, fleet.carrier.format))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                with anyio.move_on_after(2.0):  # some are ended by their agent before
                    await WAYS[number % len(WAYS)](call)
                call.end()
            known = fleet.carrier._calls
            del known[next(name for name, kept in known.items() if kept is call)]  # 2,000 recordings are many

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(one_after_the_other)


def is_back(now: Holdings, before: Holdings) -> bool:
    return (
        now.objects == 0
        and now.tasks <= before.tasks
        and now.sockets <= before.sockets + POOLED
        and now.descriptors <= before.descriptors + POOLED
    )


async def settled(worker: Worker, before: Holdings) -> Holdings:
    """What the worker holds once it is back where it was, or has had the time for it."""
    now = await worker.holdings()
    with anyio.move_on_after(20):
        while not is_back(now, before):
            await anyio.sleep(0.25)
            now = await worker.holdings()
    return now


async def leave_nothing(emulator: type[AnyCarrier], folder: Path, *, calls: int) -> None:
    moods = Moods()
    engine = ElevenLabsEmulator(Behaviour(agent=moods, before_metadata=moods.before))
    deadlines = Deadlines(media_start=2.0, media_return=1.0, last_word=2.0)
    async with running_fleet(emulator, engine, folder) as fleet:
        worker = await fleet.start(Settings(deadlines=deadlines, calls_per_second=1_000.0))
        idle = await worker.holdings()
        await place_calls(fleet, 10 * len(WAYS))  # so that all that is loaded late is loaded
        before = await settled(worker, idle)
        began, conversations = anyio.current_time(), len(engine.conversations)
        await place_calls(fleet, calls)
        took = anyio.current_time() - began
        after = await settled(worker, before)
        conversations = len(engine.conversations) - conversations
    grown = after.memory - before.memory
    figure = (
        f"{after.objects} objects of calls left; "
        f"{conversations} conversations in {took:.0f} s; tasks {after.tasks - before.tasks:+}, "
        f"sockets {after.sockets - before.sockets:+}, descriptors {after.descriptors - before.descriptors:+}, "
        f"memory {grown / 2**20:+.1f} MiB"
    )
    assert is_back(after, before), figure
    assert grown < SLACK + calls * KNOWN_BYTES, figure
    assert "Traceback" not in worker.said, worker.said
    note(f"{calls} short calls ended in every state, {emulator.__name__}", tried=calls, lost=0, figure=figure)


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_two_hundred_short_calls_leave_nothing(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    await leave_nothing(emulator, tmp_path, calls=200)


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_two_thousand_short_calls_leave_nothing(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    await leave_nothing(emulator, tmp_path, calls=2_000)
