"""The user's functions: told in order, in nobody's way; what they do wrong is reported, and the call goes on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from patter_core.aio.foreign import settle
from patter_core.aio.threads import DaemonThreads
from patter_core.audio import ULAW_8000
from patter_core.call.callbacks import CallbackQueue, CallbackRunner, Transcript, UserCallbacks
from patter_core.call.handle import PhoneCall
from patter_core.events import (
    CallEnded,
    CallEvent,
    CallMetrics,
    CallMoved,
    Interruption,
    MediaStarted,
    Record,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.testing.fakes import FakeEngine
from tests.calls import new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=1234.0, metrics=CallMetrics())
HELLO, HI = TranscriptOutput(text="Hello."), TranscriptInput(text="Hi.")
STARTED = MediaStarted(format=ULAW_8000)


def handle() -> PhoneCall:
    return PhoneCall(new_call(FakeEngine()))


def record(event: CallEvent) -> Record:
    return Record(call_id="call-1", sequence=1, time=0, elapsed_ms=0, event=event)


class Scene:
    """One call's queue of callbacks, and what the test tells it."""

    def __init__(self, callbacks: UserCallbacks, *, timeout: float = 5.0, limit: int = 1_000) -> None:
        self.call = handle()
        usual, end = DaemonThreads(4), DaemonThreads(4)
        self.queue = CallbackQueue(callbacks, usual.run, end.run, timeout=timeout, limit=limit)

    def tell(self, *events: CallEvent) -> None:
        for event in events:
            self.queue.put(record(event))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The queue runs, and must be done soon after the end."""
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.queue.run, self.call)
                yield


async def test_each_function_is_told_its_part_in_order_with_the_calls_handle() -> None:
    told: list[tuple[str, str, str]] = []

    async def on_call_start(call: PhoneCall) -> None:
        told.append(("start", call.id, ""))

    async def on_call_end(call: PhoneCall, end: CallEnded) -> None:
        told.append(("end", call.id, f"{end.reason} {end.duration_ms:g}"))

    async def on_transcript(call: PhoneCall, said: Transcript) -> None:
        told.append(("said", call.id, said.text))

    async def on_event(call: PhoneCall, event: CallEvent) -> None:
        told.append(("event", call.id, event.kind))

    scene = Scene(
        UserCallbacks(
            on_call_start=on_call_start, on_call_end=on_call_end, on_transcript=on_transcript, on_event=on_event
        )
    )
    async with scene.running():
        scene.tell(STARTED, HELLO, Interruption(), HI, END)
    assert told == [
        ("start", "call-1", ""),
        ("event", "call-1", "media_started"),
        ("said", "call-1", "Hello."),
        ("event", "call-1", "transcript_output"),
        ("event", "call-1", "interruption"),
        ("said", "call-1", "Hi."),
        ("event", "call-1", "transcript_input"),
        ("event", "call-1", "call_ended"),
        ("end", "call-1", "caller_hung_up 1234"),
    ]


async def test_plain_functions_are_called_too_and_may_block_without_blocking_anybody() -> None:
    free = threading.Event()
    told: list[tuple[str, bool]] = []

    def on_transcript(_call: PhoneCall, said: Transcript) -> None:
        told.append((said.text, free.wait(5)))

    scene = Scene(UserCallbacks(on_transcript=on_transcript))
    async with scene.running():
        scene.tell(HELLO)
        await anyio.wait_all_tasks_blocked()
        free.set()  # a blocked event loop would not come here before the function gave up waiting
        scene.tell(HI, END)
    assert told == [("Hello.", True), ("Hi.", True)]


async def test_whatever_can_be_called_is_called() -> None:
    told: list[str] = []

    class Told:
        async def __call__(self, _call: PhoneCall, said: Transcript) -> None:
            told.append(f"object {said.text}")

    async def with_extra(extra: str, _call: PhoneCall, said: Transcript) -> None:
        told.append(f"{extra} {said.text}")

    def plain(call: PhoneCall, said: Transcript) -> object:
        return Told()(call, said)

    for function in (Told(), functools.partial(with_extra, "partial"), plain):
        scene = Scene(UserCallbacks(on_transcript=function))
        async with scene.running():
            scene.tell(HELLO, END)
    assert told == ["object Hello.", "partial Hello.", "object Hello."]


@pytest.mark.parametrize("kind", ["coroutine function", "plain function"])
async def test_one_that_raises_is_reported_with_its_traceback_and_the_rest_is_told(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def go_wrong(_call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)
        raise LookupError("the user's own fault")

    async def go_wrong_too(call: PhoneCall, said: Transcript) -> None:
        go_wrong(call, said)

    ends: list[CallEnded] = []
    on_transcript = go_wrong if kind == "plain function" else go_wrong_too
    scene = Scene(UserCallbacks(on_transcript=on_transcript, on_call_end=lambda _call, end: ends.append(end)))
    async with scene.running():
        scene.tell(HELLO, HI, END)
    assert told == ["Hello.", "Hi."]
    assert ends == [END]
    assert caplog.text.count("LookupError: the user's own fault") == 2
    assert "in go_wrong" in caplog.text


@pytest.mark.parametrize("kind", ["coroutine function", "plain function"])
async def test_one_that_hangs_is_given_up_and_reported_with_the_place_where_it_hangs(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    told: list[str] = []

    def hang_here(_call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)
        gate.wait(20)

    async def hang_here_too(_call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)
        await anyio.sleep_forever()

    ends: list[CallEnded] = []
    on_transcript = hang_here if kind == "plain function" else hang_here_too
    scene = Scene(
        UserCallbacks(on_transcript=on_transcript, on_call_end=lambda _call, end: ends.append(end)), timeout=0.2
    )
    async with scene.running():
        scene.tell(HELLO, HI, END)
    gate.set()
    assert told == ["Hello.", "Hi."]
    assert ends == [END]
    assert caplog.text.count("on_transcript was cancelled") == 2
    assert on_transcript.__name__ in caplog.text


def exit_the_process(*_: object) -> None:
    sys.exit(3)


def raise_no_exception(*_: object) -> None:
    raise BaseException("the user's own")  # noqa: TRY002 - what no `except Exception` takes


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def say_cancelled(*_: object) -> None:
    raise asyncio.CancelledError


async def exit_the_process_too(*_: object) -> None:
    sys.exit(3)


async def await_a_cancelled_task_of_its_own(*_: object) -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def cancel_itself(*_: object) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(60)


def return_one_that_is_cancelled(*_: object) -> object:
    return await_a_cancelled_task_of_its_own()


@pytest.mark.parametrize(
    "function",
    [
        exit_the_process,
        raise_no_exception,
        interrupt,
        say_cancelled,
        exit_the_process_too,
        await_a_cancelled_task_of_its_own,
        cancel_itself,
        return_one_that_is_cancelled,
    ],
)
async def test_whatever_comes_out_of_one_is_reported_and_neither_its_call_nor_another_notices(
    function: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    scene = Scene(
        UserCallbacks(
            on_call_start=function,
            on_transcript=lambda _call, said: told.append(said.text),
            on_call_end=lambda *_: told.append("end"),
        )
    )
    neighbour = Scene(UserCallbacks(on_transcript=lambda _call, said: told.append(f"neighbour {said.text}")))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.queue.run, scene.call)
            tasks.start_soon(neighbour.queue.run, neighbour.call)
            scene.tell(STARTED, HELLO, END)
            await until(lambda: "end" in told)
            neighbour.tell(HI, END)
    assert told == ["Hello.", "end", "neighbour Hi."]
    assert "on_call_start raised; the call goes on." in caplog.text
    assert "Traceback" in caplog.text
    assert f"in {function.__name__}" in caplog.text or function is return_one_that_is_cancelled


async def test_one_that_ignores_its_cancellation_holds_up_neither_the_next_event_nor_the_end() -> None:
    told: list[str] = []
    let_go = anyio.Event()

    async def stubborn(_call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    scene = Scene(UserCallbacks(on_transcript=stubborn, on_call_end=lambda *_: told.append("end")), timeout=0.1)
    async with scene.running():
        scene.tell(HELLO, HI, END)
    assert told == ["Hello.", "Hi.", "end"]
    let_go.set()
    assert await settle(5) == 0


async def test_one_that_is_cut_off_by_the_end_is_reported_with_the_place_where_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def wait_here(*_: object) -> None:
        await anyio.sleep_forever()

    scene = Scene(UserCallbacks(on_transcript=wait_here), timeout=60)
    async with scene.running():
        scene.tell(HELLO, END)
    assert "on_transcript was cancelled after 2" in caplog.text
    assert "in wait_here" in caplog.text


async def test_the_end_is_told_soon_and_once_whatever_waits_before_it(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[float] = []

    async def on_transcript(_call: PhoneCall, _said: Transcript) -> None:
        await anyio.sleep(1)

    scene = Scene(UserCallbacks(on_transcript=on_transcript, on_call_end=lambda *_: ends.append(time.monotonic())))
    async with scene.running():
        scene.tell(*[HELLO] * 100)
        await anyio.sleep(0.05)
        over = time.monotonic()
        scene.tell(END, END)
    (end,) = ends
    assert end - over < 3
    assert scene.queue.dropped > 90
    assert "were not called for" in caplog.text


async def test_a_call_that_another_worker_has_is_told_of_and_its_end_is_not() -> None:
    told: list[str] = []
    scene = Scene(
        UserCallbacks(
            on_event=lambda _call, event: told.append(event.kind), on_call_end=lambda *_: told.append("on_call_end")
        )
    )
    async with scene.running():
        scene.tell(HELLO, CallMoved(), HELLO)
    assert told == ["transcript_output", "call_moved"]


async def test_what_waits_is_bounded_and_the_oldest_goes() -> None:
    told: list[str] = []

    async def on_transcript(_call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)

    scene = Scene(UserCallbacks(on_transcript=on_transcript), limit=3)
    scene.tell(*[TranscriptInput(text=str(number)) for number in range(10)])
    async with scene.running():
        scene.tell(END)
    assert told == ["7", "8", "9"]
    assert scene.queue.dropped == 7


async def test_plain_ones_that_hang_in_many_calls_keep_the_end_of_none_from_being_told() -> None:
    gate, hung, ends = threading.Event(), threading.Semaphore(0), list[str]()

    def hang(*_: object) -> None:
        hung.release()
        gate.wait(30)

    callbacks = UserCallbacks(on_transcript=hang, on_call_end=lambda call, _end: ends.append(call.id))
    runner = CallbackRunner(callbacks, timeout=60)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(100):  # more than there are threads
                queue = runner.new_queue()
                assert queue is not None
                queue.put(record(HELLO))
                queue.put(record(END))
                tasks.start_soon(runner.run, queue, handle())
    gate.set()
    assert len(ends) == 100


async def test_a_worker_that_stops_at_once_still_tells_the_end() -> None:
    ends: list[CallEnded] = []
    runner = CallbackRunner(UserCallbacks(on_call_end=lambda _call, end: ends.append(end)), timeout=1)
    queue = runner.new_queue()
    assert queue is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run, queue, handle())
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    queue.put(record(END))
    await runner.drain()
    assert ends == [END]


async def test_one_that_was_cancelled_may_clean_up_before_the_worker_stops() -> None:
    told: list[str] = []

    async def on_event(_call: PhoneCall, _event: CallEvent) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
                told.append("cleaned up")

    runner = CallbackRunner(UserCallbacks(on_event=on_event), timeout=0.05)
    queue = runner.new_queue()
    assert queue is not None
    queue.put(record(END))
    await runner.run(queue, handle())
    assert told == []
    await runner.drain()
    assert told == ["cleaned up"]


def test_without_functions_there_is_no_queue() -> None:
    assert CallbackRunner(UserCallbacks(), timeout=1).new_queue() is None


async def test_what_no_callback_was_called_with_is_counted_over_all_calls() -> None:
    runner = CallbackRunner(UserCallbacks(on_transcript=lambda _call, _said: None), timeout=5.0)
    for _ in range(2):
        queue = runner.new_queue()
        assert queue is not None
        events: list[CallEvent] = [*[HELLO] * 1_003, END]
        for event in events:
            queue.put(record(event))
        await runner.run(queue, handle())
    assert runner.dropped == 6
