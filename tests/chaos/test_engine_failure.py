"""An engine that is down, stalls, hangs or breaks off: in three seconds the caller hears somebody or is released."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from patter_core.testing.network import free_port
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from tests.chaos.agents import Steady
from tests.chaos.balancer import Balancer, Link
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCall, AnyCarrier, Fleet, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import COLLEAGUE, SORRY, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

HELPED_WITHIN = 3.0
HASTE = 1.0
"""What a busy machine may add to that."""
CALLS = 5

# --- how an engine fails before it talks -----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def refuses_connections(_: ElevenLabsEmulator) -> AsyncIterator[str]:
    yield f"http://127.0.0.1:{free_port()}"


@contextlib.asynccontextmanager
async def accepts_and_never_answers(_: ElevenLabsEmulator) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as deaf:
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"


@contextlib.asynccontextmanager
async def never_begins(engine: ElevenLabsEmulator) -> AsyncIterator[str]:
    async def stall(_: Conversation) -> None:
        await anyio.sleep_forever()

    engine.behaviour = Behaviour(before_metadata=stall)
    yield engine.base_url


@contextlib.asynccontextmanager
async def refuses_the_upgrade(engine: ElevenLabsEmulator) -> AsyncIterator[str]:
    engine.behaviour = Behaviour(refuse_upgrade=503)
    yield engine.base_url


Down = Callable[[ElevenLabsEmulator], contextlib.AbstractAsyncContextManager[str]]
DOWN: list[Down] = [refuses_connections, accepts_and_never_answers, never_begins, refuses_the_upgrade]


# --- how a caller is helped ------------------------------------------------------------------------------------------


def is_helped(call: AnyCall, fallback: str) -> bool:
    match fallback:
        case "hang up":
            return call.is_over
        case "say":
            return call.spoken == [SORRY]
        case "transfer":
            return call.transferred_to == [COLLEAGUE]
        case _:
            return len(call.recording.played) >= 800


async def help_comes(fleet: Fleet, fallback: str, tasks: anyio.abc.TaskGroup) -> float:
    """Place calls; gives how long the last of them waited, from that caller's first stream, in s."""
    callers = Callers(fleet, CALLS)
    waited: list[float] = []

    async def watch(call: AnyCall) -> None:
        await call.streaming()
        waited.append(await until(lambda: is_helped(call, fallback)))

    callers.start(tasks)
    async with anyio.create_task_group() as watching:
        for call in callers.calls:
            watching.start_soon(watch, call)
    return max(waited)


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("fallback", ["hang up", "say", "transfer", "another engine"])
async def test_an_engine_that_is_down_leaves_no_caller_in_silence(
    emulator: type[AnyCarrier], fallback: str, tmp_path: Path
) -> None:
    await leave_no_caller_in_silence(emulator, fallback, DOWN, tmp_path)


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_an_engine_that_accepts_and_never_answers_leaves_no_caller_in_silence(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    await leave_no_caller_in_silence(emulator, "say", [accepts_and_never_answers], tmp_path)


async def leave_no_caller_in_silence(emulator: type[AnyCarrier], fallback: str, ways: list[Down], folder: Path) -> None:
    worst = 0.0
    async with (
        running_fleet(emulator, ElevenLabsEmulator(), folder) as fleet,
        ElevenLabsEmulator(Behaviour(agent=Steady())) as reserve,
        anyio.create_task_group() as tasks,
    ):
        for down in ways:
            async with down(fleet.engine) as fleet.engine_url:
                how = reserve.base_url if fallback == "another engine" else fallback
                worker = await fleet.start(Settings(fallback=how))
                waited = await help_comes(fleet, fallback, tasks)
                await fleet.kill(worker)
            assert waited < HELPED_WITHIN + HASTE, f"{down.__name__}: {waited:.1f} s"
            worst = max(worst, waited)
        tasks.cancel_scope.cancel()
    note(
        f"engine down in {len(ways)} ways, fallback: {fallback}, {emulator.__name__}",
        tried=CALLS * len(ways),
        lost=0,
        figure=f"helped within {worst:.1f} s",
    )


# --- how an engine fails while it talks ------------------------------------------------------------------------------


def aborts(link: Link) -> None:
    link.cut()


def half_closes(link: Link) -> None:
    link.half_close()


def hangs(link: Link) -> None:
    link.freeze_both()


Harm = Callable[[Link], None]


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("harm", [aborts, half_closes, hangs])
async def test_an_engine_that_breaks_off_in_mid_call_is_followed_by_another(
    emulator: type[AnyCarrier], harm: Harm, tmp_path: Path
) -> None:
    """A cable that leads nowhere any more is noticed when nothing comes, not even a pong: within 2.5 s."""
    noticed_within = 2.5 if harm is hangs else 0.0
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with (
        running_fleet(emulator, engine, tmp_path) as fleet,
        Balancer().running() as cable,
        anyio.create_task_group() as tasks,
    ):
        cable.workers = [int(engine.base_url.rpartition(":")[2])]
        fleet.engine_url = f"http://127.0.0.1:{cable.port}"
        await fleet.start(Settings(fallback="try again"))
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks, within=10)
        began, since = anyio.current_time(), callers.positions()
        for link in cable.links:
            harm(link)
        await until(
            lambda: len(engine.conversations) == 2 * CALLS, within=noticed_within + HELPED_WITHIN + HASTE, every=0.02
        )
        heard = callers.heard()
        await callers.all_hear_more(heard, within=HELPED_WITHIN)
        took = anyio.current_time() - began
        gap = callers.longest_gap_ms(since)
        lost = callers.lost
        tasks.cancel_scope.cancel()
    assert lost == 0
    assert gap < (noticed_within + HELPED_WITHIN + HASTE) * 1000
    note(
        f"engine {harm.__name__} in mid-call, tried again, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"in conversation again after {took:.1f} s",
    )
