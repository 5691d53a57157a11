"""A worker dies with calls live: every caller is back in conversation at another within five seconds."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from tests.chaos.agents import Talker, contexts
from tests.chaos.callers import Callers, talking
from tests.chaos.fleet import CARRIERS, AnyCarrier, Fleet, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import RESUME_MESSAGE, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

BACK_WITHIN = 5.0


def lines_of(talks: list[Conversation]) -> set[str]:
    """The line that the caller said in each: `Talker` numbers them."""
    return {f"I am caller number {number:04}." for number in range(1, len(talks) + 1)}


async def lose_workers(emulator: type[AnyCarrier], folder: Path, *, calls: int, rounds: int) -> float:
    """Kill, round by round, the busier one of two workers, and start a new one. Gives the longest time away, in s."""
    store = folder / "store"
    store.mkdir()
    engine = ElevenLabsEmulator(Behaviour(agent=Talker(), chunk_ms=100))
    worst = 0.0
    async with running_fleet(emulator, engine, folder) as fleet, anyio.create_task_group() as tasks:
        settings = Settings(store=str(store), several_workers=True)
        for _ in range(2):
            await fleet.start(settings)
        callers = Callers(fleet, calls)
        await callers.talk(tasks, within=20)
        for _ in range(rounds):
            begun = len(engine.conversations)
            worst = max(worst, await lose_worker(fleet, callers, engine))
            assert callers.lost == 0
            await check_memory(engine, begun)
            await fleet.start(settings)
        tasks.cancel_scope.cancel()
    return worst


async def lose_worker(fleet: Fleet, callers: Callers, engine: ElevenLabsEmulator) -> float:
    """Kill one; gives how long it took until the last of its callers heard the agent again, in s."""
    streams, busier = callers.streams(), max(fleet.workers, key=lambda worker: len(fleet.balancer.streams(worker.port)))
    await fleet.kill(busier)
    count = len(callers.calls)
    moved = await until(
        lambda: callers.streams() != streams and len(talking(engine)) >= count, within=BACK_WITHIN, every=0.02
    )
    return moved + await callers.all_hear_more(callers.heard(), within=BACK_WITHIN - moved)


async def check_memory(engine: ElevenLabsEmulator, begun: int) -> None:
    """Each conversation that took over was told what was said before, and began as one that goes on."""
    resumed = engine.conversations[begun:]
    assert resumed
    await until(lambda: all(contexts(talk) for talk in resumed), within=3)
    before = lines_of(engine.conversations[:begun])
    told = [line for talk in resumed for line in before if f"User: {line}" in contexts(talk)[0]]
    assert len(told) >= len(resumed)  # at least the caller's own line of the conversation before
    assert len(set(told)) == len(told)  # and of no other caller
    for talk in resumed:
        override = talk.initiation.conversation_config_override
        assert override is not None
        assert override.agent is not None
        assert override.agent.first_message == RESUME_MESSAGE


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_killed_worker_loses_no_caller(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    worst = await lose_workers(emulator, tmp_path, calls=4, rounds=1)
    note(f"SIGKILL of a worker, 4 calls, {emulator.__name__}", tried=4, lost=0, figure=f"back in {worst:.1f} s")


@pytest.mark.parametrize("emulator", CARRIERS)
async def test_twenty_calls_survive_one_killed_worker_after_the_other(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    worst = await lose_workers(emulator, tmp_path, calls=20, rounds=3)
    note(
        f"SIGKILL of a worker, 20 calls, 3 times, {emulator.__name__}",
        tried=60,
        lost=0,
        figure=f"back in {worst:.1f} s",
    )


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_worker_that_dies_in_the_middle_of_a_webhook_loses_no_call(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    """The carrier asks again: by itself, or as Twilio does at the number's fallback URL."""
    calls = 6
    engine = ElevenLabsEmulator(Behaviour(agent=Talker()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        victim, _ = await fleet.start(Settings(several_workers=True)), await fleet.start(Settings(several_workers=True))
        victim.send(signal.SIGSTOP)  # the kernel still takes connections in its name, and requests
        callers = Callers(fleet, calls)
        callers.start(tasks)
        await until(lambda: len([link for link in fleet.balancer.links if link.worker == victim.port]) >= calls // 2)
        began = anyio.current_time()
        await fleet.kill(victim)
        await callers.all_hear_more([0] * calls, within=BACK_WITHIN + 5)
        took, lost = anyio.current_time() - began, callers.lost
        tasks.cancel_scope.cancel()
    assert (lost, took < BACK_WITHIN) == (0, True), took
    note(
        f"SIGKILL in the middle of {calls // 2} webhooks, {emulator.__name__}",
        tried=calls,
        lost=lost,
        figure=f"in conversation after {took:.1f} s",
    )
