"""One media stream as a carrier holds it: a socket, a caller's microphone, and a loudspeaker with a buffer.

What all carriers do alike is here: the clock, the buffer, the marks, the recording, the ends. An emulator adds its
vendor's messages, by the abstract methods.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.errors import CarrierError
from patter_core.testing.caller import FRAME_MS, Caller
from patter_core.testing.playback import PlaybackBuffer, Played

__all__ = ["CallRecording", "CarrierStream", "Clearing", "Line", "MarkReturn", "Problem", "Received", "StreamEnd"]

_TEN_MINUTES_MS = 600_000
_FRAME_S = FRAME_MS / 1000


class CallRecording(msgspec.Struct, kw_only=True):
    """What an emulated caller said and heard, sample by sample on one clock, from the start of the media stream."""

    format: AudioFormat
    caller: bytearray = msgspec.field(default_factory=bytearray)
    """Every frame that was sent, silence included."""
    agent: bytearray = msgspec.field(default_factory=bytearray)
    """What was played at the same time; silence where nothing was."""
    played: bytearray = msgspec.field(default_factory=bytearray)
    """Only what was played, without the silence between."""


class Line(Protocol):
    """What a stream needs of its call."""

    caller: Caller
    recording: CallRecording
    changes: Changes


class Received(msgspec.Struct, frozen=True):
    """A message that the app sent."""

    at: float
    """Seconds since the stream's start."""
    message: msgspec.Struct


class Problem(msgspec.Struct, frozen=True):
    """What the vendor would complain of."""

    code: int
    """The vendor's own."""
    text: str


class StreamEnd(enum.Enum):
    """How a stream ended."""

    NOT_CONNECTED = "not connected"
    CLOSED_BY_APP = "closed by the app"
    BROKEN = "broken"
    CALLER_HUNG_UP = "caller hung up"
    CALL_ENDED = "call ended"


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


