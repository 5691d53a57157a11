"""The carrier's media socket, while it serves a call."""

from __future__ import annotations

import contextlib

import anyio
import msgspec
from starlette.types import Send

__all__ = ["MediaSocket"]

_TIMEOUT = 1.0
"""Seconds for the media socket to take its close frame."""


class MediaSocket(msgspec.Struct):
    """An accepted media socket, while it serves."""

    send: Send
    scope: anyio.CancelScope
    opened: bool = False
    closed: bool = False

    async def close(self) -> None:
        """Close it, if nobody did; its peer may be gone, or take nothing."""
        if self.closed:
            return
        self.closed = True
        # The server says OSError or RuntimeError if the peer or the server itself has closed it before.
        with contextlib.suppress(OSError, RuntimeError), anyio.move_on_after(_TIMEOUT):
            await self.send({"type": "websocket.close", "code": 1000})
