"""Each call has one end in the records: of two workers, with sockets that are lost and workers that are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.call.timeouts import Deadlines
from patter_core.events import CallAnnounced, CallEnded, CallMoved, CallPriced, Record, RecordingChanged
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, Fleet, Worker, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 12
ENDED_WITHIN = 15.0
"""Seconds: `media_return`, and the carrier's word on whether the call is live."""


class Accounts:
    """What the workers recorded: beginnings and ends, by worker and call."""

    def __init__(self, folder: Path, killed: Sequence[Worker] = ()) -> None:
        self._killed = {worker.port for worker in killed}
        self.begun: Counter[tuple[int, str]] = Counter()
        self.ended: Counter[tuple[int, str]] = Counter()
        self.ends: Counter[str] = Counter()
        """`call_ended`, by call."""
        self.moves = 0
        self.afterwards: list[Record] = []
        """What was told of a call at a worker where it had ended."""
        for file in folder.glob("*.jsonl"):
            for line in file.read_bytes().splitlines():
                self._take(int(file.stem), msgspec.json.decode(line, type=Record))

    def _take(self, port: int, record: Record) -> None:
        key, event = (port, record.call_id), record.event
        if isinstance(event, CallAnnounced):
            self.begun[key] += 1
        elif isinstance(event, CallEnded | CallMoved):
            self.ended[key] += 1
            self.ends[record.call_id] += isinstance(event, CallEnded)
            self.moves += isinstance(event, CallMoved)
        elif self.ended[key] >= self.begun[key] and not isinstance(event, CallPriced | RecordingChanged):
            self.afterwards.append(record)

    @property
    def open(self) -> list[tuple[int, str]]:
        """Calls that began at a worker that lives, without an end there."""
        return [key for key, count in self.begun.items() if self.ended[key] < count and key[0] not in self._killed]

    @property
    def twice(self) -> list[tuple[int, str]]:
        """Ends without a beginning, and second ends."""
        return [key for key, count in self.ended.items() if count > self.begun[key]]

    @property
    def calls(self) -> set[str]:
        return {call_id for _, call_id in self.begun}


async def lose_sockets(fleet: Fleet, callers: Callers) -> None:
    """Cut the media sockets of a worker; their carrier comes back to the other one."""
    first, second = fleet.workers
    for worker, other in ((first, second), (second, first)):
        fleet.balancer.workers = [other.port]
        for link in fleet.balancer.streams(worker.port)[::2]:
            link.cut()
        await anyio.sleep(0.5)
        await callers.all_hear_more(callers.heard(), within=10)
    fleet.balancer.workers = [first.port, second.port]


async def end_all(callers: Callers) -> None:
    for call in callers.calls:
        call.end()
    await until(lambda: callers.lost == len(callers.calls))


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize(("kills", "at_once"), [(0, False), (1, False), (0, True)], ids=["moved", "killed", "at once"])
async def test_every_call_that_began_has_one_end(
    emulator: type[AnyCarrier], kills: int, *, at_once: bool, tmp_path: Path
) -> None:
    """`at_once`: calls that end before the worker that lost them has asked the carrier where they are."""
    records = tmp_path / "records"
    records.mkdir()
    store = tmp_path / "store"
    store.mkdir()
    settings = Settings(
        store=str(store),
        several_workers=True,
        records=str(records),
        deadlines=Deadlines(media_return=1.5),
    )
    killed: list[Worker] = []
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        for _ in range(2):
            await fleet.start(settings)
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        await lose_sockets(fleet, callers)
        for _ in range(kills):
            await anyio.sleep(1.0)  # what was recorded by now is written
            killed.append(await lose_worker(fleet))
            await callers.all_hear_more(callers.heard(), within=10)
            await fleet.start(settings)
        if not at_once:
            await until(lambda: Accounts(records).moves >= CALLS // 4, within=ENDED_WITHIN, every=0.25)
        lost = callers.lost
        await end_all(callers)
        await until(lambda: not Accounts(records, killed).open, within=ENDED_WITHIN, every=0.25)
        await anyio.sleep(1)  # in which nothing more may be told
        accounts = Accounts(records, killed)
        tasks.cancel_scope.cancel()
    assert lost == 0
    assert len(accounts.calls) == CALLS
    assert accounts.open == accounts.twice == []
    assert [record.event.kind for record in accounts.afterwards] == []
    assert set(accounts.ends) == accounts.calls
    if not at_once:  # else neither worker can know that the other one tells it, too
        assert {call: count for call, count in accounts.ends.items() if count != 1} == {}
        assert accounts.moves > 0
    end = "at once" if at_once else "later"
    note(
        f"one end a call: {CALLS} calls, half of the sockets lost, {kills} kills, ended {end}, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"{accounts.ends.total()} ends, {accounts.moves} moves, {accounts.begun.total()} beginnings",
    )


async def lose_worker(fleet: Fleet) -> Worker:
    """SIGKILL of the busier one."""
    worker = max(fleet.workers, key=lambda one: len(fleet.balancer.streams(one.port)))
    await fleet.kill(worker)
    return worker
