"""Callers on hold when their worker is killed: at most carriers no stream ends, so nothing asks what is next."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Talker, contexts
from tests.chaos.callers import Callers, talking
from tests.chaos.fleet import CARRIERS, EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.chaos.stores import FileStore
from tests.chaos.worker import RESUME_MESSAGE, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 3
LEASE = 2.0
"""Seconds, in place of 20."""


def store_in(folder: Path) -> tuple[FileStore, Settings]:
    store = folder / "store"
    store.mkdir()
    return FileStore(store), Settings(store=str(store), several_workers=True, lease=LEASE)


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_callers_on_hold_whose_worker_is_killed_are_back_with_the_agent(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    store, settings = store_in(tmp_path)
    engine = ElevenLabsEmulator(Behaviour(agent=Talker(), chunk_ms=100))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        victim = await fleet.start(settings)
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        await fleet.start(settings)
        await fleet.start(settings)
        victim.send(signal.SIGUSR2)
        await until(lambda: store.held == CALLS, within=5, every=0.02)
        await anyio.sleep(1.0)  # the carrier takes the hold
        began, streams = anyio.current_time(), callers.streams()
        await fleet.kill(victim)
        within = 4 * LEASE + 5
        await until(lambda: callers.streams() != streams and len(talking(engine)) >= CALLS, within=within, every=0.02)
        await callers.all_hear_more(callers.heard(), within=within)
        took = anyio.current_time() - began
        await until(lambda: store.held == 0, within=5, every=0.02)
        count = len(engine.conversations)
        await anyio.sleep(2 * LEASE)
        assert (len(engine.conversations), callers.lost) == (count, 0)  # none is taken a second time
        tasks.cancel_scope.cancel()
    for talk in engine.conversations[CALLS:]:
        override = talk.initiation.conversation_config_override
        assert override is not None
        assert override.agent is not None
        assert override.agent.first_message == RESUME_MESSAGE
        assert "I am caller number" in contexts(talk)[0]
    note(
        f"SIGKILL of a worker, {CALLS} callers on hold, {emulator.__name__}",
        tried=CALLS,
        lost=0,
        figure=f"back in {took:.1f} s with leases of {LEASE:g} s",
    )


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_hold_of_a_living_worker_is_its_own(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    store, settings = store_in(tmp_path)
    engine = ElevenLabsEmulator(Behaviour(agent=Talker(), chunk_ms=100))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker, _ = await fleet.start(settings), await fleet.start(settings)
        fleet.balancer.workers = [worker.port]
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        worker.send(signal.SIGUSR2)
        await until(lambda: store.held == CALLS, within=5, every=0.02)
        streams = callers.streams()
        await anyio.sleep(3 * LEASE)
        assert (callers.streams(), store.held) == (streams, CALLS)
        worker.send(signal.SIGUSR2)
        await callers.all_hear_more(callers.heard(), within=5)
        assert (len(engine.conversations), callers.lost, store.held) == (CALLS, 0, 0)
        tasks.cancel_scope.cancel()
    note(f"holds of 3 leases, {emulator.__name__}", tried=CALLS, lost=0)
