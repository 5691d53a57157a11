from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import sys
import threading
from collections.abc import Callable

import anyio
import msgspec
import pytest

from patter_core.aio import Changes
from patter_core.aio.foreign import run_foreign
from patter_core.events import ToolCall, ToolResult
from patter_elevenlabs import toolrunner, wire
from patter_elevenlabs.toolrunner import CONCURRENCY, RESULT_LIMIT, ToolRunner
from patter_elevenlabs.tools import Toolbox

pytestmark = pytest.mark.anyio


class Line:
    """The answers to the agent, and the events of its calls."""

    def __init__(self) -> None:
        self.results: list[wire.ToolResult] = []
        self.events: list[ToolCall | ToolResult] = []
        self._changes = Changes()

    def runner(self, toolbox: Toolbox) -> ToolRunner:
        return ToolRunner(toolbox, self.send, self.events.append)

    def send(self, message: bytes) -> None:
        self.results.append(msgspec.json.decode(message, type=wire.ToolResult))
        self._changes.notify()

    async def until(self, count: int) -> list[wire.ToolResult]:
        with anyio.fail_after(5):
            await self._changes.wait_until(lambda: len(self.results) >= count)
        return self.results


def call(parameters: object = None, *, name: str = "tool", expects_response: bool | None = True) -> wire.ToolCallEvent:
    raw = msgspec.Raw(msgspec.json.encode({} if parameters is None else parameters))
    return wire.ToolCallEvent(tool_name=name, tool_call_id="t1", parameters=raw, expects_response=expects_response)


async def answer(function: Callable[..., object], parameters: object = None, *, limit: float = 5.0) -> wire.ToolResult:
    line = Line()
    runner = line.runner(Toolbox("Thing", {"tool": function}, limit))
    runner.start(call(parameters))
    (found,) = await line.until(1)
    await runner.aclose()
    assert line.results == [found]
    asked, result = line.events
    assert asked == ToolCall("t1", "tool", msgspec.json.encode({} if parameters is None else parameters).decode())
    assert isinstance(result, ToolResult)
    assert result == ToolResult("t1", "tool", found.result, failed=found.is_error, duration_ms=result.duration_ms)
    return found


@pytest.mark.parametrize(("value", "text"), [(0, "0"), ("", ""), (False, "false"), ({"sun": 1}, '{"sun":1}')])
async def test_a_result_is_the_answer_even_if_it_is_falsy(value: object, text: str) -> None:
    assert await answer(lambda: value) == wire.ToolResult(tool_call_id="t1", result=text, is_error=False)


async def test_an_exception_is_an_error_result_and_its_traceback_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def full() -> None:
        raise ValueError("No table is free.")

    def mute() -> None:
        raise KeyError

    assert await answer(full) == wire.ToolResult(tool_call_id="t1", result="No table is free.", is_error=True)
    assert caplog.records[0].exc_info is not None
    assert (await answer(mute)).result == "KeyError"


class Desk:
    async def __call__(self, number: int) -> int:
        return number + 1

    async def ask(self, number: int) -> int:
        return number + 2


async def test_every_kind_of_callable_can_be_a_tool() -> None:
    async def later(function: int) -> int:
        await anyio.lowlevel.checkpoint()
        return function

    def awaitable(number: int) -> object:
        return later(number)

    def plain(within: int, function: int = 2) -> int:
        return within + function

    for function, parameters, result in (
        (later, {"function": 1}, "1"),
        (awaitable, {"number": 1}, "1"),
        (plain, {"within": 1}, "3"),
        (Desk(), {"number": 1}, "2"),
        (Desk().ask, {"number": 1}, "3"),
        (functools.partial(plain, function=5), {"within": 1}, "6"),
    ):
        assert (await answer(function, parameters)).result == result


def exits() -> None:
    sys.exit("It ends itself.")


def interrupts() -> None:
    raise KeyboardInterrupt


def is_no_exception() -> None:
    raise BaseException("own")  # noqa: TRY002 - what no `except Exception` takes


def says_cancelled() -> None:
    raise asyncio.CancelledError


async def exits_as_coroutine() -> None:
    sys.exit("It ends itself.")


async def awaits_a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


def returns_one_that_is_cancelled() -> object:
    return awaits_a_cancelled_task()


class NoText:
    def __str__(self) -> str:
        raise SystemExit


class NoMessageError(Exception):
    def __str__(self) -> str:
        raise LookupError


def raises_what_has_no_message() -> None:
    raise NoMessageError


class Wish(msgspec.Struct):
    seats: int

    def __post_init__(self) -> None:
        sys.exit("No such table.")


def book(wish: Wish) -> None:
    raise AssertionError(f"It must not be called, as it was with {wish}.")


