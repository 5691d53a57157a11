"""The socket of an engine on picows."""

from __future__ import annotations

import asyncio
import contextlib

from picows import WSError, WSFrame, WSListener, WSTransport
from picows.picows import WSCloseHandshake

from patter_core.aio.event import Event
from patter_core.aio.foreign import as_exception
from patter_core.net.client_link import CLOSE_TIMEOUT, COUNTED, COUNTED_SIZE, ClientLink
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

__all__ = ["PicowsLink"]

_FAULT = 1011
_PONGS_UNREAD = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet has us answer pings, is given up."""
_FRAMES_A_TURN = 256
"""Frames of long reads after which the event loop has its turn."""


class PicowsLink(ClientLink, WSListener):
    """A connection to an engine. picows calls it with each frame.

    Args:
        max_size: bytes of one message.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self._socket: WSTransport | None = None
        self._agreed = ""
        self._parts = Parts(max_size)
        self._ended_with: tuple[int, str] | None = None
        self._open = True
        self._in_long_reads = 0
        self._gone = Event()
        self._waiter: asyncio.Task[None] | None = None

    def agree(self, subprotocol: str) -> None:
        """The peer has selected this subprotocol."""
        self._agreed = subprotocol

    # --- what goes -------------------------------------------------------------------------------------------------

    @property
    def agreed(self) -> str:
        """As in `ClientLink`."""
        return self._agreed

    @property
    def is_open(self) -> bool:
        """As in `ClientLink`; True, too, where picows has refused a frame and says so itself."""
        return self._open

    @property
    def ended_with(self) -> tuple[int, str]:
        """As in `ClientLink`."""
        if self._ended_with is not None:
            return self._ended_with
        handshake: WSCloseHandshake | None = None if self._socket is None else self._socket.close_handshake
        sent = None if handshake is None else handshake.sent  # picows has refused a frame
        return (1006, "") if sent is None else (sent.code.value, sent.reason)

    def write(self, message: bytes, binary: bool = False) -> None:
        """As in `ClientLink`."""
        if self._open and self._socket is not None:
            self._socket.send(BINARY if binary else TEXT, message)  # it sends nothing after a refusal

    def write_ping(self) -> None:
        """As in `ClientLink`."""
        if self._open and self._socket is not None:
            self._socket.send_ping()

    def say_goodbye(self, code: int, reason: str) -> None:
        """As in `ClientLink`."""
        if not self._open or self._socket is None:
            return
        self._open = False
        if self._ended_with is None:
            self._ended_with = (code, reason)
        say_close(self._socket, code, reason)

    async def shake_goodbye(self, code: int) -> None:
        """As in `ClientLink`."""
        self.say_goodbye(code, "")
        await self._gone.wait()

    # --- what comes: called by picows ------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The connection is open."""
        self._socket = transport
        self.transport = transport.underlying_transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        self.alive = True
        self.frames += 1
        self.size += frame.payload_size
        try:
            kind = frame.msg_type
            check_bits(frame)
            if kind is TEXT and frame.fin and not self._parts.open:
                self._take_text(frame.get_payload_as_bytes())
            elif kind is BINARY and frame.fin and not self._parts.open:
                if self._open:
                    self.on_binary(frame.get_payload_as_bytes())
            else:
                self._take_other(transport, frame)
        except Broken as error:
            self.refuse(error.code, error.reason)
        except BaseException as error:  # noqa: BLE001 - the callbacks' fault ends this connection and no other
            self._fail(as_exception(error))
        if not frame.last_in_buffer or self.frames >= COUNTED or self.size >= COUNTED_SIZE:
            self._bound(frame)

    def _take_text(self, text: bytes) -> None:
        if not text.isascii():
            as_text(text)
        if self._open:
            self.on_text(text)

    def _take_other(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is PING:
            if self._open:
                transport.send_pong(frame.get_payload_as_bytes())
                if self.slow and self.transport.get_write_buffer_size() > _PONGS_UNREAD:
                    self.transport.abort()
        elif kind is CLOSE:
            self._take_close(*close_frame(frame))
        elif kind is not PONG:
            whole = self._parts.take(frame)
            if whole is not None:
                message, is_text = whole
                if is_text:
                    self._take_text(message)
                elif self._open:
                    self.on_binary(message)

    def _take_close(self, code: int, reason: str) -> None:
        """Answers, and leaves it to the peer to close the connection, for a while."""
        self._ended_with = (code, reason)
        self.say_goodbye(code, "")
        self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def _bound(self, frame: WSFrame) -> None:
        if self.frames >= COUNTED or self.size >= COUNTED_SIZE:
            self.count()
        if frame.last_in_buffer:
            return
        self._in_long_reads += 1
        if self._in_long_reads >= _FRAMES_A_TURN:
            self._in_long_reads = 0
            if self.pause is None and not self.transport.is_closing():
                self.transport.pause_reading()
                self.pause = self.loop.call_soon(self.end_pause)

    def _fail(self, error: Exception) -> None:
        self.loop.call_exception_handler({"message": "What takes an engine's messages failed.", "exception": error})
        self.refuse(_FAULT, "")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        handshake: WSCloseHandshake | None = transport.close_handshake  # its types say that there always is one
        if handshake is not None and handshake.sent is not None:
            self._waiter = self.loop.create_task(_wait(transport))
        self._open = False
        self._gone.set()
        self.became_lost()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self.became_slow()

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self.became_writable()


async def _wait(socket: WSTransport) -> None:
    """Takes the error of a frame that picows has refused: untaken, it would be reported as lost."""
    with contextlib.suppress(WSError):
        await socket.wait_disconnected()
