"""The board of the workers: each sees all; one that no longer writes does not answer, and one that ended is gone."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import time
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.call.state import Signal, State
from patter_core.call.timeouts import Deadlines
from patter_core.events import CallAnnounced, CallAnswered
from patter_core.server.board import HostHealth, WorkerBoard, new_board
from patter_core.server.call_table import CallTable
from patter_core.server.host import CallHost
from patter_core.store import CallStore
from patter_core.telephony.leg import Progress
from patter_core.testing.fakes import FakeCarrier
from patter_core.webhook import Accept
from tests.polling import until
from tests.server.test_replays import streaming
from tests.server.test_router import LEG, Scene, accepted, outbound, routed

pytestmark = pytest.mark.anyio


async def test_each_worker_tells_of_all() -> None:
    file = new_board(3)
    boards = [WorkerBoard(os.dup(file), number) for number in range(3)]
    os.close(file)
    tables = [CallTable(HostConfig()) for _ in boards]
    tables[1].draining = True
    for board, table, at in zip(boards, tables, (100.0, 101.0, 90.0), strict=True):
        board.write(table, at)
    expected = HostHealth(ready=True, workers=3, alive=2, taking_calls=1, draining=1, calls=0)
    assert [board.health(102.0) for board in boards] == [expected] * 3
    tables[0].draining = True
    boards[0].write(tables[0], 102.0)
    assert not boards[2].health(102.0).ready
    async with boards[0].serving(tables[0]):
        pass
    assert boards[1].health(102.0).alive == 1
    with pytest.raises(KeyError):
        async with boards[0].serving(tables[0]):
            raise KeyError


def test_a_worker_that_is_alone_is_the_whole_server() -> None:
    board = WorkerBoard()
    board.write(CallTable(HostConfig()), 1.0)
    assert board.health(2.0) == HostHealth(ready=True, workers=1, alive=1, taking_calls=1, draining=0, calls=0)


class Asking(FakeCarrier):
    asks_at_stream_end = True
    stream_end_is_call_end = False


class Pair:
    """Two workers of one server, `here` and `there`, without the clock of their boards: a test lets them look."""

    def __init__(self, scene: Scene, here: CallHost, there: CallHost) -> None:
        self.scene, self.here, self.there = scene, here, there
        file = new_board(2)
        self.boards = [WorkerBoard(os.dup(file), number) for number in range(2)]
        self.memory = mmap.mmap(file, 0)
        os.close(file)
        for board, host in zip(self.boards, (here, there), strict=True):
            host.table.others = board

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, carrier: FakeCarrier | None = None, *, deadlines: Deadlines | None = None, calls: int = 500
    ) -> AsyncIterator[Pair]:
        """Both run, and share their carrier."""
        async with two_hosts(carrier, deadlines=deadlines, calls=calls) as (scene, here, there):
            yield cls(scene, here, there)

    def look(self) -> None:
        self.boards[0].look(self.here.table)
        self.boards[1].look(self.there.table)


@contextlib.asynccontextmanager
async def two_hosts(
    carrier: FakeCarrier | None = None,
    *,
    deadlines: Deadlines | None = None,
    store: CallStore | None = None,
    calls: int = 500,
) -> AsyncIterator[tuple[Scene, CallHost, CallHost]]:
    """Two workers that have a carrier and, perhaps, a store in common, and no board."""
    limits = Limits(calls=calls, drain=0.01, reconnects=5)
    scene = Scene(several_workers=True, limits=limits, carrier=carrier, deadlines=deadlines, store=store)
    async with scene.running() as here:
        there = scene.new_host()
        async with there.running():
            yield scene, here, there


def stream_comes(host: CallHost, accept: Accept) -> None:
    assert host.routers["fake"].claim(accept.token) is not None


async def test_a_dialled_call_whose_audio_comes_to_another_worker_is_over_where_it_was_dialled() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial()
        other = await pair.scene.dial()
        pair.look()
        assert len(pair.here.table) == 2
        token = pair.scene.carrier.dialled[0].callbacks.token
        stream_comes(pair.there, await accepted(pair.there, outbound(), token))
        pair.look()
        with anyio.fail_after(5):
            ended = await dialled.wait()
        assert (ended.reason, dialled.status, await dialled.wait_answered()) == ("moved", Progress.ANSWERED, True)
        assert [call.call_id for call in pair.here.table.calls] == [other.id]
        assert [call.call_id for call in pair.there.table.calls] == [dialled.id]
        pair.look()
        assert len(pair.there.table) == 1
        moved = await pair.scene.sink.wait_for("call_moved")
        assert [record.call_id for record in moved] == [dialled.id]
        assert pair.scene.carrier.hung_up == []
        assert await dialled.hang_up() == ended  # as of any call that is over: it may be meant for this worker alone
        assert pair.scene.carrier.hung_up == []


async def test_the_end_of_a_short_call_is_told_by_the_worker_that_had_its_audio() -> None:
    """The carrier reports it to the one that dialled, before that one has looked by itself."""
    async with Pair.running() as pair:
        dialled = await pair.scene.dial()
        token = pair.scene.token
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            await routed(pair.here, outbound(), token).progressed(Progress.COMPLETED)
            assert (await dialled.wait()).reason == "moved"
            media.say("stop")
            await pair.scene.sink.wait_for("call_ended")
        kinds = [record.event.kind for record in pair.scene.sink.records]
        assert (kinds.count("call_ended"), kinds.count("call_moved")) == (1, 1)


async def test_the_end_of_a_call_that_moved_just_now_is_told_by_the_worker_that_has_it() -> None:
    async with Pair.running(Asking(), deadlines=Deadlines(media_return=5.0)) as pair:
        accept = await accepted(pair.here)
        async with streaming(pair.here, accept) as lost:
            lost.break_off()
            await until(lambda: pair.here.table.calls[0].state is State.ENGINE_READY)
            following = await routed(pair.there, LEG, accept.callbacks.token).stream_ended()
            assert isinstance(following, Accept)
            async with streaming(pair.there, following):
                for host in (pair.here, pair.there):
                    await routed(host, LEG, accept.callbacks.token).progressed(Progress.COMPLETED)
                await pair.scene.sink.wait_for("call_ended")
                await pair.scene.sink.wait_for("call_moved")
        kinds = [record.event.kind for record in pair.scene.sink.records]
        assert (kinds.count("call_ended"), kinds.count("call_moved")) == (1, 1)


async def test_an_answer_is_told_once_and_counts_from_when_it_was_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Pair.running() as pair:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now - 12)
        await pair.scene.dial()
        monkeypatch.undo()
        token = pair.scene.token
        await routed(pair.here, outbound(), token).progressed(Progress.ANSWERED)
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1"):
            pair.look()
            (answered,) = await pair.scene.sink.wait_for("call_answered")
        assert isinstance(answered.event, CallAnswered)
        assert answered.event.answer_ms == pytest.approx(12_000, abs=2_000)
        assert answered.elapsed_ms >= 12_000
        dialled, taken = await pair.scene.sink.wait_for("call_announced", 2)
        assert isinstance(dialled.event, CallAnnounced)
        assert isinstance(taken.event, CallAnnounced)
        assert (dialled.event.resumed, taken.event.resumed) == (False, True)


async def test_a_call_goes_with_its_latest_stream_and_may_come_back() -> None:
    async with Pair.running() as pair:
        accept = await accepted(pair.here)
        stream_comes(pair.here, accept)
        for asked, holder, before in (
            (pair.there, pair.there, pair.here),
            (pair.there, pair.here, pair.there),
            (pair.here, pair.there, pair.here),
        ):
            following = await routed(asked, LEG, accept.callbacks.token).stream_ended()
            assert isinstance(following, Accept)
            accept = following
            stream_comes(holder, accept)
            pair.look()
            await until(lambda before=before: len(before.table) == 0)  # type: ignore[misc]
            assert len(holder.table) == 1
        assert len(await pair.scene.sink.wait_for("call_moved", 3)) == 3


async def test_each_stream_after_a_hold_has_a_number_of_its_own() -> None:
    async with Pair.running() as pair:
        async with streaming(pair.here, await accepted(pair.here)):
            (call,) = pair.here.table.calls
            for _ in range(2):  # two holds, both of which end here
                stream_comes(pair.here, call.context.renew_accept())
            accept = call.context.renew_accept()
            again = call.context.renew_accept()
            stream_comes(pair.here, accept)
            pair.look()
            assert call.context.streams_here == 4
        following = await routed(pair.there, LEG, again.callbacks.token).stream_ended()
        assert isinstance(following, Accept)
        stream_comes(pair.there, following)
        pair.look()
        await until(lambda: len(pair.here.table) == 0)


async def test_a_late_stream_and_one_of_a_call_that_is_over_say_nothing_of_where_a_call_is() -> None:
    async with Pair.running() as pair:
        first = await accepted(pair.here)
        tokens = pair.here.routers["fake"].tokens
        token = tokens.read_callback(first.callbacks.token)
        assert token is not None
        late = tokens.accept(token)
        stream_comes(pair.here, first)
        (call,) = pair.here.table.calls
        call.context.streams_here = 3
        stream_comes(pair.here, late)
        assert call.context.streams_here == 3
        call.context.signal(Signal.MOVED)
        following = await routed(pair.there, LEG, first.callbacks.token).stream_ended()
        assert isinstance(following, Accept)
        stream_comes(pair.here, following)  # before the call that is over has left the table
        stream_comes(pair.there, first)
        pair.look()
        assert len(pair.there.table) == 1


async def test_only_the_latest_streams_are_kept_and_one_that_is_half_written_counts_for_none() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial()
        pair.boards[1].note_stream(dialled.id, 0)
        for number in range(1024):
            pair.boards[1].note_stream(f"call-{number}", 0)
        pair.look()
        assert len(pair.here.table) == 1
        pair.boards[1].note_stream(dialled.id, 0)
        pair.memory[pair.memory.find(digest_of(dialled.id)) + 16] = 9  # the count that another call had there
        pair.look()
        assert len(pair.here.table) == 1
        pair.boards[1].note_stream(dialled.id, 0)
        pair.look()
        with anyio.fail_after(5):
            assert (await dialled.wait()).reason == "moved"


def digest_of(call_id: str) -> bytes:
    return hashlib.blake2b(call_id.encode(), digest_size=16).digest()
