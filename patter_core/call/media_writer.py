"""Writes to the carrier's media socket. A socket that does not take a message at once is waited for by a task."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

from patter_core.call.context import CallContext
from patter_core.transport import Message, Socket

__all__ = ["MediaWriter"]

_URGENT = 200
"""Messages ahead of audio that wait for a socket: one that leaves so many is given up."""


class MediaWriter:
    """The socket that the call has at the time.

    Args:
        call: what the parts of the call share.
        on_wait: called when the socket has not taken a message at once: until `on_ready` it takes no other.
        on_ready: called when the socket takes messages again.
        on_broken: called when it takes no more; what is left to read from it says why.
    """

    def __init__(
        self,
        call: CallContext,
        *,
        on_wait: Callable[[], None],
        on_ready: Callable[[], None],
        on_broken: Callable[[], None],
    ) -> None:
        self.is_ready = False
        """True if a message can be written now."""
        self._call = call
        self._on_wait = on_wait
        self._on_ready = on_ready
        self._on_broken = on_broken
        self._socket: Socket | None = None
        self._urgent: list[Message] = []

    def attach(self, socket: Socket) -> None:
        """Writes to that socket from here on."""
        self._urgent.clear()
        self._socket = socket
        self.is_ready = True

    def detach(self) -> None:
        """Writes to none."""
        self._urgent.clear()
        self._socket = None
        self.is_ready = False

    def write(self, message: Message) -> bool:
        """Writes one message; to be called only while the socket is ready. False if the socket is gone."""
        socket = self._socket
        assert socket is not None  # it would not be ready
        try:
            rest = socket.send(message)
        except OSError:
            self._broken(socket)
            return False
        if rest is not None:
            self.is_ready = False
            self._call.state.blocked_at = self._call.clock()
            self._call.start(self._await_taken, socket, rest)
            self._on_wait()
        return True

    def write_first(self, messages: Sequence[Message]) -> None:
        """Writes messages ahead of all audio: now, or as soon as the socket is ready. Without a socket it does nothing.

        A peer that lets very many of them pile up is cut off.
        """
        for message in messages:
            if self.is_ready:
                self.write(message)
            elif (socket := self._socket) is not None:
                self._urgent.append(message)
                if len(self._urgent) > _URGENT:
                    socket.close(1008, "the answers are not read")
                    self._broken(socket)

    async def _await_taken(self, socket: Socket, rest: Awaitable[None]) -> None:
        try:
            await rest
        except OSError:
            self._broken(socket)
            return
        if socket is not self._socket:
            return
        self.is_ready = True
        self._call.state.blocked_at = math.inf
        while self._urgent and self.is_ready:
            self.write(self._urgent.pop(0))
        if self.is_ready:
            self._on_ready()

    def _broken(self, socket: Socket) -> None:
        if socket is self._socket:  # by now another one may have followed
            self.detach()
            self._on_broken()
