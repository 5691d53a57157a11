"""One media stream, as Twilio holds it: a socket, a caller's microphone, and a loudspeaker with a buffer."""

from __future__ import annotations

import binascii
import enum
import secrets
import urllib.parse
from collections.abc import Callable, Mapping

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from patter_core.errors import CarrierError
from patter_core.testing.caller import FRAME_MS, Caller
from patter_core.testing.emulator import CallRecording
from patter_core.testing.playback import PlaybackBuffer
from patter_twilio.signing import signature
from patter_twilio.testing import messages
from patter_twilio.testing.messages import AppMessage, Problem
from patter_twilio.testing.network import Tunnels

__all__ = ["Clearing", "EmulatedStream", "MarkReturn", "Received", "StreamEnd", "StreamSettings"]

LONGEST_BUFFER_MS = 600_000
"""Ten minutes; what goes beyond is dropped, with error 31931."""
CONNECT_TIMEOUT = 5.0
"""Seconds, until error 31901."""

_FRAME_S = FRAME_MS / 1000


class StreamEnd(enum.Enum):
    """How a stream ended."""

    NOT_CONNECTED = "not connected"
    CLOSED_BY_APP = "closed by the app"
    BROKEN = "broken"
    CALLER_HUNG_UP = "caller hung up"
    CALL_ENDED = "call ended"


class Received(msgspec.Struct, frozen=True):
    """What the app sent, and when: s since the stream's start."""

    at: float
    message: AppMessage


class MarkReturn(msgspec.Struct, frozen=True):
    """A mark went back: because what was before it has been played, or because of a clear."""

    at: float
    name: str
    cleared: bool


