"""The carrier's media socket of a call: opened, read, closed, and followed by another one if it breaks."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable

import anyio
import msgspec
from starlette.types import Receive, Send

from patter_core.audio import AudioChunk
from patter_core.call.capture import CapturingCodec
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.state import Signal, State
from patter_core.call.uplink import Uplink
from patter_core.errors import CallError
from patter_core.events import DtmfReceived, MediaTrouble
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)
from patter_core.net.budget import Budget

__all__ = ["MediaLeg"]

_log = logging.getLogger("patter.call")

_COUNTED = 64
"""Messages after which they are counted against the socket's budget."""
_CLOSE_TIMEOUT = 1.0
"""Seconds for the media socket to take its close frame."""


class _Socket(msgspec.Struct):
    """An accepted media socket, while it serves."""

    send: Send
    scope: anyio.CancelScope
    opened: bool = False
    closed: bool = False

    async def close(self) -> None:
        """Closes it, once; the peer may be gone, or take nothing."""
        if self.closed:
            return
        self.closed = True
        # The server raises OSError or RuntimeError if the peer or the server itself has closed it before.
        with contextlib.suppress(OSError, RuntimeError), anyio.move_on_after(_CLOSE_TIMEOUT):
            await self.send({"type": "websocket.close", "code": 1000})


class MediaLeg:
    """Reads the carrier's media sockets of one call, one at a time: audio goes to the uplink, marks to the downlink.

    Args:
        call: what the parts of the call share.
        on_opened: called when the stream of a socket has started.
    """

    def __init__(self, call: CallContext, *, on_opened: Callable[[MediaOpened], None]) -> None:
        self._call = call
        self._codec = self._new_codec()
        self._on_opened = on_opened
        self._socket: _Socket | None = None
        self._reported_faults: set[str] = set()
        self._opened_at: float | None = None
        """When the last stream was opened, until its end was counted."""
        self._probed_after = -math.inf
        """The last sign of life before the last probe."""
        self.uplink = Uplink(call.meter)
        self.downlink = Downlink(call, self._codec)

    @property
    def is_open(self) -> bool:
        """True while the stream of a media socket is open."""
        return self._socket is not None and self._socket.opened

    @property
    def was_here(self) -> bool:
        """True once a stream has started."""
        return self._call.state.media_at is not None

    async def serve(self, receive: Receive, send: Send) -> None:
        """Uses this accepted socket; returns when it, or the call, is over.

        Raises:
            CallError: the call has a socket, or is over.
        """
        call = self._call
        if self._socket is not None or call.is_over:
            raise CallError("This call takes no media socket.", expected="one socket at a time, while the call lasts")
        socket = self._socket = _Socket(send, anyio.CancelScope())
        self._codec = self._new_codec()
        self.downlink.attach_media(self._codec, send)
        try:
            with socket.scope:
                await self._read(receive)
        except BaseException as error:  # noqa: BLE001 - the call boundary, on the server's task
            call.crash(error)
        finally:  # the server may have cancelled us: then the socket is gone
            if self._socket is socket:
                self._socket = None
                if not call.is_over:
                    self.downlink.detach_media()
                    call.signal(Signal.MEDIA_LOST)
            with anyio.CancelScope(shield=True):
                await socket.close()

    @property
    def probe_at(self) -> float:
        """When the carrier is asked for a sign of life: some send no frames while the caller is silent."""
        call = self._call
        if call.state.state is not State.LIVE or call.state.heard_at == self._probed_after:
            return math.inf
        return call.state.heard_at + call.config.deadlines.carrier_silence / 2

    def probe_if_due(self) -> None:
        """Asks the carrier for a sign of life, once a silence."""
        if self._call.clock() >= self.probe_at:
            self._probed_after = self._call.state.heard_at
            self._call.start(self.downlink.probe)

    def give_up(self) -> None:
        """The carrier gives nothing, or takes nothing: its stream is lost. It may open another one."""
        silence = self._call.config.deadlines.carrier_silence
        self._fault(f"nothing came from the carrier, or it took nothing, for {silence:g} s")
        self.drop()

    def drop(self) -> None:
        """The stream is over, which may not be noticed on its socket yet: another one may follow."""
        if self._socket is not None:
            self._socket.scope.cancel()
            self._socket = None
        self.downlink.detach_media()
        self._call.signal(Signal.MEDIA_LOST)

    async def close(self) -> None:
        """Closes the socket, if there is one: the call is over."""
        socket = self._socket
        if socket is not None:
            await socket.close()
            socket.scope.cancel()

    def _new_codec(self) -> MediaCodec:
        call = self._call
        codec = call.carrier.media_codec(call.leg)
        return CapturingCodec(codec, call.records.capture) if call.records.captures_audio else codec

    async def _read(self, receive: Receive) -> None:
        decode, state, clock, uplink = self._codec.decode, self._call.state, self._call.clock, self.uplink
        budget, count, size = Budget(), 0, 0
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text: str | bytes | None = message.get("text")
            if text is None:
                text = message.get("bytes") or b""
            count += 1
            size += len(text)
            if count == _COUNTED:
                pause = budget.spend(count, size, clock())
                if pause and not await self._slow_down(pause):
                    return
                count = size = 0
            for event in decode(text):
                if type(event) is AudioChunk:
                    state.heard_at = clock()
                    uplink.take(event)
                else:
                    self._handle(event)

    async def _slow_down(self, pause: float) -> bool:
        """The carrier sends more than a call can need: it is read more slowly; False if it has done so for too long."""
        if pause == math.inf:
            self._fault("far too many messages; the socket was closed")
            return False
        self._fault("too many messages; they are read more slowly")
        await anyio.sleep(pause)
        return True

    def _handle(self, event: MediaEvent) -> None:
        call = self._call
        if not isinstance(event, MediaFault):  # garbage is no sign of life
            call.state.heard_at = call.clock()
        match event:
            case MediaMark(name=name):
                self.downlink.mark_returned(name)
            case MediaDtmf(digit=digit):
                call.emit(DtmfReceived(digit=digit))
                self.uplink.send_dtmf(digit)
            case MediaFault(problem=problem):
                self._fault(problem)
            case MediaUnusable(problem=problem):
                self._fault(problem)
                call.signal(Signal.MEDIA_UNUSABLE, problem)
            case MediaOpened():
                self._opened(event)
            case MediaStopped():
                call.signal(Signal.MEDIA_STOPPED)

    def _opened(self, opened: MediaOpened) -> None:
        call, socket = self._call, self._socket
        if socket is None or socket.opened or call.is_over:
            return
        if opened.call_id != call.leg.call_id:
            _log.warning("Call %s: the media socket is of another call; it is closed.", call.call_id)
            socket.scope.cancel()
            return
        socket.opened = True
        self._opened_at = call.clock()
        call.meter.carrier_format = opened.format
        if not call.leg.parameters:  # the webhook with the parameters went to another worker
            call.leg = msgspec.structs.replace(call.leg, parameters=opened.parameters)
        self._on_opened(opened)

    def count_end(self) -> float:
        """Returns how long ago the last stream was opened, in s; 0 if none was opened since the last count."""
        opened_at, self._opened_at = self._opened_at, None
        return 0.0 if opened_at is None else self._call.clock() - opened_at

    def play(self) -> None:
        """The stream is open, or is used again: the caller hears the agent."""
        if self.downlink.open():
            self._call.start(self.downlink.catch_up)

    def _fault(self, problem: str) -> None:
        self._call.meter.faults += 1
        if problem not in self._reported_faults and not self._call.is_over:
            self._reported_faults.add(problem)
            self._call.emit(MediaTrouble(problem=problem))
