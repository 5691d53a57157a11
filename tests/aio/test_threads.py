"""Blocking code runs in daemon threads; a hung one holds up neither the loop nor the end of the process."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import time
import traceback

import anyio
import pytest

from patter_core.aio import kept_threads, threads
from patter_core.aio.threads import DaemonThreads, SerialThread, left_behind
from patter_core.errors import ForeignFault, SinkUnavailable
from tests.polling import until

pytestmark = pytest.mark.anyio


async def test_it_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    pool = DaemonThreads(1)
    assert await pool.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)


async def test_work_sees_the_context_of_its_caller_and_leaves_nothing_in_it() -> None:
    variable = contextvars.ContextVar("variable", default="")
    pool = DaemonThreads(1)
    variable.set("of the caller")
    assert await pool.run(variable.get) == "of the caller"
    await pool.run(variable.set, "of the thread")
    assert await pool.run(variable.get) == "of the caller"


async def test_what_is_no_exception_in_a_thread_is_one_for_the_caller() -> None:
    for pool in (DaemonThreads(1), SerialThread()):
        with pytest.raises(ForeignFault, match="SystemExit"):
            await pool.run(sys.exit, 3)
        assert await pool.run(divmod, 7, 2) == (3, 1)


async def test_one_that_hangs_can_be_left_and_tells_where_it_is_and_gives_its_place_back() -> None:
    pool, gate = DaemonThreads(1), threading.Event()
    before = left_behind()

    def hang_in_here() -> None:
        gate.wait(10)

    where = ""
    with anyio.move_on_after(0.1):
        try:
            await pool.run(hang_in_here)
        except anyio.get_cancelled_exc_class():
            where = traceback.format_exc()
            raise
    assert "hang_in_here" in where
    assert left_behind() == before + 1
    assert not pool.full
    with anyio.fail_after(5):
        assert await pool.run(divmod, 7, 2) == (3, 1)
        gate.set()
        await until(lambda: left_behind() == before)
        assert await pool.run(divmod, 7, 2) == (3, 1)
    assert not pool.full


async def test_beyond_the_limit_one_that_hangs_keeps_its_place_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "LEFT_LIMIT", left_behind() + 2)
    gates = [threading.Event() for _ in range(4)]
    pool = DaemonThreads(2)
    try:
        for gate in gates:
            await _abandon(pool, gate)
        assert left_behind() == threads.LEFT_LIMIT
        assert caplog.text.count("A further one keeps its place.") == 1
        assert pool.full
        with anyio.move_on_after(0.1) as full:
            await pool.run(divmod, 7, 2)
        assert full.cancelled_caught
        gates[3].set()
        with anyio.fail_after(5):
            assert await pool.run(divmod, 7, 2) == (3, 1)
    finally:
        for gate in gates:
            gate.set()
    with anyio.fail_after(5):
        await until(lambda: not pool.full and left_behind() == threads.LEFT_LIMIT - 2)


async def test_hundreds_that_hang_leave_room_for_one_that_does_not() -> None:
    pool, gate = DaemonThreads(8), threading.Event()
    before = left_behind()
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(_abandon, pool, gate)
    with anyio.fail_after(5):
        await until(lambda: left_behind() == before + 100)
    with anyio.fail_after(1):
        assert await pool.run(divmod, 7, 2) == (3, 1)
    gate.set()
    with anyio.fail_after(5):
        await until(lambda: left_behind() == before)


async def _abandon(pool: DaemonThreads | SerialThread, gate: threading.Event) -> None:
    started = threading.Event()

    def hang() -> None:
        started.set()
        gate.wait(30)

    while not started.is_set():  # it had no place before
        with anyio.move_on_after(0.05):
            await pool.run(hang)


@pytest.mark.parametrize("pool", [DaemonThreads(1), SerialThread()])
async def test_a_caller_that_is_cancelled_already_starts_no_work(pool: DaemonThreads | SerialThread) -> None:
    done: list[int] = []
    with anyio.move_on_after(0):
        await pool.run(done.append, 1)
    assert done == []
    await pool.run(done.append, 2)
    assert done == [2]


@pytest.mark.parametrize("pool", ["DaemonThreads(1)", "SerialThread()"])
def test_one_that_hangs_does_not_keep_the_process(pool: str) -> None:
    code = f"""
import anyio, time
from patter_core.aio.threads import DaemonThreads, SerialThread
async def main():
    with anyio.move_on_after(0.1):
        await {pool}.run(time.sleep, 60)
anyio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


async def test_serial_work_runs_in_another_thread_and_its_result_and_error_come_back() -> None:
    here = threading.get_ident()
    assert await SerialThread().run(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        await SerialThread().run(divmod, 1, 0)


async def test_serial_work_that_hangs_is_abandoned_and_no_other_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PATIENCE", 0.01)
    gate = threading.Event()
    one = SerialThread()
    with anyio.fail_after(5):
        await _abandon(one, gate)
        with pytest.raises(SinkUnavailable):
            await one.run(int)
        gate.set()
        monkeypatch.setattr(threads, "_PATIENCE", 5.0)
        assert await one.run(int) == 0


async def test_serial_callers_wait_for_each_other_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PATIENCE", 0.05)
    one, done = SerialThread(), list[int]()

    def work(number: int) -> None:
        time.sleep(0.03)
        done.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(one.run, work, number)
    assert done == list(range(8))


def test_serial_work_that_outlived_its_event_loop_does_not_block_the_next_one() -> None:
    one, gate = SerialThread(), threading.Event()

    async def contend() -> list[int]:
        done: list[int] = []
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(one.run, done.append, number)
        return done

    anyio.run(_abandon, one, gate)
    gate.set()
    assert anyio.run(contend) == [0, 1, 2]


@pytest.mark.parametrize("pool", [DaemonThreads(1), SerialThread()])
async def test_a_thread_that_cannot_start_does_not_keep_its_place(
    pool: DaemonThreads | SerialThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(kept_threads, "_idle", [])
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            await pool.run(int)
    with anyio.fail_after(5):
        assert await pool.run(int) == 0
