"""One timer calls the functions of an event loop, as long as there are any."""

from __future__ import annotations

import anyio
import pytest

from patter_core.aio.ticker import Ticker
from tests.polling import until

pytestmark = pytest.mark.anyio


async def test_functions_are_called_until_they_are_removed() -> None:
    ticker, calls = Ticker(0.01), [0, 0]

    def first() -> None:
        calls[0] += 1

    def second() -> None:
        calls[1] += 1

    ticker.add(first)
    ticker.add(second)
    ticker.add(second)  # once is enough
    await until(lambda: min(calls) >= 3)
    assert abs(calls[0] - calls[1]) <= 1
    ticker.remove(first)
    ticker.remove(first)
    before = calls[0]
    await until(lambda: calls[1] >= before + 3)
    assert calls[0] == before
    ticker.remove(second)


async def test_after_the_last_one_was_removed_another_can_be_added() -> None:
    ticker, calls = Ticker(0.01), 0

    def count() -> None:
        nonlocal calls
        calls += 1

    ticker.add(count)
    ticker.remove(count)
    await anyio.sleep(0.05)
    assert calls == 0
    ticker.add(count)
    await until(lambda: calls >= 2)
    ticker.remove(count)


async def test_one_that_is_added_right_after_the_last_was_removed_has_one_timer() -> None:
    ticker, calls = Ticker(0.05), 0

    def count() -> None:
        nonlocal calls
        calls += 1

    began = anyio.current_time()
    for _ in range(5):
        ticker.add(count)
        ticker.remove(count)
    ticker.add(count)
    await until(lambda: calls >= 4)
    assert anyio.current_time() - began >= 3 * 0.05
    ticker.remove(count)
    await anyio.sleep(0.15)
    ticker.add(count)  # the timer has stopped without an error, and begins again
    before = calls
    await until(lambda: calls > before)
    ticker.remove(count)


async def test_one_that_raises_is_called_no_more_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    ticker, calls = Ticker(0.01), 0

    def count() -> None:
        nonlocal calls
        calls += 1

    def fail() -> None:
        raise SystemExit

    ticker.add(fail)
    ticker.add(count)
    await until(lambda: calls >= 3)
    ticker.remove(count)
    assert caplog.text.count("A periodic function failed") == 1
