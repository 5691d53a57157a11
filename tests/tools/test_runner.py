from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import anyio
import msgspec
import pytest

from patter_core.aio import Changes
from patter_core.aio.foreign import run_foreign
from patter_core.events import ToolCall, ToolResult
from patter_core.observe.secrets import hide
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools import FilledIn, Tool, Tools, as_tools
from patter_core.tools import runner as runners
from patter_core.tools.results import RESULT_LIMIT
from patter_core.tools.runner import ARGUMENTS_LIMIT, CONCURRENCY, ToolRunner
from patter_core.tools.use import ToolUse, current_use

pytestmark = pytest.mark.anyio


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end of the test at the latest: it releases threads that wait for it."""
    event = threading.Event()
    yield event
    event.set()


class Line:
    """The answers to the agent."""

    def __init__(self, *filled_in: FilledIn) -> None:
        self.results: list[ToolResult] = []
        self.uses: list[ToolUse] = []
        """Those that were answered."""
        self.begun: list[str] = []
        """The ids of those that were announced before they ran."""
        self.fault: Exception | None = None
        """What comes in the way of that."""
        self._filled_in = filled_in
        self._changes = Changes()
        self.runner = ToolRunner(begin=self._begin, fill_in=lambda _: self._filled_in, answer=self._answer)
        self._tools: dict[str, Tool] = {}

    def offer(self, tools: Tools, limit: float = 5.0) -> Line:
        self._tools = {tool.spec.name: tool for tool in as_tools(tools, "tools=", timeout=limit)}
        return self

    def call(self, parameters: object = None, *, name: str = "tool", use: str = "t1") -> None:
        arguments = msgspec.json.encode({} if parameters is None else parameters).decode()
        self.runner.start(ToolCall(use, name, arguments), self._tools.get(name), self)

    async def _begin(self, use: ToolUse) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.begun.append(use.call.id)

    def _answer(self, use: ToolUse, result: ToolResult) -> None:
        self.results.append(result)
        self.uses.append(use)
        self._changes.notify()

    async def until(self, count: int) -> list[ToolResult]:
        with anyio.fail_after(5):
            await self._changes.wait_until(lambda: len(self.results) >= count)
        return self.results


async def answer(function: Callable[..., object], parameters: object = None, *, limit: float = 5.0) -> ToolResult:
    line = Line().offer({"tool": function}, limit)
    line.call(parameters)
    (found,) = await line.until(1)
    await line.runner.aclose()
    assert line.results == [found]
    assert (found.id, found.name, line.begun) == ("t1", "tool", ["t1"])
    return found


@pytest.mark.parametrize(("value", "text"), [(0, "0"), ("", ""), (False, "false"), ({"sun": 1}, '{"sun":1}')])
async def test_a_result_is_the_answer_even_if_it_is_falsy(value: object, text: str) -> None:
    found = await answer(lambda: value)
    assert (found.result, found.failed) == (text, False)


async def test_an_exception_is_an_error_result_and_its_traceback_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def full() -> None:
        raise ValueError("No table is free.")

    def mute() -> None:
        raise KeyError

    found = await answer(full)
    assert (found.result, found.failed) == ("No table is free.", True)
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
    assert found.failed
    assert found.result.startswith(result)
    (logged,) = caplog.records
    assert logged.message == "The tool tool failed."
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

    line = Line().offer([exits, fails, release.wait], 5.0)
    for count in range(1, 11):
        line.call(name="exits")
        line.call(name="fails")
        await line.until(2 * count)
    for _ in range(CONCURRENCY + 100):
        line.call(name="wait")
        line.call(name="weather")
    release.set()
    await line.runner.aclose()
    await line.runner.aclose()
    assert len(line.results) == 20 + 2 * (CONCURRENCY + 100)
    messages = [record.message for record in caplog.records[:-1]]
    assert sorted(messages[:2]) == ["The tool exits failed.", "The tool fails failed."]  # each in a task of its own
    assert messages[2:] == [
        "The agent called the tool 'weather', which there is not.",
        f"The agent called wait while {CONCURRENCY} tools are running: refused.",
    ]
    further = caplog.records[-1].message.removeprefix("Tools, further cases: ").removesuffix(".").split(", ", 2)
    assert sorted(further[:2]) == ["9 × ForeignFault out of exits", "9 × ValueError out of fails"]
    assert further[2:] == [f"{CONCURRENCY + 99} × a tool that there is not, 99 × refused, as too many are running"]


async def test_wrong_arguments_are_explained_and_the_function_is_not_called() -> None:
    def forecast(days: int) -> str:
        raise AssertionError(f"It must not be called, as it was with {days}.")

    found = await answer(forecast, {"days": "two"})
    assert found.failed
    assert "Expected `int`, got `str` - at `$.days`" in found.result


async def test_an_answer_comes_in_time_even_if_the_tool_does_not(release: threading.Event) -> None:
    for stuck in (anyio.sleep_forever, release.wait):
        found = await answer(stuck, limit=0.05)
        assert found.failed
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
    monkeypatch.setattr(runners, "CONCURRENCY", 1)
    monkeypatch.setattr(runners, "CLEANUP", 0.05)
    let_go = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()
        raise ValueError("Too late.")

    line = Line().offer({"tool": stubborn}, 0.05)
    with anyio.fail_after(3):
        line.call()
        await line.until(1)
        line.call()
        await line.runner.aclose()
        let_go.set()
        await line.runner.aclose()
    late, refused = line.results
    assert "0.05 s" in late.result
    assert "Too many" in refused.result
    assert "The tool tool failed after it was abandoned." in caplog.text


async def test_a_timeout_inside_a_tool_is_an_error_of_the_tool() -> None:
    async def ask() -> None:
        with anyio.fail_after(0):
            await anyio.sleep_forever()

    assert (await answer(ask)).result == "TimeoutError"


async def test_a_tool_that_cancels_itself_is_answered_too() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    assert (await answer(give_up)).failed


async def test_an_unknown_tool_is_answered() -> None:
    line = Line()
    line.call(name="weather")
    (found,) = line.results
    assert (found.id, found.name, found.result, found.failed) == ("t1", "weather", "There is no tool weather.", True)
    assert not line.begun


async def test_results_have_the_duration_of_the_call() -> None:
    line = Line().offer({"tool": anyio.sleep}, 0.05)
    line.call({"delay": 0.03})
    line.call({"delay": 60})
    await line.until(2)
    await line.runner.aclose()
    quick, late = line.results
    assert quick.duration_ms is not None
    assert late.duration_ms is not None
    assert 30 <= quick.duration_ms < late.duration_ms
    assert 50 <= late.duration_ms < 5_000


async def test_a_result_that_is_too_long_is_an_error() -> None:
    assert not (await answer(lambda: "x" * RESULT_LIMIT)).failed
    found = await answer(lambda: "é" * RESULT_LIMIT)
    assert found.failed
    assert len(found.result) < 100


async def test_a_result_that_json_cannot_carry_does_not_cost_the_answer() -> None:
    assert (await answer(lambda: "half \ud800")).result == "half ?"
    recursive: list[object] = []
    recursive.append(recursive)
    assert (await answer(lambda: recursive)).failed


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

    line = Line().offer([meet])
    for _ in range(CONCURRENCY + 1):
        line.call(name="meet")
    assert [result.failed for result in line.results] == [True]
    assert "Too many" in line.results[-1].result
    await line.runner.aclose()
    assert [result.result for result in line.results[1:]] == ["met"] * CONCURRENCY


async def test_threads_that_hang_are_bounded(release: threading.Event) -> None:
    hanging: list[str] = []

    def hang() -> None:
        hanging.append("a thread")
        release.wait()

    line = Line().offer({"tool": hang}, 0.01)
    with anyio.fail_after(60):
        count = 0
        while len(hanging) < CONCURRENCY:  # a busy machine may start a thread after its tool's time
            line.call()
            count += 1
            await line.until(count)
    line.call()
    release.set()
    assert "did not answer" in line.results[0].result
    assert line.results[-1].result == "Too many tools are running. Try again later."


def test_a_thread_that_hangs_does_not_keep_the_process_alive() -> None:
    code = """
