"""What was said on a call, in order and as it was heard; it reaches the store when it can, and delays no call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from patter_core.call import history
from patter_core.call.history import History, HistoryWriter, introduced, supplemented
from patter_core.checks import CheckResult, Level
from patter_core.errors import StoreRefused, StoreUnavailable
from patter_core.history import AgentSaid, UserSaid
from patter_core.store import CallStore, HistoryLine
from patter_core.testing.fakes import MemoryCallStore

pytestmark = pytest.mark.anyio


def said(text: str, started_ms: float = 0) -> HistoryLine:
    return HistoryLine(text, UserSaid(text=text, started_ms=started_ms))


LINES = [said(str(number)) for number in range(3)]


def test_nothing_said_is_nothing_to_tell() -> None:
    assert introduced(History().items) == supplemented([]) == ""


def test_items_are_told_in_the_order_of_their_beginning_and_what_replaces_one_takes_its_place() -> None:
    history = History()
    history.put(HistoryLine("1", AgentSaid(text="Would you like a table by the", started_ms=2)))
    history.put(said("By the window.", 3))
    history.put(HistoryLine("1", AgentSaid(text="Would you", started_ms=2, interrupted=True)))
    history.precede([said("A table for two.", 1), said("By the window.", 0)])
    assert introduced(history.items).splitlines()[1:] == [
        "User: A table for two.",
        "You: Would you [interrupted]",
        "User: By the window.",
    ]


def test_of_a_long_call_the_end_is_told_in_whole_lines() -> None:
    history = History()
    for number in range(1_000):
        history.put(said(f"{number} " + "x" * 100, number))
    lines = introduced(history.items).splitlines()[1:]
    assert len("\n".join(lines)) <= 8_000
    assert lines[-1].startswith("User: 999 ")
    assert all(len(line) > 100 for line in lines)


def test_what_precedes_does_not_push_out_what_is_newer() -> None:
    history = History()
    history.put(said("new", 2_000))
    history.precede([said(f"old {number}", number) for number in range(1_000)])
    assert introduced(history.items).splitlines()[-1] == "User: new"
    assert len(history.items) == 200


class Shaky(CallStore):
    """A store that fails as often as it is told to."""

    name = "shaky"

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.kept = MemoryCallStore()
        self.closed = False

    async def append(self, call_id: str, line: HistoryLine) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await self.kept.append(call_id, line)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        if self.failures:
            raise self.failures.pop(0)
        return await self.kept.history(call_id)

    async def aclose(self) -> None:
        self.closed = True


async def test_lines_are_stored_in_order_and_a_store_that_comes_back_has_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "_FIRST_PAUSE", 0.01)
    store = Shaky(StoreUnavailable("away"), StoreUnavailable("away"))
    lines = HistoryWriter(store)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.run)
            for line in LINES:
                lines.put("call-1", line)
            while await lines.history("call-1") != tuple(LINES):  # noqa: ASYNC110 - the store tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert lines.dropped == 0


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), SystemExit(1), asyncio.CancelledError()], ids=repr)
async def test_a_line_that_the_store_refuses_is_dropped_and_told(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    store = Shaky(error)
    lines = HistoryWriter(store)
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert await lines.history("call-1") == tuple(LINES[1:])
    assert lines.dropped == 1
    assert type(error).__name__ in caplog.text
    assert store.closed


async def test_a_store_that_hangs_is_closed_all_the_same_and_what_is_lost_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging(Shaky):
        async def append(self, call_id: str, line: HistoryLine) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(history, "_TIMEOUT", 0.01)
    store = Hanging()
    lines = HistoryWriter(store)
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert store.closed
    assert f"{len(LINES)} lines could not be stored" in caplog.text


async def test_what_waits_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_QUEUE_LIMIT", 2)
    lines = HistoryWriter(MemoryCallStore())
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert await lines.history("call-1") == tuple(LINES[1:])
    assert lines.dropped == 1


async def test_a_store_that_cannot_say_what_was_said_leaves_the_call_without(caplog: pytest.LogCaptureFixture) -> None:
    assert await HistoryWriter(Shaky(StoreUnavailable("away"))).history("call-1") == ()
    assert "did not return the history" in caplog.text


async def test_without_a_store_nothing_is_kept() -> None:
    lines = HistoryWriter(None)
    lines.put("call-1", LINES[0])
    await lines.drain()
    assert await lines.history("call-1") == ()


class Foreign(MemoryCallStore):
    """Raises what is no `Exception`, out of each method once."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.raised: list[str] = []

    def _meet(self, where: str) -> None:
        if where not in self.raised:
            self.raised.append(where)
            raise self.error

    async def append(self, call_id: str, line: HistoryLine) -> None:
        self._meet("append")
        await super().append(call_id, line)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        self._meet("history")
        return await super().history(call_id)

    async def check(self) -> Sequence[CheckResult]:
        self._meet("check")
        return [CheckResult(Level.PROBLEM, "It is full.", "Empty it.")]

    async def aclose(self) -> None:
        self._meet("aclose")


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), BaseException("of its own")])
async def test_whatever_comes_out_of_a_store_stays_there(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    store = Foreign(error)
    lines = HistoryWriter(store)
    assert await lines.history("call-1") == ()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.run)
            for line in LINES:
                lines.put("call-1", line)
            while len(await lines.history("call-1")) < 2:  # noqa: ASYNC110 - a store does not notify
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
        await lines.drain()
    assert sorted(store.raised) == ["aclose", "append", "check", "history"]
    assert lines.dropped == 1
    assert caplog.text.count("the store did not return the history") == 1
    for words in ("refused a line", "in its own checks", "failed to close"):
        assert caplog.text.count(words) == 1


