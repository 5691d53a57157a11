"""The store in memory: each call's lines in order, for a while, and not without bound."""

from __future__ import annotations

import pytest

from patter_core.history import UserSaid
from patter_core.store import LINES_KEPT, HistoryLine
from patter_core.testing.fakes import MemoryCallStore

pytestmark = pytest.mark.anyio


def said(text: str) -> HistoryLine:
    return HistoryLine(text, UserSaid(text=text, started_ms=0))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_lines_come_back_in_order_each_calls_own() -> None:
    kept = MemoryCallStore()
    for index in range(3):
        await kept.append("one", said(f"{index}"))
    await kept.append("other", said("Hello."))
    assert [line.id for line in await kept.history("one")] == ["0", "1", "2"]
    assert await kept.history("other") == (said("Hello."),)
    assert await kept.history("unknown") == ()
    await kept.aclose()


async def test_a_call_expires_some_time_after_its_last_line() -> None:
    clock = Clock()
    kept = MemoryCallStore(expiry=60, clock=clock)
    await kept.append("one", said("Hi."))
    clock.now = 59
    await kept.append("one", said("Still here."))
    clock.now = 118
    assert len(await kept.history("one")) == 2
    clock.now = 119
    assert await kept.history("one") == ()


async def test_the_latest_lines_are_kept() -> None:
    kept = MemoryCallStore()
    for index in range(LINES_KEPT + 2):
        await kept.append("call", said(f"{index}"))
    lines = await kept.history("call")
    assert len(lines) == LINES_KEPT
    assert (lines[0].id, lines[-1].id) == ("2", f"{LINES_KEPT + 1}")
