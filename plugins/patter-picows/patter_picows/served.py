"""A carrier's media socket on picows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator

from picows import WSFrame, WSListener, WSTransport

from patter_core.aio.foreign import as_exception
from patter_core.net.transport import Ended, SocketLimits
from patter_core.transport import Message, SocketHandler
from patter_picows.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Broken,
    Parts,
    as_text,
    check_bits,
    close_frame,
    say_close,
)

__all__ = ["PicowsSocket"]

_FAULT, _RESTART = 1011, 1012
_CLOSE_TIMEOUT = 5.0
"""Seconds for the peer to close the connection, once it was sent a close frame."""
_FRAMES_A_TURN = 256
"""Frames of long reads after which the event loop has its turn."""


class PicowsSocket(WSListener):
    """An accepted socket. Implements `ServedSocket`; picows calls it with each frame.

    Args:
        subprotocol: with which it is accepted.
        limits: what the peer may do.
        handler: gets the messages.
        ended: called once, after `SocketHandler.closed`.
        lost: called once the connection is gone.
    """

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
        self._limits = limits
        self._handler = handler
        self._on_message: Callable[[Message], None] = handler.message
        self._ended: Ended | None = ended
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parts = Parts(limits.max_size)
        self._open = False
        self._slow = False
        self._writable = asyncio.Event()
        self._paused = False
        self._kept: deque[Message] = deque()
        """What was read already when the handler paused: no more than one read brings."""
        self._turn: asyncio.Handle | None = None
        self._in_long_reads = 0
        self._second = 0.0
        self._control_frames = 0
        self._timer: asyncio.TimerHandle | None = None
        """Sends the next ping; waits for the pong; aborts a connection that does not end."""
        self._pinged = b""
        self._pings = 0

    # --- as a socket -----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True until a close frame was sent or came, or the connection is lost."""
        return self._open

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        if not self._open:
            raise _gone()
        if self._slow:
            return _Taken(self, message)
        self._socket.send(TEXT if type(message) is str else BINARY, message)
        return None

    async def send_when_writable(self, message: Message) -> None:
        """Waits until the peer has read, and sends.

        Raises:
            OSError: the connection is gone.
        """
        while self._slow and self._open:
            self._writable.clear()
            await self._writable.wait()
        rest = self.send(message)
        assert rest is None  # it is writable

    def pause_reading(self) -> None:
        """As in `Socket`."""
        self._paused = True
        self._on_message = self._kept.append
        if self._open:
            self._stream.pause_reading()

    def resume_reading(self) -> None:
        """As in `Socket`."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._read_on)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """As in `Socket`."""
        if self._open:
            say_close(self._socket, code, reason)
            self._await_end()
            self._kept.clear()
            self._end(None)

    def hand_to(self, handler: SocketHandler) -> None:
        """As in `ServedSocket`."""
        self._handler = handler
        if not self._paused and not self._kept:
            self._on_message = handler.message

    def go_away(self) -> None:
        """As in `ServedSocket`."""
        self.close(_RESTART)
        self._stream.close()

    # --- what comes: called by picows ------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The connection is open."""
        self._socket = transport
        self._stream = transport.underlying_transport
        self._open = True
        self._schedule_ping()
        try:
            self._handler.opened(self)
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self._fail(error)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        kind = frame.msg_type
        try:
            if kind is TEXT and frame.fin and not self._parts.open and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
                if self._open:
                    self._on_message(as_text(frame.get_payload_as_bytes()))
            else:
                self._take_other(transport, frame)
        except Broken as error:
            self._refuse(error)
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self._fail(error)
        if not frame.last_in_buffer:
            self._take_turns()

    def _take_other(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        check_bits(frame)
        if kind is CLOSE:
            self._take_close(*close_frame(frame))
        elif kind is BINARY and frame.fin and not self._parts.open:
            if self._open:
                self._on_message(frame.get_payload_as_bytes())
        elif not self._may_go_on():
            return
        elif kind is PING:
            transport.send_pong(frame.get_payload_as_bytes())
            if self._stream.get_write_buffer_size() > self._limits.unread:
                self._stream.abort()
        elif kind is PONG:
            if self._pinged and frame.get_payload_as_bytes() == self._pinged:
                self._schedule_ping()
        else:
            whole = self._parts.take(frame)
            if whole is not None and self._open:
                message, is_text = whole
                self._on_message(as_text(message) if is_text else message)

    def _take_close(self, code: int, reason: str) -> None:
        if self._open:
            say_close(self._socket, code, "")
            self._await_end()
            self._end(None)
        self._stream.close()

    def _refuse(self, error: Broken) -> None:
        if self._open:
            self.close(error.code, error.reason)
            self._stream.close()

    def _fail(self, error: BaseException) -> None:
        fault = as_exception(error)
        if self._open:
            say_close(self._socket, _FAULT, "")
            self._await_end()
            self._end(fault)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        self._end(None)
        for timer in (self._timer, self._turn):
            if timer is not None:
                timer.cancel()
        self._lost()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self._slow = True

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self._slow = False
        self._writable.set()

    def _read_on(self) -> None:
        """Passes on what was kept, and reads the socket again, unless the handler has paused once more."""
        try:
            while self._kept and self._open and not self._paused:
                self._handler.message(self._kept.popleft())
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self._fail(error)
        if not self._paused and self._open:
            self._on_message = self._handler.message
            if self._turn is None and not self._stream.is_closing():
                self._stream.resume_reading()

    # --- bounds ----------------------------------------------------------------------------------------------------

    def _may_go_on(self) -> bool:
        """True if a control frame or a fragment is within the bounds."""
        if self._stream.is_closing():
            return False
        now = self._loop.time()
        if now - self._second >= 1:
            self._second, self._control_frames = now, 0
        self._control_frames += 1
        if self._control_frames > self._limits.control_frames:
            self._stream.abort()
            return False
        return True

    def _take_turns(self) -> None:
        """Lets the event loop have its turn between long reads."""
        self._in_long_reads += 1
        if self._in_long_reads >= _FRAMES_A_TURN and self._turn is None and not self._stream.is_closing():
            self._in_long_reads = 0
            self._stream.pause_reading()
            self._turn = self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn = None
        if not self._paused and not self._stream.is_closing():
            self._stream.resume_reading()

    # --- signs of life ---------------------------------------------------------------------------------------------

    def _schedule_ping(self) -> None:
        self._pinged = b""
        self._start_timer(self._limits.ping_every, self._ping)

    def _ping(self) -> None:
        self._pings += 1
        self._pinged = self._pings.to_bytes(4, "big")
        self._socket.send_ping(self._pinged)
        self._start_timer(self._limits.ping_within, self._give_up)

    def _give_up(self) -> None:
        self.close(_FAULT, "keepalive ping timeout")
        self._stream.close()

    def _start_timer(self, seconds: float, act: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, act) if seconds else None

    # --- the end ---------------------------------------------------------------------------------------------------

    def _await_end(self) -> None:
        """The peer has some seconds to answer the close frame, and to read it."""
        self._start_timer(_CLOSE_TIMEOUT, self._stream.abort)
        if not self._stream.is_closing():
            self._stream.resume_reading()

    def _end(self, error: BaseException | None) -> None:
        """No message follows. The handler is told once the present call of it has returned."""
        self._open = False
        self._writable.set()
        ended, self._ended = self._ended, None
        if ended is not None:
            self._loop.call_soon(self._tell, ended, error)

    def _tell(self, ended: Ended, error: BaseException | None) -> None:
        try:
            while self._kept and error is None:  # the peer has closed, after these
                self._handler.message(self._kept.popleft())
        except BaseException as fault:  # noqa: BLE001 - as above
            error = as_exception(fault)
        try:
            self._handler.closed()
        except BaseException as fault:  # noqa: BLE001 - as above
            error = error or as_exception(fault)
        ended(error)


class _Taken(Awaitable[None]):
    """A message that a slow peer will be sent. It may be dropped, as a coroutine may not."""

    def __init__(self, socket: PicowsSocket, message: Message) -> None:
        self._socket = socket
        self._message = message

    def __await__(self) -> Generator[object, object, None]:
        return self._socket.send_when_writable(self._message).__await__()


def _gone() -> OSError:
    return ConnectionError("the connection is gone")
