"""Waiting, by looking again and again, for what tells nobody when it changes."""

from __future__ import annotations

from collections.abc import Callable

import anyio

__all__ = ["until"]


async def until(condition: Callable[[], bool], *, within: float = 20.0, every: float = 0.001) -> float:
    """Returns once the condition is true, with the seconds that this took.

    Raises:
        TimeoutError: it took longer than `within`.
    """
    began = anyio.current_time()
    with anyio.fail_after(within):
        while not condition():  # noqa: ASYNC110 - the one loop for what has no event to wait for
            await anyio.sleep(every)
    return anyio.current_time() - began
