"""What was said on a call, in order and as it was heard; it reaches the store when it can, and delays no call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from patter_core.call import history
from patter_core.call.history import History, HistoryWriter
from patter_core.checks import CheckResult, Level
from patter_core.errors import StoreRefused, StoreUnavailable
from patter_core.events import Interruption, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.store import CallStore, Speaker, Utterance
from patter_core.testing.fakes import MemoryCallStore

pytestmark = pytest.mark.anyio

LINES = [Utterance(Speaker.CALLER, str(number)) for number in range(3)]


def test_nothing_said_is_nothing_to_tell() -> None:
    said = History()
    assert said.note(Interruption()) is None
    assert said.text == ""


def test_lines_are_told_in_order_with_corrections_in_their_place_and_what_came_before_in_front() -> None:
    said = History()
    said.note(TranscriptOutput(text="Would you like a table by the"))
    said.note(TranscriptInput(text="By the window."))
    said.note(TranscriptCorrection(text="Would you"))
    said.precede([Utterance(Speaker.CALLER, "A table for two.")])
    assert said.text.splitlines()[1:] == ["User: A table for two.", "You: Would you", "User: By the window."]


def test_of_a_long_call_the_end_is_told_in_whole_lines() -> None:
    said = History()
    for number in range(1_000):
        said.note(TranscriptInput(text=f"{number} " + "x" * 100))
    lines = said.text.splitlines()[1:]
    assert len("\n".join(lines)) <= 8_000
    assert lines[-1].startswith("User: 999 ")
    assert all(len(line) > 100 for line in lines)


def test_what_precedes_does_not_push_out_what_is_newer() -> None:
    said = History()
    said.note(TranscriptInput(text="new"))
    said.precede([Utterance(Speaker.CALLER, "old")] * 1_000)
    assert said.text.splitlines()[-1] == "User: new"


class Shaky(CallStore):
    """A store that fails as often as it is told to."""

    name = "shaky"

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.kept = MemoryCallStore()
        self.closed = False

    async def append(self, call_id: str, line: Utterance) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await self.kept.append(call_id, line)

    async def history(self, call_id: str) -> Sequence[Utterance]:
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
        async def append(self, call_id: str, line: Utterance) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(history, "_TIMEOUT", 0.01)
    store = Hanging()
    lines = HistoryWriter(store)
    for line in LINES:
        lines.put("call-1", line)
    await lines.drain()
    assert store.closed
    assert f"{len(LINES)} utterances could not be stored" in caplog.text


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

    async def append(self, call_id: str, line: Utterance) -> None:
        self._meet("append")
        await super().append(call_id, line)

    async def history(self, call_id: str) -> Sequence[Utterance]:
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
    for words in ("refused an utterance", "in its own checks", "failed to close"):
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
        lines.put("call-1", Utterance(Speaker.CALLER, f"{number}".ljust(100_000)))
    assert lines.dropped == 50


@pytest.mark.parametrize("told", [None, ["Hello."], [None], 7])
async def test_a_history_that_makes_no_sense_is_none(
    told: Any, caplog: pytest.LogCaptureFixture
) -> None:  # of a plugin
    class Odd(Shaky):
        async def history(self, call_id: str) -> Sequence[Utterance]:
            return told  # type: ignore[no-any-return] # no utterances

    assert await HistoryWriter(Odd()).history("call-1") == ()
    assert "did not return the history" in caplog.text
