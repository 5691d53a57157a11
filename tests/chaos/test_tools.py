"""A worker dies in the middle of a tool: what the tool did was done once, and the agent knows that it may have been."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest

from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from tests.chaos.agents import contexts, speech
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import RESUME_MESSAGE, Effect, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

DAYS = ("Monday", "Tuesday", "Wednesday")


class Booker:
    """Talks all the time, and uses the tool once in each conversation that is not one that goes on."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        """By the day that was asked for."""

    async def __call__(self, talk: Conversation) -> None:
        async with anyio.create_task_group() as tasks:
            if not is_resumed(talk):
                tasks.start_soon(self.book, talk, DAYS[len(self.results)])
                self.results[DAYS[len(self.results)]] = ""
            while True:
                await talk.say("One moment.", speech(0.6))
                await anyio.sleep(0.4)

    async def book(self, talk: Conversation, day: str) -> None:
        self.results[day] = (await talk.call_tool("book", {"day": day})).result


def is_resumed(talk: Conversation) -> bool:
    override = talk.initiation.conversation_config_override
    return override is not None and override.agent is not None and override.agent.first_message == RESUME_MESSAGE


def effects_in(file: Path) -> list[Effect]:
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Effect) for line in lines]


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_tool_whose_worker_is_killed_is_not_run_again(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    store, file, booker = tmp_path / "store", tmp_path / "effects", Booker()
    store.mkdir()
    engine = ElevenLabsEmulator(Behaviour(agent=booker, chunk_ms=100))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        settings = Settings(store=str(store), several_workers=True, effects=str(file))
        workers = [await fleet.start(settings), await fleet.start(settings)]
        everybody: list[Callers] = []
        for worker in workers:  # one call on each
            fleet.balancer.workers = [worker.port]
            everybody.append(Callers(fleet, 1))
            await everybody[-1].talk(tasks)
            await until(lambda: len(effects_in(file)) == len(everybody), within=10)
        fleet.balancer.workers = [worker.port for worker in workers]
        before = {effect.pid: effect for effect in effects_in(file)}
        assert before.keys() == {worker.process.pid for worker in workers}
        began = anyio.current_time()
        await fleet.kill(workers[0])
        await until(lambda: len(engine.conversations) == 3 and bool(contexts(engine.conversations[2])), within=10)
        resumed, lost, kept = engine.conversations[2], before[workers[0].process.pid], before[workers[1].process.pid]
        took = anyio.current_time() - began
        for callers in everybody:
            await callers.all_hear_more(callers.heard(), within=5)
        file.with_suffix(".done").touch()
        await until(lambda: bool(booker.results[kept.day]), within=5)
        assert not any(callers.lost for callers in everybody)
        tasks.cancel_scope.cancel()
    assert is_resumed(resumed)
    assert f'You used book({{"day":"{lost.day}"}}): outcome unknown' in contexts(resumed)[0]
    assert kept.day not in contexts(resumed)[0]
    assert booker.results == {kept.day: f"{kept.day} is booked for {kept.call_id}.", lost.day: ""}
    assert sorted(effect.key for effect in effects_in(file)) == sorted(effect.key for effect in before.values())
    assert lost.call_id != kept.call_id
    assert lost.leg_id != kept.leg_id
    note(f"SIGKILL in a tool, {emulator.__name__}", tried=2, lost=0, figure=f"known after {took:.1f} s, done once")