import anyio, threading
from patter_core.events import ToolCall
from patter_core.tools import Tool
from patter_core.tools.runner import ToolRunner

def hang() -> None:
    threading.Event().wait()

async def begin(use) -> None:
    pass

async def main() -> None:
    answered = anyio.Event()
    runner = ToolRunner(begin=begin, fill_in=lambda _: (), answer=lambda *_: answered.set())
    runner.start(ToolCall("t1", "hang"), Tool.of(hang, timeout=0.1), None)
    await answered.wait()
    await runner.aclose()

anyio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


async def test_running_tools_may_finish_after_the_end_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "GRACE", 0.1)
    finished: list[str] = []

    async def write() -> None:
        await anyio.wait_all_tasks_blocked()
        finished.append("written")

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            finished.append("cancelled")

    line = Line().offer([write, hang])
    line.call(name="hang")
    line.call(name="write")
    with anyio.fail_after(5):
        await line.runner.aclose()
        await line.runner.aclose()
    assert finished == ["written", "cancelled"]


class Phone(FilledIn):
    def __init__(self, number: str) -> None:
        self.number = number


class Mobile(Phone):
    pass


async def test_what_is_annotated_as_filled_in_is_filled_in() -> None:
    def who(question: str, phone: Phone, mobile: Mobile | None = None) -> str:
        return f"{question} {phone.number} {mobile}"

    def needs_a_mobile(mobile: Mobile) -> str:
        return mobile.number

    line = Line(Phone("7")).offer([who, needs_a_mobile])
    line.call({"question": "Who?"}, name="who")
    (found,) = await line.until(1)
    assert found.result == "Who? 7 None"
    line.call({"question": "Who?", "phone": "8"}, name="who")
    assert "unknown field `phone`" in (await line.until(2))[1].result
    line.call(name="needs_a_mobile")
    assert (await line.until(3))[2].result == "This call is no Mobile."
    await line.runner.aclose()


