"""Server-sent events: an answer that goes on, as an ASGI app."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import anyio
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream"]

_PING = 15.0
"""Seconds between two signs of life: proxies close streams that are silent."""
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """Sends events until there are no more, or the browser is gone.

    Args:
        events: whole events, each with the blank line at its end.
    """

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer."""
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        async with anyio.create_task_group() as tasks, contextlib.aclosing(self._events):
            tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
            tasks.start_soon(_ping, send)
            async for event in self._events:
                await _send(send, event)
            tasks.cancel_scope.cancel()
        with contextlib.suppress(OSError):  # the browser is gone
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _ping(send: Send) -> None:
    while True:
        await _send(send, b": still here\n\n")
        await anyio.sleep(_PING)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
