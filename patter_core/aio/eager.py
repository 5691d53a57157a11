"""Runs a coroutine until it first waits: most calls that might wait do not, and then need neither task nor event loop.

`start_now(send(message))` gives None if the message was taken at once; else what is left, to be awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType

__all__ = ["start_now"]


def start_now(awaitable: Awaitable[object]) -> Awaitable[None] | None:
    """Runs a coroutine until it ends or waits. Returns None if it ended; else its rest, which must be awaited.

    It begins in the present task and goes on in the one that awaits the rest, so it must not depend on being in one
    task. Its result is dropped. What it raises before it waits is raised here. Other awaitables are run likewise.
    """
    coroutine: Coroutine[object, object, object] = (
        awaitable if isinstance(awaitable, CoroutineType) else _coroutine(awaitable)
    )
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return _Rest(coroutine, waits_for)


async def _coroutine(awaitable: Awaitable[object]) -> None:
    """Awaits what may lack the methods of a coroutine, as with servers that are not written in Python."""
    await awaitable


class _Rest(Awaitable[None]):
    """A coroutine that waits for a future, which it has yielded already: as `yield from`, but for the first step."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[object, object, object], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, object, None]:
        coroutine, waits_for = self._coroutine, self._waits_for
        while True:
            failure: BaseException | None = None
            sent: object = None
            try:
                sent = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation, or what the future raised
                failure = error
            try:
                waits_for = coroutine.send(sent) if failure is None else coroutine.throw(failure)
            except StopIteration:
                return
