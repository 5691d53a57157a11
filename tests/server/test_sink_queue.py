"""Whatever comes out of a sink is told once and stays there: the sink goes on, and its neighbours do not notice."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.checks import CheckResult, Level
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import CallEnded, CallEvent, CallMetrics, DtmfReceived, Record, TranscriptInput
from patter_core.observe import told
from patter_core.observe.told import Told
from patter_core.server import sink_queue
from patter_core.server.delivery import Delivery
from patter_core.server.sink_queue import SinkQueue
from patter_core.sink import EventSink, WorkerFigures, WorkerStatistics
from patter_core.sinks import JsonLinesSink, MemorySink
from tests.polling import until

pytestmark = pytest.mark.anyio

END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())


def record(sequence: int, event: CallEvent | None = None) -> Record:
    return Record(call_id="call", sequence=sequence, time=0, elapsed_ms=0, event=event or DtmfReceived(digit="1"))


async def a_cancelled_task_of_its_own() -> None:
    task = asyncio.get_running_loop().create_task(anyio.sleep_forever())
    task.cancel()
    await task


async def leave() -> None:
    sys.exit(3)


async def fail() -> None:
    raise ValueError("a bug")


async def be_no_exception() -> None:
    raise BaseException("of its own")  # noqa: TRY002 - the fault under test


FAULTS = [a_cancelled_task_of_its_own, leave, fail, be_no_exception]


class Faulty(MemorySink):
    """Each of its methods has the fault as often as it is told to."""

    name = "faulty"

    def __init__(self, fault: Callable[[], object], times: int = 1) -> None:
        super().__init__()
        self.left = dict.fromkeys(("write", "run", "aclose", "check"), times)
        self.runs = 0
        self._fault = fault

    async def _meet(self, where: str) -> None:
        self.left[where] -= 1
        if self.left[where] >= 0:
            met = self._fault()
            if asyncio.iscoroutine(met):
                await met

    def recording(self, call_id: str) -> str:
        raise SystemExit(3) if self._fault is leave else asyncio.CancelledError

    async def write(self, records: Sequence[Record]) -> None:
        await self._meet("write")
        await super().write(records)

    async def run(self, statistics: WorkerStatistics) -> None:
        self.runs += 1
        await self._meet("run")
        await anyio.sleep_forever()

    async def check(self) -> Sequence[CheckResult]:
        await self._meet("check")
        return ()

    async def aclose(self) -> None:
        await self._meet("aclose")


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_comes_out_of_a_sink_is_told_and_all_sinks_go_on(
    fault: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Faulty(fault), MemorySink()
    delivery = Delivery([bad, good])
    assert delivery.recordings("call") == []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivery.run)
            delivery.put(record(1))
            await until(lambda: bad.left["write"] < 1 and bad.left["check"] < 1)
            for sequence in (2, 3):
                delivery.put(record(sequence))
                await good.wait_for("dtmf_received", sequence)
            await bad.wait_for("dtmf_received", 2)
            await until(lambda: bad.runs == 2)
            tasks.cancel_scope.cancel()
        await delivery.drain()
    assert [got.sequence for got in good.records] == [1, 2, 3]
    assert [got.sequence for got in bad.records] == [2, 3]
    (figures, others) = delivery.figures()
    assert (figures.written, figures.dropped, figures.waiting, figures.failures) == (2, 1, 0, 2)
    assert (others.written, others.dropped, others.failures) == (3, 0, 0)
    assert (bad.left["run"], bad.left["aclose"]) == (-1, 0)
    for words in ("it may lose them", "its background work", "its own checks", "to close", "where it records"):
        assert caplog.text.count(words) == 1


async def test_background_work_that_always_fails_is_started_with_pauses_that_grow_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Faulty(fail, times=1000)
    queue = SinkQueue(sink, first_pause=0.02, longest_pause=0.1)
    began = anyio.current_time()
    with anyio.move_on_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run_sink, WorkerFigures)
            await until(lambda: sink.runs == 6)
            tasks.cancel_scope.cancel()
    assert anyio.current_time() - began > 0.2
    assert caplog.text.count("its background work") == 1
    assert queue.figures().failures >= 5


class Waiting(MemorySink):
    """Its background work is refused until it is let go on."""

    name = "waiting"
    may_run = False

    async def run(self, statistics: WorkerStatistics) -> None:
        if not self.may_run:
            raise SinkRefused("The port is taken.")
        await anyio.sleep_forever()


async def test_background_work_that_goes_on_after_its_failure_was_told_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_queue, "_WORKED", 0.02)
    refused, sound = Waiting(), MemorySink()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for sink in (refused, sound):
                tasks.start_soon(SinkQueue(sink, longest_pause=0.001).run_sink, WorkerFigures)
            await until(lambda: "The port is taken." in caplog.text)
            refused.may_run = True
            await until(lambda: "Sink waiting works in the background again." in caplog.text)
            await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
    assert caplog.text.count("in the background again") == 1


class Stubborn(MemorySink):
    """A write that is not ended by being cancelled."""

    name = "stubborn"

    def __init__(self) -> None:
        super().__init__()
        self.writing = self.most = 0
        self.gate = anyio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        self.writing += 1
        self.most = max(self.most, self.writing)
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue
        self.writing -= 1
        await super().write(records)


async def test_a_write_that_is_not_ended_holds_up_only_its_sink_and_no_other_begins_meanwhile() -> None:
    sink, good = Stubborn(), MemorySink()
    slow, quick = SinkQueue(sink, write_timeout=0.02, first_pause=0.001, longest_pause=0.01), SinkQueue(good)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for queue in (slow, quick):
                tasks.start_soon(queue.run)
                queue.put(record(1))
            await good.wait_for("dtmf_received")
            await until(lambda: slow.open)
            sink.gate.set()
            slow.put(record(2))
            await sink.wait_for("dtmf_received", 2)
            await until(lambda: not slow.waiting)
            tasks.cancel_scope.cancel()
    assert sink.most == 1
    assert [got.sequence for got in sink.records] == [1, 2]  # the late success counts: nothing came twice
    assert slow.figures().written == 2


async def test_a_write_that_is_not_ended_does_not_hold_up_the_end() -> None:
    class Closing(Stubborn):
        closed = False

        async def aclose(self) -> None:
            await anyio.sleep(0.5)
            self.closed = True

    sink = Closing()
    delivery = Delivery([sink])
    delivery.put(record(1))
    with anyio.fail_after(5):
        await delivery.drain(within=0.05)
    assert delivery.figures()[0].dropped == 1
    assert sink.closed  # it had its time in spite of that
    sink.gate.set()


class Refusing(MemorySink):
    """Refuses keys for good."""

    name = "refusing"

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.batches = 0

    async def write(self, records: Sequence[Record]) -> None:
        self.batches += 1
        await super().write([got for got in records if not isinstance(got.event, DtmfReceived)])
        if any(isinstance(got.event, DtmfReceived) for got in records):
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        SinkRefused("It wants no keys.", remedy="Send none."),
        PermissionError(13, "Permission denied", "/calls"),
        IsADirectoryError(21, "Is a directory", "/calls"),
    ],
)
async def test_what_is_refused_for_good_is_dropped_counted_and_told_once_with_its_remedy(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Refusing(error)
    queue = SinkQueue(sink, first_pause=0.001, longest_pause=0.002)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            for sequence in range(1, 9):
                queue.put(record(sequence))
                await until(lambda: not queue.waiting)
            assert queue.open
            queue.put(record(9, TranscriptInput(text="Hi.")))
            await sink.wait_for("transcript_input")
            tasks.cancel_scope.cancel()
    assert (sink.batches, queue.failures, queue.dropped, queue.written, queue.open) == (9, 8, 8, 1, False)
    assert queue.figures().dropped_bytes > 8 * 600
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR, logging.WARNING]
    assert str(error) in caplog.text
    assert "works again" in caplog.text


async def test_a_part_of_a_batch_that_is_refused_does_not_open_the_breaker() -> None:
    sink = Refusing(SinkRefused("It wants no keys.", lost=1))
    queue = SinkQueue(sink, first_pause=0.001)
    for sequence in range(10):
        queue.put(record(sequence, TranscriptInput(text="Hi.") if sequence % 2 else None))
        queue.put(record(sequence, TranscriptInput(text="Hi.")))
        await queue.flush()
    assert (queue.written, queue.dropped, queue.failures, queue.open) == (15, 5, 5, False)


async def test_a_fault_of_the_sinks_own_is_told_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    sink = Faulty(fail, times=20)
    queue = SinkQueue(sink, first_pause=0.001, longest_pause=0.001)
    for sequence in range(20):
        queue.put(record(sequence))
        await queue.flush()
    assert queue.dropped == 20
    assert caplog.text.count("ValueError: a bug") == 1


async def test_a_record_that_the_sink_cannot_take_costs_no_other_call(tmp_path: Path) -> None:
    queue = SinkQueue(JsonLinesSink(tmp_path / "events.jsonl"), first_pause=0.001)
    for call in range(50):
        bad = call == 7
        events: list[CallEvent] = [TranscriptInput(text="\ud800" if bad else "Hi."), DtmfReceived(digit="1"), END]
        for sequence, event in enumerate(events):
            queue.put(msgspec.structs.replace(record(sequence, event), call_id=f"call-{call}"))
    await queue.flush()
    await queue.close()
    assert (queue.written, queue.dropped) == (148, 2)
    lines = read(tmp_path / "events.jsonl")
    assert [got.sequence for got in lines if got.call_id == "call-7"] == [2]  # its end
    assert [got.sequence for got in lines if got.call_id == "call-8"] == [0, 1, 2]


def read(path: Path) -> list[Record]:
    return [msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()]


def test_a_problem_that_comes_and_goes_is_told_once_an_hour_and_many_different_ones_are_bounded() -> None:
    heard = Told()
    assert [heard.is_new("one", now) for now in (0.0, 5_000.0)] == [True, False]
    heard.worked()
    assert heard.is_new("one", 5_000.0)
    heard.worked()
    assert [heard.is_new("one", 5_000.0 + after) for after in (1.0, told.AGAIN_AFTER)] == [False, False]
    heard.worked()
    assert heard.is_new("one", 5_000.0 + told.AGAIN_AFTER)
    for number in range(100):
        heard.is_new(f"problem {number}", 9_000.0)
    assert not heard.is_new("a further one", 9_001.0)
    heard.worked()
    assert heard.is_new("a further one", 9_001.0 + told.AGAIN_AFTER)


async def test_a_sink_that_hangs_holds_bounded_memory_however_much_is_said() -> None:
    class Hanging(EventSink):
        name = "hanging"
        backlog_bytes = 20_000_000

        async def write(self, records: Sequence[Record]) -> None:
            await anyio.sleep_forever()

    delivery = Delivery([Hanging()])
    for sequence in range(60):
        delivery.put(record(sequence, TranscriptInput(text=f"{sequence} " + "x" * 1_000_000)))
    delivery.put(record(60, END))
    (figures,) = delivery.figures()
    assert figures.waiting_bytes <= 20_000_000
    assert 40_000_000 < figures.dropped_bytes < 42_000_000
    assert figures.dropped == 41
    await delivery.drain(within=0.01)
    assert delivery.figures()[0].dropped == 61
    assert delivery.figures()[0].dropped_bytes > 60_000_000


def test_what_a_sink_holds_and_has_given_up_is_in_its_figures() -> None:
    sink = MemorySink()
    delivery = Delivery([sink])
    sink.held, sink.given_up = 7, 2
    (figures,) = delivery.figures()
    assert (figures.held, figures.dropped) == (7, 2)


async def test_a_sink_that_fails_to_count_keeps_its_last_figures_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Counting(MemorySink):
        counted = 7

        @property
        def given_up(self) -> int:  # type: ignore[override]
            if self.counted < 0:
                raise SystemExit(3)
            return self.counted

        held = lost = passed_over = given_up

    sink = Counting()
    delivery = Delivery([sink])
    assert (delivery.figures()[0].held, delivery.figures()[0].dropped) == (7, 7)
    sink.counted = -1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delivery.run)
        delivery.put(record(1))
        await until(lambda: len(sink.records) == 1)
        for _ in range(3):
            assert (delivery.figures()[0].held, delivery.figures()[0].dropped) == (7, 7)
        tasks.cancel_scope.cancel()
    for name in ("held", "given_up", "lost", "passed_over"):
        assert caplog.text.count(f"Sink memory failed to return its {name}.") == 1


async def test_what_a_sinks_own_check_finds_is_told_when_the_worker_starts(caplog: pytest.LogCaptureFixture) -> None:
    class Checked(MemorySink):
        async def check(self) -> Sequence[CheckResult]:
            return [
                CheckResult(Level.OK, "All is well."),
                CheckResult(Level.WARNING, "The disk is slow.", "Buy another."),
                CheckResult(Level.UNKNOWN, "Nobody knows."),
                CheckResult(Level.PROBLEM, "It wants no keys.", "Send none."),
            ]

        async def write(self, records: Sequence[Record]) -> None:
            raise SinkRefused("It wants no keys.", remedy="Send none.")

    delivery = Delivery([Checked()])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivery.run)
            await until(lambda: len(caplog.records) == 3)
            delivery.put(record(1))
            await until(lambda: delivery.figures()[0].dropped == 1)
            tasks.cancel_scope.cancel()
    assert [(entry.levelname, entry.getMessage()) for entry in caplog.records] == [
        ("WARNING", "Sink memory: The disk is slow. Buy another."),
        ("WARNING", "Sink memory: Nobody knows."),
        ("ERROR", "Sink memory: It wants no keys. Send none."),  # and not again with the first record
    ]


@pytest.mark.parametrize("limit", ["backlog", "backlog_bytes", "batch_size", "batch_bytes", "write_timeout"])
def test_a_limit_that_makes_no_sense_is_refused_at_the_start(limit: str) -> None:
    with pytest.raises(ConfigurationError, match="A limit of Odd is out of range"):
        Delivery([type("Odd", (MemorySink,), {limit: 0})()])


async def test_an_unavailable_sink_is_told_without_a_double_full_stop(caplog: pytest.LogCaptureFixture) -> None:
    class Away(MemorySink):
        async def write(self, records: Sequence[Record]) -> None:
            raise SinkUnavailable("The server is away.")

    queue = SinkQueue(Away())
    queue.put(record(1))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.flush)
            await until(lambda: "failed: The server is away. It is tried again." in caplog.text)
            tasks.cancel_scope.cancel()


def test_a_sink_whose_thread_hangs_does_not_keep_the_process() -> None:
    code = """
import time, anyio
from patter_core.events import DtmfReceived, Record
from patter_core.server import sink_queue
from patter_core.server.delivery import Delivery
from patter_core.sink import EventSink
from patter_core.aio.threads import SerialThread
class Dead(EventSink):
    name = "dead"
    async def write(self, records):
        await thread.run(time.sleep, 60)
thread = SerialThread()
async def main():
    delivery = Delivery([Dead()])
    delivery.put(Record(call_id="call", sequence=1, time=0, elapsed_ms=0, event=DtmfReceived(digit="1")))
    with anyio.move_on_after(0.3):
        await delivery.run()
    await delivery.drain(0.1)
    print(delivery.figures()[0].dropped)
anyio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
