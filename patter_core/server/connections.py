"""Connections of the server within bounds: how long they may say nothing, how many they may be, what they may cost.

uvicorn's protocols, h11's for requests and the sans-IO one of websockets for media sockets, with what they lack:

* A request's head has a deadline, from the connection's start or from the end of the answer before.
* A body that goes on after its answer is not read; the connection is closed.
* Connections other than media sockets are bounded in number. The first to be shed are those that wait, and among them
  those that never brought a request that a carrier has signed.
* A media socket is aborted when it sends too many control frames or fragments, when it does not read the answers, and
  when it is not closed soon after its call has ended.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from patter_core.net.transport import Ended, ServedSocket, SocketLimits, Transport
from patter_core.server.handed_socket import TAKE_OVER
from patter_core.transport import SocketHandler

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.http11 import Request


__all__ = ["PROVEN", "BoundedConfig", "HttpConnection", "MediaSocket", "note_proof"]

PROVEN = "patter.proven"
"""The extension of a request's scope by which the app says that the carrier has signed the request."""

_HEAD_DEADLINE = 10.0
"""Seconds until a request's head is complete."""
_UNREAD_BODY = 1.0
"""Seconds until a connection is closed whose answer did not wait for the body."""
_CLOSING = 2.0
"""Seconds until a connection that was closed is aborted: its peer may read nothing."""

_CONTROL_FRAMES = 200
"""Pings, pongs and fragments a second that a media socket may send: carriers send none, or a few a minute."""
_UNREAD_BYTES = 512 * 1024
"""Bytes that may wait in front of a peer that does not read."""
_AFTER_CALL = 5.0
"""Seconds until a media socket is aborted whose call has ended."""
_PIECE = 4096
"""Bytes that are passed on at once. Of a longer read, a carrier that floods the socket, the event loop has its turn
between two pieces: of the smallest messages, a read may hold ten thousand."""


_pass_on = WebSocketsSansIOProtocol.data_received
"""For each frame of a call: `super()` would be looked up each time."""

_numbers = itertools.count()
"""Of connections, in the order in which they came: many may come at one time of the loop's clock."""