async def test_a_store_that_refuses_for_good_is_told_once_with_the_remedy_and_what_it_refuses_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = HistoryWriter(Shaky(*[StoreRefused("The password is wrong.", remedy="Set another.") for _ in range(3)]))
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert lines.dropped == 3
    assert caplog.text.count("The password is wrong. Set another.") == 1


async def test_what_a_stores_own_check_finds_is_told_when_the_worker_starts(caplog: pytest.LogCaptureFixture) -> None:
    store = Foreign(SystemExit(3))
    store.raised.append("check")
    with anyio.move_on_after(0.2):
        await HistoryWriter(store).run()
    assert "The store: It is full. Empty it." in caplog.text


async def test_what_waits_for_a_store_is_bounded_in_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_QUEUE_TEXT", 1_000_000)
    lines = HistoryWriter(MemoryCallStore())
    for number in range(60):
        lines.put("call-1", said(f"{number}".ljust(100_000)))
    assert lines.dropped == 50


@pytest.mark.parametrize("told", [None, ["Hello."], [None], 7])
async def test_a_history_that_makes_no_sense_is_none(
    told: Any, caplog: pytest.LogCaptureFixture
) -> None:  # of a plugin
    class Odd(Shaky):
        async def history(self, call_id: str) -> Sequence[HistoryLine]:
            return told  # type: ignore[no-any-return] # no lines

    assert await HistoryWriter(Odd()).history("call-1") == ()
    assert "did not return the history" in caplog.text


# --- once a line is in the store -----------------------------------------------------------------------------------


async def test_it_is_told_when_a_line_and_those_before_it_are_in_the_store() -> None:
    store = MemoryCallStore()
    lines = HistoryWriter(store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lines.run)
        for line in LINES[:2]:
            lines.put("call-1", line)
        assert await lines.stored(lines.put("call-1", LINES[2]), 5)
        assert await store.history("call-1") == tuple(LINES)
        tasks.cancel_scope.cancel()


async def test_without_a_store_nothing_is_waited_for() -> None:
    lines = HistoryWriter(None)
    with anyio.fail_after(1):
        assert await lines.stored(lines.put("call-1", LINES[0]), 60)


async def test_a_store_that_is_away_is_waited_for_no_longer_than_wished() -> None:
    lines = HistoryWriter(Shaky(*[StoreUnavailable("away")] * 100))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lines.run)
        deposit = lines.put("call-1", LINES[0])
        with anyio.fail_after(2):
            assert not await lines.stored(deposit, 0.05)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("error", [StoreRefused("full"), SystemExit(1), ZeroDivisionError("a bug")], ids=repr)
async def test_a_line_that_the_store_refuses_is_not_waited_for(error: BaseException) -> None:
    lines = HistoryWriter(Shaky(error))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lines.run)
        with anyio.fail_after(5):
            assert not await lines.stored(lines.put("call-1", LINES[0]), 60)
            assert await lines.stored(lines.put("call-1", LINES[1]), 60)
        tasks.cancel_scope.cancel()


async def test_one_that_waits_and_is_cancelled_leaves_the_others_waiting() -> None:
    lines = HistoryWriter(MemoryCallStore())
    deposit = lines.put("call-1", LINES[0])
    got: list[bool] = []

    async def wait() -> None:
        got.append(await lines.stored(deposit, 5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        with anyio.move_on_after(0.01):
            await lines.stored(deposit, 5)
        await lines.drain()
    assert got == [True]