@pytest.mark.parametrize(
    ("function", "parameters", "result"),
    [
        (exits, {}, "It raised SystemExit."),
        (interrupts, {}, "It raised KeyboardInterrupt."),
        (is_no_exception, {}, "It raised BaseException."),
        (says_cancelled, {}, "It raised CancelledError, without being cancelled."),
        (exits_as_coroutine, {}, "It raised SystemExit."),
        (awaits_a_cancelled_task, {}, "It raised CancelledError, without being cancelled."),
        (returns_one_that_is_cancelled, {}, "It raised CancelledError, without being cancelled."),
        (NoText, {}, "It raised SystemExit."),
        (raises_what_has_no_message, {}, "NoMessageError"),
        (book, {"wish": {"seats": 2}}, "It raised SystemExit."),
    ],
)
async def test_whatever_comes_out_of_a_tool_is_a_failed_result(
    function: Callable[..., object], parameters: object, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = await answer(function, parameters)
    assert found.is_error
    assert found.result.startswith(result)
    (logged,) = caplog.records
    assert logged.message == "The client tool tool failed."
    assert logged.exc_info is not None


async def test_a_time_out_of_other_foreign_code_within_a_tool_is_the_tools_error() -> None:
    async def ask() -> None:
        await run_foreign(anyio.sleep_forever, 0.01)

    assert "It took too long." in (await answer(ask)).result


async def test_a_tool_that_takes_too_long_is_told_with_its_place(
    release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def hang_here() -> None:
        release.wait()

    async def wait_here() -> None:
        await anyio.sleep_forever()

    for function in (hang_here, wait_here):
        await answer(function, limit=0.05)
        assert f"in {function.__name__}" in caplog.text


async def test_a_flood_of_calls_is_answered_with_one_line_of_each_kind_in_the_log(
    release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("No table is free.")

    line = Line()
    runner = line.runner(Toolbox("Thing", [exits, fails, release.wait], 5.0))
    for count in range(1, 11):
        runner.start(call(name="exits"))
        runner.start(call(name="fails"))
        await line.until(2 * count)
    for _ in range(CONCURRENCY + 100):
        runner.start(call(name="wait"))
        runner.start(call(name="weather"))
    release.set()
    await runner.aclose()
    await runner.aclose()
    assert len(line.results) == 20 + 2 * (CONCURRENCY + 100)
    assert [record.message for record in caplog.records[:-1]] == [
        "The client tool exits failed.",
        "The client tool fails failed.",
        "The agent called the client tool 'weather', which is not in client_tools=.",
        f"The agent called wait while {CONCURRENCY} client tools are running: refused.",
    ]
    assert caplog.records[-1].message == (
        "Client tools, further cases: 9 × ForeignFault out of exits, 9 × ValueError out of fails, "
        f"{CONCURRENCY + 99} × a tool that is not in client_tools=, 99 × refused, as too many are running."
    )


async def test_wrong_arguments_are_explained_and_the_function_is_not_called() -> None:
    def forecast(days: int) -> str:
        raise AssertionError(f"It must not be called, as it was with {days}.")

    found = await answer(forecast, {"days": "two"})
    assert found.is_error
    assert "Expected `int`, got `str` - at `$.days`" in found.result


async def test_an_answer_comes_in_time_even_if_the_tool_does_not(release: threading.Event) -> None:
    for stuck in (anyio.sleep_forever, release.wait):
        found = await answer(stuck, limit=0.05)
        assert found.is_error
        assert "0.05 s" in found.result
    release.set()


async def test_an_answer_comes_in_time_even_if_the_tool_shields_itself(release: threading.Event) -> None:
    async def shielded() -> None:
        await anyio.to_thread.run_sync(release.wait)

    with anyio.fail_after(3):
        assert "0.05 s" in (await answer(shielded, limit=0.05)).result
    release.set()


async def test_a_tool_that_ignores_cancellation_is_abandoned_and_counts_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(toolrunner, "CONCURRENCY", 1)
    monkeypatch.setattr(toolrunner, "CLEANUP", 0.05)
    let_go = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()
        raise ValueError("Too late.")

    line = Line()
    runner = line.runner(Toolbox("Thing", {"tool": stubborn}, 0.05))
    with anyio.fail_after(3):
        runner.start(call())
        await line.until(1)
        runner.start(call())
        await runner.aclose()
        let_go.set()
        await runner.aclose()
    late, refused = line.results
    assert "0.05 s" in late.result
    assert "Too many" in refused.result
    assert "The client tool tool failed after it was abandoned." in caplog.text


async def test_a_timeout_inside_a_tool_is_an_error_of_the_tool() -> None:
    async def ask() -> None:
        with anyio.fail_after(0):
            await anyio.sleep_forever()

    assert (await answer(ask)).result == "TimeoutError"


async def test_a_tool_that_cancels_itself_is_answered_too() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    assert (await answer(give_up)).is_error


async def test_an_unknown_tool_is_answered() -> None:
    line = Line()
    line.runner(Toolbox()).start(call(name="weather"))
    assert line.results == [
        wire.ToolResult(tool_call_id="t1", result="There is no client tool weather.", is_error=True)
    ]
    asked, result = line.events
    assert asked == ToolCall("t1", "weather")
    assert isinstance(result, ToolResult)
    assert (result.name, result.result, result.failed) == ("weather", "There is no client tool weather.", True)


async def test_a_call_that_does_not_say_whether_it_expects_a_response_gets_one() -> None:
    line = Line()
    line.runner(Toolbox()).start(call(name="weather", expects_response=None))
    assert [result.result for result in line.results] == ["There is no client tool weather."]


async def test_a_call_that_expects_no_response_runs_and_gets_none() -> None:
    done = anyio.Event()

    async def note(text: str) -> str:
        done.set()
        return text

    line = Line()
    runner = line.runner(Toolbox("Thing", [note]))
    runner.start(call({"text": "hello"}, name="note", expects_response=False))
    runner.start(call({"wrong": 1}, name="note", expects_response=False))
    runner.start(call(name="nothing", expects_response=False))
    with anyio.fail_after(5):
        await done.wait()
    await runner.aclose()
    assert not line.results
    results = [event for event in line.events if isinstance(event, ToolResult)]
    assert sorted((result.name, result.failed) for result in results) == [
        ("note", False),
        ("note", True),
        ("nothing", True),
    ]


async def test_results_have_the_duration_of_the_call() -> None:
    line = Line()
    runner = line.runner(Toolbox("Thing", {"tool": anyio.sleep}, 0.05))
    runner.start(call({"delay": 0.03}))
    runner.start(call({"delay": 60}))
    await line.until(2)
    await runner.aclose()
    quick, late = (event for event in line.events if isinstance(event, ToolResult))
    assert quick.duration_ms is not None
    assert late.duration_ms is not None
    assert 30 <= quick.duration_ms < late.duration_ms
    assert 50 <= late.duration_ms < 5_000


async def test_arguments_that_are_not_text_are_reported_with_replacements() -> None:
    line = Line()
    broken = wire.ToolCallEvent(tool_name="x", tool_call_id="t1", parameters=msgspec.Raw(b'{"a":"\xff"}'))
    line.runner(Toolbox()).start(broken)
    assert line.events[0] == ToolCall("t1", "x", '{"a":"\ufffd"}')


async def test_a_result_that_is_too_long_is_an_error() -> None:
    assert not (await answer(lambda: "x" * RESULT_LIMIT)).is_error
    found = await answer(lambda: "é" * RESULT_LIMIT)
    assert found.is_error
    assert len(found.result) < 100


async def test_a_result_that_json_cannot_carry_does_not_cost_the_answer() -> None:
    assert (await answer(lambda: "half \ud800")).result == "half ?"
    recursive: list[object] = []
    recursive.append(recursive)
    assert (await answer(lambda: recursive)).is_error


async def test_tools_run_side_by_side_up_to_a_bound() -> None:
    together = anyio.Event()
    running = 0

    async def meet() -> str:
        nonlocal running
        running += 1
        if running == CONCURRENCY:
            together.set()
        await together.wait()
        return "met"

    line = Line()
    runner = line.runner(Toolbox("Thing", [meet]))
    for _ in range(CONCURRENCY + 1):
        runner.start(call(name="meet"))
    assert [result.is_error for result in line.results] == [True]
    assert isinstance(line.events[-1], ToolResult)
    assert "Too many" in line.events[-1].result
    await runner.aclose()
    assert [result.result for result in line.results[1:]] == ["met"] * CONCURRENCY


async def test_threads_that_hang_are_bounded(release: threading.Event) -> None:
    line = Line()
    runner = line.runner(Toolbox("Thing", {"tool": release.wait}, 0.01))
    for round_ in range(2):
        for _ in range(CONCURRENCY):
            runner.start(call())
        await line.until(CONCURRENCY * (round_ + 1))
        await anyio.wait_all_tasks_blocked()
    release.set()
    assert "did not answer" in line.results[0].result
    assert line.results[-1].result == "Too many tools are running. Try again later."


def test_a_thread_that_hangs_does_not_keep_the_process_alive() -> None:
    code = """
import anyio, threading
from patter_elevenlabs import wire
from patter_elevenlabs.toolrunner import ToolRunner
from patter_elevenlabs.tools import Toolbox

def hang() -> None:
    threading.Event().wait()

async def main() -> None:
    answered = anyio.Event()
    runner = ToolRunner(Toolbox("Thing", [hang], 0.1), lambda _: answered.set(), lambda _: None)
    runner.start(wire.ToolCallEvent(tool_name="hang", tool_call_id="t1"))
    await answered.wait()
    await runner.aclose()

anyio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


async def test_running_tools_may_finish_after_the_end_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolrunner, "GRACE", 0.1)
    finished: list[str] = []

    async def write() -> None:
        await anyio.wait_all_tasks_blocked()
        finished.append("written")

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            finished.append("cancelled")

    runner = Line().runner(Toolbox("Thing", [write, hang]))
    runner.start(call(name="hang"))
    runner.start(call(name="write"))
    with anyio.fail_after(5):
        await runner.aclose()
        await runner.aclose()
    assert finished == ["written", "cancelled"]
