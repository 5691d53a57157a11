"""Sinks get what happened, in order; a sink that fails, hangs or is slow costs records, counted, and nothing else."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from patter_core.errors import SinkUnavailable
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    DtmfReceived,
    Record,
    TranscriptInput,
)
from patter_core.observe.redaction import REDACTED, Redaction
from patter_core.server.delivery import Delivery
from patter_core.server.sink_queue import BREAKER_FAILURES, SinkQueue
from patter_core.sink import EventSink, WorkerFigures, WorkerStatistics
from patter_core.sinks import MemorySink
from patter_core.telephony.leg import Leg
from tests.polling import until

pytestmark = pytest.mark.anyio


def record(sequence: int, *, end: bool = False) -> Record:
    event = (
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
        if end
        else DtmfReceived(digit="1")
    )
    return Record(call_id="call", sequence=sequence, time=0, elapsed_ms=0, event=event)


class Hanging(EventSink):
    name = "hanging"

    async def write(self, records: Sequence[Record]) -> None:
        await anyio.sleep_forever()


class Broken(EventSink):
    name = "broken"

    async def write(self, records: Sequence[Record]) -> None:
        raise ValueError("a bug")

    async def aclose(self) -> None:
        raise ValueError("another bug")


async def test_every_sink_gets_everything_in_order() -> None:
    sinks = [MemorySink(), MemorySink()]
    delivery = Delivery(sinks)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivery.run)
            for sequence in range(1, 2001):
                delivery.put(record(sequence))
                if sequence % 100 == 0:
                    await anyio.lowlevel.checkpoint()
            for sink in sinks:
                await sink.wait_for("dtmf_received", 2000)
            tasks.cancel_scope.cancel()
    for sink in sinks:
        assert [got.sequence for got in sink.records] == list(range(1, 2001))


async def test_two_sinks_of_one_class_have_names_of_their_own_in_figures_recordings_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Recorder(MemorySink):
        name = "wav"

        def __init__(self, folder: str) -> None:
            super().__init__()
            self.folder = folder

        def recording(self, call_id: str) -> str:
            return f"{self.folder}/{call_id}.wav"

        async def aclose(self) -> None:
            if self.folder == "second":
                raise ValueError("a bug")

    class Numbered(MemorySink):
        name = "wav-2"

    delivery = Delivery([Recorder("first"), Recorder("second"), Numbered(), Recorder("third"), Hanging()])
    delivery.put(record(1))
    names = ["wav", "wav-3", "wav-2", "wav-4", "hanging"]
    assert [queue.name for queue in delivery.queues] == names
    assert [(figures.sink, figures.waiting) for figures in delivery.figures()] == [(name, 1) for name in names]
    assert delivery.recordings("call") == [
        ("wav", "first/call.wav"),
        ("wav-3", "second/call.wav"),
        ("wav-4", "third/call.wav"),
    ]
    await delivery.drain(within=0.05)
    assert "Sink wav-3 failed to close." in caplog.text
    assert "Sink hanging did not take 1 record in time" in caplog.text


async def test_what_waits_at_the_end_is_handed_over() -> None:
    sink = MemorySink()
    delivery = Delivery([sink])
    delivery.put(record(1))
    await delivery.drain()
    assert [got.sequence for got in sink.records] == [1]


async def test_without_room_the_oldest_goes_and_a_calls_end_stays() -> None:
    sink = MemorySink()
    queue = SinkQueue(sink, limit=3)
    queue.put(record(1, end=True))
    for sequence in range(2, 8):
        queue.put(record(sequence))
    assert queue.dropped == 3
    await queue.flush()
    assert [got.sequence for got in sink.records] == [1, 5, 6, 7]


async def test_a_batch_that_is_cancelled_is_not_lost() -> None:
    class Once(MemorySink):
        hung = False

        async def write(self, records: Sequence[Record]) -> None:
            if not self.hung:
                self.hung = True
                started.set()
                await anyio.sleep_forever()
            await super().write(records)

    started = anyio.Event()
    sink = Once()
    queue = SinkQueue(sink)
    queue.put(record(1))
    queue.put(record(2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        await started.wait()
        tasks.cancel_scope.cancel()
    await queue.flush()
    assert [got.sequence for got in sink.records] == [1, 2]
    assert queue.dropped == 0


async def test_a_sink_that_hangs_holds_up_no_other_and_its_batch_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    good = MemorySink()
    slow, quick = SinkQueue(Hanging(), write_timeout=0.01, first_pause=0.001), SinkQueue(good)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for queue in (slow, quick):
                tasks.start_soon(queue.run)
                queue.put(record(1))
            await good.wait_for("dtmf_received")
            await until(lambda: slow.open)
            tasks.cancel_scope.cancel()
    assert (slow.waiting, slow.dropped) == (1, 0)
    assert "Sink hanging failed: It took longer than 0.01 s. It is tried again." in caplog.text
    assert "Sink hanging failed 5 times in a row: It took longer than 0.01 s. It is tried every 30 s." in caplog.text


async def test_a_sink_that_refuses_is_reported_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "patter.sinks")
    delivery = Delivery([Broken()])
    delivery.put(record(1))
    await delivery.drain()
    (queue,) = delivery.queues
    assert queue.dropped == 1
    assert len(re.findall(r"\n *ValueError:", caplog.text)) == 2


class Away(MemorySink):
    """Cannot be reached for so many batches."""

    def __init__(self, failures: int, error: Exception) -> None:
        super().__init__()
        self.tries = 0
        self._failures = failures
        self._error = error

    async def write(self, records: Sequence[Record]) -> None:
        self.tries += 1
        if self.tries <= self._failures:
            raise self._error
        await super().write(records)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SinkUnavailable("Away."), "Away."),
        (SinkUnavailable("The disk is full.", remedy="Check the disk."), "The disk is full. Check the disk."),
        (ConnectionRefusedError("no"), "no."),
        (ConnectionResetError(), "ConnectionResetError."),
    ],
)
async def test_what_cannot_be_written_now_is_written_later_and_nothing_is_lost(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Away(BREAKER_FAILURES + 2, error)
    queue = SinkQueue(sink, first_pause=0.001, longest_pause=0.01)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            queue.put(record(1))
            await until(lambda: queue.open)
            queue.put(record(2))
            await sink.wait_for("dtmf_received", 2)
            tasks.cancel_scope.cancel()
    assert [got.sequence for got in sink.records] == [1, 2]
    figures = queue.figures()
    assert (figures.written, figures.dropped, figures.failures, figures.open) == (2, 0, BREAKER_FAILURES + 2, False)
    assert [got.getMessage() for got in caplog.records if got.name == "patter.sinks"] == [
        f"Sink memory failed: {told} It is tried again.",
        f"Sink memory failed 5 times in a row: {told} It is tried every 0.01 s.",
        "Sink memory works again.",
    ]


async def test_with_an_open_breaker_the_sink_is_left_alone() -> None:
    sink = Away(1000, SinkUnavailable("Away."))
    queue = SinkQueue(sink, first_pause=0.001, longest_pause=60)
    queue.put(record(1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        await until(lambda: queue.open)
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.1)  # with the pauses before, there would be more tries by now
        tasks.cancel_scope.cancel()
    assert sink.tries == BREAKER_FAILURES


async def test_a_calls_end_in_a_refused_batch_goes_once_more_alone() -> None:
    class Picky(MemorySink):
        async def write(self, records: Sequence[Record]) -> None:
            if any(isinstance(got.event, DtmfReceived) for got in records):
                raise ValueError("no keys, please")
            await super().write(records)

    sink = Picky()
    queue = SinkQueue(sink, first_pause=0.001)
    for got in (record(1), record(2, end=True), record(3)):
        queue.put(got)
    await queue.flush()
    assert [got.sequence for got in sink.records] == [2]
    assert queue.dropped == 2


async def test_a_batch_waits_for_more_until_it_is_full_or_old() -> None:
    class Batches(MemorySink):
        batch_size = 3
        batch_age = 0.05

        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        async def write(self, records: Sequence[Record]) -> None:
            self.sizes.append(len(records))
            await super().write(records)

    sink = Batches()
    queue = SinkQueue(sink)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            for sequence in range(1, 5):
                queue.put(record(sequence))
                await anyio.lowlevel.checkpoint()
            await sink.wait_for("dtmf_received", 4)
            tasks.cancel_scope.cancel()
    assert sink.sizes == [3, 1]


async def test_what_is_not_taken_by_the_deadline_is_counted_and_the_sink_is_freed() -> None:
    class Closing(Hanging):
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    sink, good = Closing(), MemorySink()
    delivery = Delivery([sink, good])
    delivery.put(record(1))
    with anyio.fail_after(2):
        await delivery.drain(within=0.05)
    assert sink.closed
    assert [got.sequence for got in good.records] == [1]
    assert [(figures.sink, figures.waiting, figures.dropped) for figures in delivery.figures()] == [
        ("hanging", 0, 1),
        ("memory", 0, 0),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "Sink memory did not take 2 records: [Errno 28] No space left on device. They are dropped.",
        ),
        (
            SinkUnavailable("a.jsonl cannot be written: Full.", remedy="Check the disk."),
            "Sink memory did not take 2 records: a.jsonl cannot be written: Full. Check the disk. They are dropped.",
        ),
        (None, "Sink hanging did not take 2 records in time; they are dropped."),
    ],
)
async def test_what_a_sink_fails_to_write_until_the_end_is_told_with_its_error_and_what_is_late_as_late(
    error: Exception | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = Delivery([Away(99, error) if error else Hanging()])
    for sequence in (1, 2):
        delivery.put(record(sequence))
    with anyio.fail_after(5):
        await delivery.drain(within=0.3)
    assert caplog.records[-1].getMessage() == told
    assert delivery.figures()[0].dropped == 2


async def test_a_failure_that_has_passed_is_not_told_of_what_is_late(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Away):
        async def write(self, records: Sequence[Record]) -> None:
            if self.records:
                await anyio.sleep_forever()
            await super().write(records)

    sink = Slow(1, ConnectionRefusedError("no"))
    queue = SinkQueue(sink, first_pause=0.001)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            queue.put(record(1))
            await sink.wait_for("dtmf_received")
            queue.put(record(2))
            tasks.cancel_scope.cancel()
        queue.give_up()
    assert caplog.records[-1].getMessage() == "Sink memory did not take 1 record in time; they are dropped."


async def test_numbers_are_masked_before_any_sink_queues_a_record_and_transcripts_if_asked() -> None:
    for redaction, said in ((None, "Call *** *** **11."), (Redaction(transcripts=True), REDACTED)):
        delivery = Delivery([Hanging()], redaction)
        leg = Leg(carrier="fake", call_id="leg-1", from_number="+15550001111")
        events: list[CallEvent] = [CallAnnounced(leg=leg, agent="a"), TranscriptInput(text="Call 555 000 1111.")]
        for sequence, event in enumerate(events):
            delivery.put(Record(call_id="call", sequence=sequence, time=0, elapsed_ms=0, event=event))
        announced, spoken = delivery.queues[0].backlog.take(2)
        assert isinstance(announced.event, CallAnnounced)
        assert announced.event.leg.from_number == "+*********11"
        assert isinstance(spoken.event, TranscriptInput)
        assert spoken.event.text == said


async def test_what_a_sink_does_beside_its_writing_is_started_again_if_it_fails() -> None:
    class Busy(MemorySink):
        starts = 0

        async def run(self, statistics: WorkerStatistics) -> None:
            self.starts += 1
            if self.starts < 3:
                raise ValueError("a bug")
            assert [figures.sink for figures in statistics().sinks] == ["memory"]
            again.set()

    again = anyio.Event()
    sink = Busy()
    queue = SinkQueue(sink, longest_pause=0.001)
    with anyio.fail_after(5):
        await queue.run_sink(lambda: WorkerFigures(sinks=(queue.figures(),)))
    assert again.is_set()