class CarrierStream(abc.ABC):
    """One media stream. Tests look at its attributes, wait with `until`, and misbehave with `send_raw` and `drop`.

    Times are in s since the stream's start. What the app may send is read strictly; each offence is a `Problem`, and
    the stream goes on.

    Args:
        line: the call that it is a stream of.
        longest_buffer_ms: how much agent audio may wait to be played; what comes beyond it is dropped.
    """

    def __init__(self, line: Line, *, longest_buffer_ms: float = _TEN_MINUTES_MS) -> None:
        self.received: list[Received] = []
        """Every message of the app that the vendor would take."""
        self.frames_sent = 0
        """Frames of the caller's audio."""
        self.marks: list[MarkReturn] = []
        """The marks that went back, in order."""
        self.pieces: list[int] = []
        """The bytes of each message of agent audio, in the recording's format."""
        self.longest_ms = 0.0
        """The most agent audio that waited to be played at once."""
        self.clears: list[Clearing] = []
        self.problems: list[Problem] = []
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self.end: StreamEnd | None = None
        self.close_code: int | None = None
        """With which the app closed."""
        self._line = line
        format = line.recording.format
        self._buffer = PlaybackBuffer(format, max_ms=longest_buffer_ms)
        self._nothing = Played(format.silence * (format.size(FRAME_MS) // format.sample_width), b"", ())
        self._socket: ClientConnection | None = None
        self._began = 0.0
        self._filled_at = 0.0
        """When audio came into the empty buffer."""

    # --- for tests -------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since the stream's start."""
        return anyio.current_time() - self._began

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition()` holds; it is looked at after each message and each frame.

        Raises:
            CarrierError: the stream ended, and it does not hold.
        """
        await self._line.changes.wait_until(lambda: condition() or self.ended.is_set())
        if not condition():
            raise CarrierError("The stream ended before what was waited for.", got=f"{self.end}")

    async def send_raw(self, message: str | bytes) -> None:
        """Sends a message of any kind, as the vendor never would."""
        await self._connected.send(message)

    def drop(self) -> None:
        """Cuts the connection, without a word."""
        self._connected.transport.abort()

    @property
    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise CarrierError("The stream is not connected.")
        return self._socket

    # --- what a vendor adds ----------------------------------------------------------------------------------------

    @abc.abstractmethod
    async def connect(self) -> ClientConnection | None:
        """Opens the socket. None if it cannot be had, with a problem noted."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Says what comes before the first audio."""

    @abc.abstractmethod
    async def send_frame(self, audio: bytes) -> None:
        """Says a frame of the caller's audio; `frames_sent` tells how many there were before."""

    @abc.abstractmethod
    async def send_key(self, digit: str) -> None:
        """Says that a key was pressed."""

    @abc.abstractmethod
    async def send_mark(self, name: str) -> None:
        """Returns a mark."""

    @abc.abstractmethod
    async def send_stop(self) -> None:
        """Says that the stream is over."""

    @abc.abstractmethod
    async def take(self, message: str | bytes) -> None:
        """Reads what the app says, and acts on it: by `play`, `mark` and `clear`, or with a problem noted."""

    def closed_by_app(self, *, broken: bool) -> None:  # noqa: B027 - most vendors have nothing to say
        """The app closed the socket, or broke it off: notes what the vendor would complain of."""

    # --- what it is made of ----------------------------------------------------------------------------------------

    async def send(self, message: msgspec.Struct) -> None:
        """Sends a message of the vendor's, as JSON text."""
        await self.send_raw(msgspec.json.encode(message).decode())

    def note(self, message: msgspec.Struct) -> None:
        """Keeps a message of the app's that the vendor would take."""
        self.received.append(Received(self.elapsed, message))

    def play(self, audio: bytes) -> bool:
        """Appends the agent audio of one message, in the recording's format. False if the buffer was full."""
        self.pieces.append(len(audio))
        if not self._buffer.audible:
            self._filled_at = anyio.current_time()
        dropped = self._buffer.append(audio)
        self.longest_ms = max(self.longest_ms, self._buffer.duration_ms)
        return not dropped

    async def mark(self, name: str) -> None:
        """Sets a mark behind what is in the buffer."""
        for reached in self._buffer.mark(name):
            await self._return_mark(reached, cleared=False)

    async def clear(self) -> None:
        """Empties the buffer."""
        dropped_ms = self._buffer.duration_ms
        marks = self._buffer.clear()
        self.clears.append(Clearing(self.elapsed, dropped_ms, tuple(marks)))
        for name in marks:
            await self._return_mark(name, cleared=True)

    def problem(self, code: int, text: str) -> None:
        """Notes what the vendor would complain of."""
        self.problems.append(Problem(code, text))

    # --- the stream ------------------------------------------------------------------------------------------------

    async def run(self) -> StreamEnd:
        """Connects, streams, and returns once it is over. Cancelling it is the end of the call."""
        end = StreamEnd.CALL_ENDED
        self._line.changes.notify()  # there is one more
        try:
            end = await self._run()
        finally:
            self.end = end
            self.ended.set()
            self._line.changes.notify()
        return end

    async def _run(self) -> StreamEnd:
        socket = self._socket = await self.connect()
        if socket is None:
            return StreamEnd.NOT_CONNECTED
        try:
            await self.open()
            self._began = anyio.current_time()
            self.started.set()
            self._line.changes.notify()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, tasks.cancel_scope)
                await self._talk()
                tasks.cancel_scope.cancel()
            if self.close_code is None:
                return StreamEnd.CALLER_HUNG_UP
        except ConnectionClosed:
            pass  # while it was being opened
        finally:
            with anyio.CancelScope(shield=True):
                await self._close(socket)
        broken = self.close_code == 1006
        self.closed_by_app(broken=broken)
        return StreamEnd.BROKEN if broken else StreamEnd.CLOSED_BY_APP

    async def _talk(self) -> None:
        """A frame each 20 ms, by absolute deadlines, so that nothing drifts. Returns when the caller hangs up."""
        deadline = self._began
        while True:
            deadline += _FRAME_S
            await anyio.sleep_until(deadline)
            try:
                if await self._tick(deadline):
                    return
            except ConnectionClosed:
                await anyio.sleep_forever()  # `_listen` sees it too, says how, and ends this

    async def _tick(self, deadline: float) -> bool:
        """20 ms pass: what was played, and what the caller did meanwhile. True if they hung up at its end.

        On a busy machine many of them may pass at once. What came only then is not played in those that are past.
        """
        recording = self._line.recording
        played = self._buffer.play(FRAME_MS) if self._filled_at <= deadline + _FRAME_S else self._nothing
        frame = self._line.caller.next(played.audible)
        self._line.caller.hear(played.frame)
        recording.caller += frame.audio
        recording.agent += played.frame
        recording.played += played.audio
        await self.send_frame(frame.audio)
        self.frames_sent += 1
        for digit in frame.digits:
            await self.send_key(digit)
        for name in played.marks:
            await self._return_mark(name, cleared=False)
        self._line.changes.notify()
        return frame.hang_up

    async def _listen(self, scope: anyio.CancelScope) -> None:
        socket = self._connected
        try:
            while True:
                await self.take(await socket.recv())
                self._line.changes.notify()
        except ConnectionClosed:
            self.close_code = socket.close_code or 1006
            scope.cancel()

    async def _return_mark(self, name: str, *, cleared: bool) -> None:
        self.marks.append(MarkReturn(self.elapsed, name, cleared))
        await self.send_mark(name)

    async def _close(self, socket: ClientConnection) -> None:
        if self.close_code is None:
            try:
                await self.send_stop()
            except ConnectionClosed:
                self.close_code = socket.close_code or 1006
        await socket.close()