def note_proof(scope: Scope) -> None:
    """Says that the carrier has signed this request: its connection is among the last that are shed."""
    prove = scope.get("extensions", {}).get(PROVEN)
    if prove is not None:
        prove()


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings, and our own."""

    most_connections = 1 << 30
    """How many connections other than media sockets there may be."""


class HttpConnection(H11Protocol):
    """A connection that brings requests, or the upgrade of a media socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Starts the deadline of the first head."""
        self._proven = self._unread = False
        self._timer: asyncio.TimerHandle | None = None
        self._number = next(_numbers)
        self.app = functools.partial(_provable, self.app, self._prove)
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > self._most:
            self._shed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the deadline."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Ends the deadline once the head is complete."""
        super().data_received(data)
        if not self._waits and not self._unread:
            self._stop_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leaves the connection to a media socket."""
        self._stop_timer()
        super().handle_websocket_upgrade(event)
        socket = self.transport.get_protocol()
        if isinstance(socket, MediaSocket) and not socket.handshake_initiated and not self.transport.is_closing():
            # websockets cannot read a head that h11 could: a line of 8 KB, 128 headers, a body. It answers nothing.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def pause_writing(self) -> None:
        """Starts the deadline for the peer to read what it was answered."""
        super().pause_writing()
        self._unread = True
        self._start_timer(_HEAD_DEADLINE, self.transport.abort)

    def resume_writing(self) -> None:
        """Ends it."""
        super().resume_writing()
        self._unread = False
        self._stop_timer()
        if self._waits:
            self._expect_head()

    def on_response_complete(self) -> None:
        """Starts the deadline of the next head; closes the connection if the body goes on."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_timer(_CLOSING, self.transport.abort)
        elif self.conn.their_state is h11.SEND_BODY:
            self.flow.pause_reading()
            self._start_timer(_UNREAD_BODY, self._end)
        elif self._waits:
            self._expect_head()

    @property
    def _most(self) -> int:
        config = self.config if isinstance(self.config, BoundedConfig) else BoundedConfig
        return config.most_connections

    @property
    def _waits(self) -> bool:
        """True while no request is in progress."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # it is None at first

    @property
    def _rank(self) -> tuple[bool, int]:
        """In which order connections are shed: the lowest one first.

        A request in progress protects none: strangers can have one in progress for as long as they like.
        """
        return (self._proven, self._number)

    def _prove(self) -> None:
        self._proven = True

    def _expect_head(self) -> None:
        self._start_timer(_HEAD_DEADLINE, self._end)

    def _start_timer(self, seconds: float, act: Callable[[], object]) -> None:
        self._stop_timer()
        if self in self.connections:  # it is not lost
            self._timer = self.loop.call_later(seconds, act)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self.transport.close()
        self._start_timer(_CLOSING, self.transport.abort)

    def _shed(self) -> None:
        here = [one for one in self.connections if isinstance(one, HttpConnection) and not one.transport.is_closing()]
        if len(here) > self._most:
            min(here, key=lambda one: one._rank).transport.abort()  # noqa: SLF001 - its own class


def _nothing() -> None:
    """There is nothing to do."""


async def _provable(app: ASGIApp, prove: Callable[[], None], scope: Scope, receive: Receive, send: Send) -> None:
    scope["extensions"] = {PROVEN: prove}
    await app(scope, receive, send)


class _NotRead(asyncio.Queue[Any]):
    """Takes the messages of a socket that the app does not read, and keeps none."""

    def put_nowait(self, item: Any) -> None:
        """Drops it."""


_NOT_READ = _NotRead()


class MediaSocket(WebSocketsSansIOProtocol):
    """A media socket. It costs a call nothing but a comparison for each read."""

    _second = 0.0
    _count = 0
    _abort_timer: asyncio.TimerHandle | None = None
    _turn: asyncio.Handle | None = None
    """The next piece is passed on."""

    def __init__(self, *args: Any, **options: Any) -> None:  # those of uvicorn's class
        super().__init__(*args, **options)
        self._held = bytearray()
        """Read from the network, and not passed on yet."""
        self._handed: ServedSocket | None = None

    # --- a transport takes it over ---------------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Offers the app to have a transport take the socket over."""
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, object] = cast("dict[str, object]", self.scope["extensions"])
            extensions[TAKE_OVER] = self._take_over

    def _take_over(
        self, transport: Transport, subprotocol: str, handler: SocketHandler, ended: Ended
    ) -> ServedSocket | None:
        """As `TakeOver` says."""
        if self.disconnected or self.transport.is_closing():
            raise ConnectionError("the connection is gone")
        if not self.queue.empty() or self.conn.reader.buffer:  # the peer did not wait for the answer
            return None
        self._handed = transport.accept(
            self.transport,
            self.request.headers["Sec-WebSocket-Key"],
            subprotocol=subprotocol,
            limits=SocketLimits(
                max_size=self.config.ws_max_size,
                control_frames=_CONTROL_FRAMES,
                unread=_UNREAD_BYTES,
                ping_every=self.config.ws_ping_interval or 0,
                ping_within=self.config.ws_ping_timeout or 0,
            ),
            handler=handler,
            ended=ended,
            lost=lambda: self.connection_lost(None),
        )
        self.handshake_complete = True
        self.close_timer = self.loop.call_later(0, _nothing)  # uvicorn leaves the closing to it
        # The request's task lasts as long as the call, and needs none of these.
        self.queue = _NOT_READ
        self.scope["headers"] = []
        del self.conn, self.request, self.response
        return self._handed

    def shutdown(self) -> None:
        """The server stops."""
        if self._handed is None:
            super().shutdown()
        else:
            self._handed.go_away()

    # --- it is the server's ----------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends what waited for it."""
        if self._turn is not None:
            self._turn.cancel()
        super().connection_lost(exc)
        if self._abort_timer is not None:
            self._abort_timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Passes on what came; of a long read a piece at a time."""
        if len(data) <= _PIECE and not self._held:
            _pass_on(self, data)
            return
        self._held += data
        if self._turn is None:
            self.transport.pause_reading()
            self._pass_on_piece()

    def _pass_on_piece(self) -> None:
        self._turn = None
        if self.transport.is_closing():
            self._held.clear()
            return
        piece = bytes(self._held[:_PIECE])
        del self._held[:_PIECE]
        _pass_on(self, piece)
        if self._held:
            self.read_paused = False  # the app takes its messages, and does not resume reading: more are held here
            self._turn = self.loop.call_soon(self._pass_on_piece)
        elif self.queue.empty():
            self.transport.resume_reading()
        else:
            self.read_paused = True  # the app resumes it

    def handle_ping(self) -> None:
        """Answers, within the bounds."""
        if self._may_go_on():
            super().handle_ping()
            if self.transport.get_write_buffer_size() > _UNREAD_BYTES:
                self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Takes it, within the bounds."""
        if self._may_go_on():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Takes a fragment, within the bounds."""
        if self._may_go_on():
            super().handle_cont(event)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The call is done with the socket: its peer has some seconds to close it."""
        super().on_task_complete(task)
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(_AFTER_CALL, self.transport.abort)

    def _may_go_on(self) -> bool:
        if self.transport.is_closing():
            return False
        now = self.loop.time()
        if now - self._second >= 1:
            self._second, self._count = now, 0
        self._count += 1
        if self._count > _CONTROL_FRAMES:
            self.transport.abort()
            return False
        return True