class Clearing(msgspec.Struct, frozen=True):
    """The app had the buffer emptied."""

    at: float
    dropped_ms: float
    marks: tuple[str, ...]


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is opened with."""

    account_sid: str
    call_sid: str
    auth_token: str
    url: str
    """As the TwiML has it."""
    parameters: Mapping[str, str] = {}
    tunnels: Tunnels


class EmulatedStream:
    """One media stream. Tests look at its attributes, wait with `until`, and misbehave with `send_raw` and `drop`.

    Times are in s since the stream's `start`. What the app may send is read strictly; each offence is a `Problem`, as
    it would be in Twilio's error log, and the stream goes on.
    """

    def __init__(self, settings: StreamSettings, caller: Caller, recording: CallRecording) -> None:
        self.settings = settings
        self.sid = f"MZ{secrets.token_hex(16)}"
        self.frames_sent = 0
        """Frames of the caller's audio."""
        self.received: list[Received] = []
        """All that the app sent and that Twilio would take."""
        self.marks: list[MarkReturn] = []
        """The marks that went back, in order."""
        self.clears: list[Clearing] = []
        self.problems: list[Problem] = []
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self.end: StreamEnd | None = None
        self.close_code: int | None = None
        """With which the app closed."""
        self._caller = caller
        self._recording = recording
        self._buffer = PlaybackBuffer(recording.format, max_ms=LONGEST_BUFFER_MS)
        self._socket: ClientConnection | None = None
        self._sequence = 0
        self._began = 0.0
        self._changed = anyio.Event()

    # --- for tests -------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since the stream's `start`."""
        return anyio.current_time() - self._began

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` holds; it is looked at after each message and each frame.

        Raises:
            CarrierError: the stream ended, and it does not hold.
        """
        while not condition():
            if self.ended.is_set():
                raise CarrierError("The stream ended before what was waited for.", got=f"{self.end}")
            await self._changed.wait()

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message of any kind, as Twilio never would."""
        await self._connected.send(message)

    def drop(self) -> None:
        """Cut the connection, without a word."""
        self._connected.transport.abort()

    @property
    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise CarrierError("The stream is not connected.")
        return self._socket

    # --- the stream ------------------------------------------------------------------------------------------------

    async def run(self) -> StreamEnd:
        """Connect, stream, and return once it is over. Cancelling it is the end of the call."""
        end = StreamEnd.CALL_ENDED
        try:
            end = await self._run()
        finally:
            self.end = end
            self.ended.set()
            self._note_change()
        return end

    async def _run(self) -> StreamEnd:
        socket = self._socket = await self._connect()
        if socket is None:
            return StreamEnd.NOT_CONNECTED
        try:
            await self._open()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, tasks.cancel_scope)
                await self._talk()
                tasks.cancel_scope.cancel()
            if self.close_code is None:
                return StreamEnd.CALLER_HUNG_UP
        except ConnectionClosed:
            pass  # while `start` was being sent
        finally:
            with anyio.CancelScope(shield=True):
                await self._close(socket)
        return self._closed_by_app()

    async def _connect(self) -> ClientConnection | None:
        url = self.settings.url.partition("?")[0]  # Twilio drops the query
        host = urllib.parse.urlsplit(url).hostname or ""
        if not url.startswith("wss://") and host not in {"127.0.0.1", "::1", "localhost"}:
            self._problem(31920, "Stream URL is not wss")  # on loopback there are no certificates: ws will do
            return None
        route = self.settings.tunnels.route(url)
        local = urllib.parse.urlsplit(route.url)
        try:
            return await connect(
                local._replace(netloc=route.authority).geturl(),
                additional_headers={"X-Twilio-Signature": signature(self.settings.auth_token, url), **route.forwarded},
                host=local.hostname,
                port=local.port or (443 if local.scheme == "wss" else 80),
                compression=None,
                proxy=None,
                max_size=None,
                open_timeout=CONNECT_TIMEOUT,
                ping_interval=None,
                close_timeout=1,
                user_agent_header="TwilioMediaStreams/1.0",
            )
        except TimeoutError:
            self._problem(31901, "Stream - WebSocket - Connection Timeout")
        except InvalidStatus as error:
            self._problem(31920, f"Stream - WebSocket - Handshake Error: {error.response.status_code}")
        except WebSocketException as error:
            self._problem(31920, f"Stream - WebSocket - Handshake Error: {error}")
        except OSError as error:
            self._problem(31902, f"Stream - WebSocket - Connection Refused: {error}")
        return None

    async def _open(self) -> None:
        await self.send_raw(msgspec.json.encode(messages.Connected()).decode())
        body = messages.StartBody(
            account_sid=self.settings.account_sid,
            stream_sid=self.sid,
            call_sid=self.settings.call_sid,
            custom_parameters=dict(self.settings.parameters),
        )
        await self._send(messages.Start(**self._next(), start=body))
        self._began = anyio.current_time()
        self.started.set()
        self._note_change()

    async def _talk(self) -> None:
        """A frame each 20 ms, by absolute deadlines, so that nothing drifts. Returns when the caller hangs up."""
        deadline = self._began
        while True:
            deadline += _FRAME_S
            await anyio.sleep_until(deadline)
            try:
                if await self._tick():
                    return
            except ConnectionClosed:
                await anyio.sleep_forever()  # `_listen` sees it too, says how, and ends this

    async def _tick(self) -> bool:
        """20 ms pass: what was played, and what the caller did meanwhile. True if he hung up at its end."""
        played = self._buffer.play(FRAME_MS)
        frame = self._caller.next(bool(played.audio))
        self._recording.caller += frame.audio
        self._recording.agent += played.frame
        self._recording.played += played.audio
        body = messages.MediaBody(
            chunk=str(self.frames_sent + 1),
            timestamp=str(self.frames_sent * FRAME_MS),
            payload=binascii.b2a_base64(frame.audio, newline=False).decode(),
        )
        self.frames_sent += 1
        await self._send(messages.Media(**self._next(), media=body))
        for digit in frame.digits:
            await self._send(messages.Dtmf(**self._next(), dtmf=messages.DtmfBody(digit=digit)))
        for name in played.marks:
            await self._return_mark(name, cleared=False)
        self._note_change()
        return frame.hang_up

    async def _listen(self, scope: anyio.CancelScope) -> None:
        socket = self._connected
        try:
            while True:
                await self._take(await socket.recv())
                self._note_change()
        except ConnectionClosed:
            self.close_code = socket.close_code or 1006
            scope.cancel()

    async def _take(self, message: str | bytes) -> None:
        read = messages.read_app_message(message, self.sid)
        if isinstance(read, Problem):
            self.problems.append(read)
            return
        self.received.append(Received(self.elapsed, read))
        if isinstance(read, messages.PeerMedia):
            if self._buffer.append(read.audio):
                self._problem(31931, "Stream - Media - Buffer Overflow")
        elif isinstance(read, messages.PeerMark):
            for name in self._buffer.mark(read.mark.name):
                await self._return_mark(name, cleared=False)
        else:
            dropped_ms = self._buffer.duration_ms
            marks = self._buffer.clear()
            self.clears.append(Clearing(self.elapsed, dropped_ms, tuple(marks)))
            for name in marks:
                await self._return_mark(name, cleared=True)

    async def _return_mark(self, name: str, *, cleared: bool) -> None:
        self.marks.append(MarkReturn(self.elapsed, name, cleared))
        await self._send(messages.Mark(**self._next(), mark=messages.MarkBody(name)))

    async def _close(self, socket: ClientConnection) -> None:
        if self.close_code is None:
            body = messages.StopBody(account_sid=self.settings.account_sid, call_sid=self.settings.call_sid)
            try:
                await self._send(messages.Stop(**self._next(), stop=body))
            except ConnectionClosed:
                self.close_code = socket.close_code or 1006
        await socket.close()

    def _closed_by_app(self) -> StreamEnd:
        if self.close_code == 1006:
            self._problem(31903, "Stream - WebSocket - Connection Broken Pipe")
            return StreamEnd.BROKEN
        self._problem(31921, "Stream - WebSocket - Close Error: closed by the server")
        return StreamEnd.CLOSED_BY_APP

    # --- small things ----------------------------------------------------------------------------------------------

    async def _send(self, message: msgspec.Struct) -> None:
        await self.send_raw(msgspec.json.encode(message).decode())

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": str(self._sequence), "stream_sid": self.sid}

    def _problem(self, code: int, text: str) -> None:
        self.problems.append(Problem(code, text))

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