@pytest.mark.parametrize("action", [HangUp(), HangUp("Bye."), Transfer("+15550001111")])
async def test_a_tool_that_ends_the_call_is_answered_and_the_use_says_how(action: HangUp | Transfer) -> None:
    line = Line().offer({"tool": lambda: action})
    line.call()
    (found,) = await line.until(1)
    assert not found.failed
    assert "as soon as the caller has heard" in found.result
    assert "555" not in found.result
    assert line.uses[0].action is action
    await line.runner.aclose()


async def test_a_parameter_that_is_filled_in_keeps_its_default_where_there_is_nothing() -> None:
    own = Mobile("9")

    def which(mobile: Mobile | None = own, other: Mobile | None = None) -> str:
        return f"{mobile is own} {other}"

    line = Line(Phone("7")).offer([which])
    line.call(name="which")
    assert (await line.until(1))[0].result == "True None"
    await line.runner.aclose()


async def test_arguments_that_are_too_long_are_refused_before_they_are_kept() -> None:
    line = Line().offer({"tool": lambda text: text})
    line.call({"text": "x" * ARGUMENTS_LIMIT})
    (found,) = line.results
    assert (found.result, found.failed) == ("The arguments are longer than 32768 characters.", True)
    assert not line.begun


async def test_a_use_that_cannot_be_announced_is_answered_and_its_tool_does_not_run() -> None:
    ran: list[str] = []
    line = Line().offer({"tool": lambda: ran.append("it")})
    line.fault = OSError("no room")
    line.call()
    (found,) = await line.until(1)
    assert (found.result, found.failed) == ("no room", True)
    assert not ran
    await line.runner.aclose()


async def test_secrets_in_the_message_of_an_error_are_hidden() -> None:
    hide("very-secret-word")

    def fails() -> None:
        raise ValueError("The key very-secret-word is wrong, as is password=hunter22222.")

    found = await answer(fails)
    assert found.result.startswith("The key [hidden] is wrong")
    assert "hunter" not in found.result


async def test_code_of_a_tool_knows_its_use_also_in_threads_and_tasks() -> None:
    seen: list[ToolUse | None] = []

    async def in_task() -> None:
        seen.append(current_use.get())
        await asyncio.create_task(asyncio.to_thread(lambda: seen.append(current_use.get())))

    line = Line().offer([in_task, lambda_ := Tool.of(lambda: seen.append(current_use.get()), name="in_thread")])
    assert lambda_.spec.name == "in_thread"
    line.call(name="in_task", use="1")
    await line.until(1)
    line.call(name="in_thread", use="2")
    await line.until(2)
    assert seen == [line.uses[0], line.uses[0], line.uses[1]]
    assert current_use.get() is None
    await line.runner.aclose()


async def test_only_a_tool_that_says_so_is_cancelled_and_answered_at_once() -> None:
    async def wait() -> str:
        await anyio.sleep(0.1)
        return "waited"

    line = Line().offer([Tool.of(wait, name="patient"), Tool.of(wait, name="quick", cancellable=True)])
    line.call(name="patient", use="1")
    line.call(name="quick", use="2")
    line.call(name="quick", use="3")
    assert len(line.runner.unanswered) == 3
    line.runner.cancel(line.runner.unanswered[:2])  # before they began
    await line.until(1)
    line.runner.cancel(line.runner.unanswered)
    await line.until(3)
    assert [(found.id, found.result) for found in line.results] == [
        ("2", "The tool was cancelled."),
        ("3", "The tool was cancelled."),
        ("1", "waited"),
    ]
    assert not line.runner.unanswered
    await line.runner.aclose()
