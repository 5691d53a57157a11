"""A carrier's media socket on picows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from picows import WSFrame, WSListener, WSTransport

from patter_core.net.served_link import ServedLink
from patter_core.transport import Message
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

_FRAMES_A_TURN = 256
"""Frames of long reads after which the event loop has its turn."""


class PicowsSocket(ServedLink, WSListener):
    """An accepted socket. picows calls it with each frame."""

    _socket: WSTransport
    _parts: Parts
    _turn: asyncio.Handle | None = None
    _in_long_reads = 0

    # --- what goes -------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        if self.blocked:
            return self.wait(message)
        self._socket.send(TEXT if type(message) is str else BINARY, message)
        return None

    def write_ping(self, payload: bytes) -> None:
        """As in `ServedLink`."""
        self._socket.send_ping(payload)

    def say_goodbye(self, code: int, reason: str) -> None:
        """As in `ServedLink`."""
        say_close(self._socket, code, reason)

    # --- what comes: called by picows ------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The connection is open."""
        self._socket = transport
        self._parts = Parts(self.limits.max_size)
        self.stream = transport.underlying_transport
        self.became_open()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        kind = frame.msg_type
        try:
            if kind is TEXT and frame.fin and not self._parts.open and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
                if self.is_open:
                    self.on_message(as_text(frame.get_payload_as_bytes()))
            else:
                self._take_other(transport, frame)
        except Broken as error:
            if self.is_open:
                self.close(error.code, error.reason)
                self.stream.close()
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self.failed(error)
        if not frame.last_in_buffer:
            self._take_turns()

    def _take_other(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        check_bits(frame)
        if kind is CLOSE:
            if self.is_open:
                say_close(transport, close_frame(frame)[0], "")
            self.peer_closes()
        elif kind is BINARY and frame.fin and not self._parts.open:
            if self.is_open:
                self.on_message(frame.get_payload_as_bytes())
        elif not self.may_go_on():
            return
        elif kind is PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self.answered()
        elif kind is PONG:
            self.took_pong(frame.get_payload_as_bytes())
        else:
            whole = self._parts.take(frame)
            if whole is not None and self.is_open:
                message, is_text = whole
                self.on_message(as_text(message) if is_text else message)

    def _take_turns(self) -> None:
        """Lets the event loop have its turn between long reads."""
        self._in_long_reads += 1
        if self._in_long_reads >= _FRAMES_A_TURN and self._turn is None and not self.stream.is_closing():
            self._in_long_reads = 0
            self.stream.pause_reading()
            self._turn = self.loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn = None
        if not self.is_paused and not self.stream.is_closing():
            self.stream.resume_reading()

    def read_on(self) -> None:
        """As in `ServedLink`."""
        if self._turn is None:
            self.stream.resume_reading()

    # --- the stream ------------------------------------------------------------------------------------------------

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        if self._turn is not None:
            self._turn.cancel()
        self.became_lost()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self.became_slow()

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self.became_writable()
