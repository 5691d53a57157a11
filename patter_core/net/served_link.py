"""A media socket, whichever library reads its frames: back-pressure both ways, pings, bounds, its end.

A transport derives its socket from `ServedLink`, and gives it frames: what is written, what came, what is lost.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Generator

from patter_core.aio.event import Event
from patter_core.aio.foreign import as_exception
from patter_core.net.transport import Ended, SocketLimits
from patter_core.transport import Message, SocketHandler

__all__ = ["ServedLink"]

_FAULT, _RESTART = 1011, 1012
_CLOSE_TIMEOUT = 5.0
"""Seconds for the peer to close the connection, once it was sent a close frame."""


class ServedLink(abc.ABC):
    """An accepted socket. Implements `ServedSocket`, but for `send`. A subclass reads and writes frames.

    It calls `became_open`, `on_message` with each whole message while `is_open`, `failed` with what that raises,
    `may_go_on` before it takes a control frame or a fragment, `answered` and `took_pong`, `peer_closes`, `became_slow`,
    `became_writable` and `became_lost`.

    Args:
        subprotocol: with which it is accepted.
        limits: what the peer may do.
        handler: gets the messages.
        ended: called once, after `SocketHandler.closed`.
        lost: called once the connection is gone.
    """

    stream: asyncio.Transport
    """The byte stream."""

    def __init__(
        self,
        subprotocol: str,
        *,
        limits: SocketLimits,
        handler: SocketHandler,
        ended: Ended,
        lost: Callable[[], None],
    ) -> None:
        self.subprotocol = subprotocol
        self.is_open = False
        """True until a close frame was sent or came, or the connection is lost."""
        self.blocked = True
        """A message cannot be written now: it has to `wait`."""
        self.on_message: Callable[[Message], None] = handler.message
        """What a message is given to."""
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self._handler = handler
        self._ended: Ended | None = ended
        self._lost = lost
        self._slow = False
        self._writable = Event()
        self._paused = False
        self._kept: list[Message] = []
        """What was read already when the handler paused: no more than one read brings."""
        self._second = 0.0
        self._control_frames = 0
        self._timer: asyncio.TimerHandle | None = None
        """Sends the next ping; waits for the pong; aborts a connection that does not end."""
        self._pinged = b""
        self._pings = 0

    # --- frames: by the subclass -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`: writes a message, or returns what `wait` returns if it is `blocked`."""

    @abc.abstractmethod
    def write_ping(self, payload: bytes) -> None:
        """Writes a ping."""

    @abc.abstractmethod
    def say_goodbye(self, code: int, reason: str) -> None:
        """Writes a close frame."""

    def read_on(self) -> None:
        """Reads the stream again. A subclass that has held something back passes that on first."""
        self.stream.resume_reading()

    # --- as a socket -----------------------------------------------------------------------------------------------

    def wait(self, message: Message) -> Awaitable[None]:
        """Returns what sends a message once the peer has read.

        Raises:
            OSError: the connection is gone.
        """
        if not self.is_open:
            raise ConnectionError("the connection is gone")
        return _Taken(self, message)

    async def send_when_writable(self, message: Message) -> None:
        """Waits until the peer has read, and sends.

        Raises:
            OSError: the connection is gone.
        """
        while self._slow and self.is_open:
            self._writable.clear()
            await self._writable.wait()
        rest = self.send(message)
        assert rest is None  # it is writable

    def pause_reading(self) -> None:
        """As in `Socket`."""
        self._paused = True
        self.on_message = self._kept.append
        if self.is_open:
            self.stream.pause_reading()

    def resume_reading(self) -> None:
        """As in `Socket`."""
        if self._paused:
            self._paused = False
            self.loop.call_soon(self._read_on)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """As in `Socket`."""
        if self.is_open:
            self.say_goodbye(code, reason)
            self._await_end()
            self._kept.clear()
            self._end(None)

    def hand_to(self, handler: SocketHandler) -> None:
        """As in `ServedSocket`."""
        self._handler = handler
        if not self._paused and not self._kept:
            self.on_message = handler.message

    def go_away(self) -> None:
        """As in `ServedSocket`."""
        self.close(_RESTART)
        self.stream.close()

    # --- what comes ------------------------------------------------------------------------------------------------

    def became_open(self) -> None:
        """The upgrade was answered."""
        self.is_open = True
        self.blocked = False
        self._schedule_ping()
        try:
            self._handler.opened(self)
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self.failed(error)

    def may_go_on(self) -> bool:
        """Returns True if a control frame or a fragment is within the bounds."""
        if self.stream.is_closing():
            return False
        now = self.loop.time()
        if now - self._second >= 1:
            self._second, self._control_frames = now, 0
        self._control_frames += 1
        if self._control_frames > self.limits.control_frames:
            self.stream.abort()
            return False
        return True

    def answered(self) -> None:
        """A pong was written. A peer that reads none of them is cut off."""
        if self.stream.get_write_buffer_size() > self.limits.unread:
            self.stream.abort()

    def took_pong(self, payload: bytes) -> None:
        """A pong came."""
        if self._pinged and payload == self._pinged:
            self._schedule_ping()

    def peer_closes(self) -> None:
        """A close frame came, and was answered."""
        if self.is_open:
            self._await_end()
            self._end(None)
        self.stream.close()

    def failed(self, error: BaseException) -> None:
        """The handler has raised."""
        fault = as_exception(error)
        if self.is_open:
            self.say_goodbye(_FAULT, "")
            self._await_end()
            self._end(fault)

    def became_slow(self) -> None:
        """The write buffer is full."""
        self._slow = self.blocked = True

    def became_writable(self) -> None:
        """The write buffer has drained."""
        self._slow = False
        self.blocked = not self.is_open
        self._writable.set()

    def became_lost(self) -> None:
        """The connection is gone: once."""
        self._end(None)
        if self._timer is not None:
            self._timer.cancel()
        self._lost()

    @property
    def is_paused(self) -> bool:
        """True while the handler wants no message."""
        return self._paused and self.is_open

    def _read_on(self) -> None:
        """Passes on what was kept, and reads the socket again, unless the handler has paused once more."""
        try:
            while self._kept and self.is_open and not self._paused:
                self._handler.message(self._kept.pop(0))
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self.failed(error)
        if not self._paused and self.is_open:
            self.on_message = self._handler.message
            if not self.stream.is_closing():
                self.read_on()

    # --- signs of life ---------------------------------------------------------------------------------------------

    def _schedule_ping(self) -> None:
        self._pinged = b""
        self._start_timer(self.limits.ping_every, self._ping)

    def _ping(self) -> None:
        self._pings += 1
        self._pinged = self._pings.to_bytes(4, "big")
        self.write_ping(self._pinged)
        self._start_timer(self.limits.ping_within, self._give_up)

    def _give_up(self) -> None:
        self.close(_FAULT, "keepalive ping timeout")
        self.stream.close()

    def _start_timer(self, seconds: float, act: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, act) if seconds else None

    # --- the end ---------------------------------------------------------------------------------------------------

    def _await_end(self) -> None:
        """The peer has some seconds to answer the close frame, and to read it."""
        self._start_timer(_CLOSE_TIMEOUT, self.stream.abort)
        if not self.stream.is_closing():
            self.read_on()

    def _end(self, error: BaseException | None) -> None:
        """No message follows. The handler is told once the present call of it has returned."""
        self.is_open = False
        self.blocked = True
        self._writable.set()
        ended, self._ended = self._ended, None
        if ended is not None:
            self.loop.call_soon(self._tell, ended, error)

    def _tell(self, ended: Ended, error: BaseException | None) -> None:
        try:
            while self._kept and error is None:  # the peer has closed, after these
                self._handler.message(self._kept.pop(0))
        except BaseException as fault:  # noqa: BLE001 - as above
            error = as_exception(fault)
        try:
            self._handler.closed()
        except BaseException as fault:  # noqa: BLE001 - as above
            error = error or as_exception(fault)
        ended(error)


class _Taken(Awaitable[None]):
    """A message that a slow peer will be sent. It may be dropped, as a coroutine may not."""

    def __init__(self, socket: ServedLink, message: Message) -> None:
        self._socket = socket
        self._message = message

    def __await__(self) -> Generator[object, object, None]:
        return self._socket.send_when_writable(self._message).__await__()
