"""One media stream, in Vonage's language."""

from __future__ import annotations

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import Transcoder
from patter_core.testing.caller import FRAME_MS
from patter_core.testing.network import Tunnels, open_socket
from patter_core.testing.stream import CarrierStream, Clearing, Line
from patter_vonage.testing.requests import WebsocketTarget

__all__ = ["LONGEST_BUFFER_MS", "Clear", "Notify", "StreamSettings", "VonageStream"]

LONGEST_BUFFER_MS = 3_072 * FRAME_MS
"""3,072 messages; what comes beyond is dropped."""

WRONG_SIZE = 1003
FULL = 1013
NOT_A_COMMAND = 1007


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """The base of what the app may say as text."""


class Clear(_Command, frozen=True, kw_only=True, tag="clear", forbid_unknown_fields=True):
    """Empty the buffer."""


class Notify(_Command, frozen=True, kw_only=True, tag="notify", forbid_unknown_fields=True):
    """Return this payload when what is in the buffer has been played."""

    payload: dict[str, str]


_COMMANDS: msgspec.json.Decoder[Clear | Notify] = msgspec.json.Decoder(Clear | Notify)


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """The base of what Vonage says as text."""


class _Dtmf(_Event, frozen=True, kw_only=True, tag="websocket:dtmf"):
    digit: str
    duration: int = 260


class _Notified(_Event, frozen=True, kw_only=True, tag="websocket:notify"):
    payload: dict[str, str]


class _Cleared(_Event, frozen=True, kw_only=True, tag="websocket:cleared"):
    pass


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is opened with."""

    target: WebsocketTarget
    token: str
    """Vonage's, for the upgrade."""
    announces: str = ""
    """Another content type than the one that was asked for."""
    older_keys: bool = False
    """Tell keys in an older form."""
    tunnels: Tunnels

    @property
    def url(self) -> str:
        """As the NCCO has it."""
        return self.target.uri


class VonageStream(CarrierStream):
    """One media stream. Each offence of the app is a `Problem`; a message of a wrong length ends the stream."""

    def __init__(self, line: Line, settings: StreamSettings) -> None:
        super().__init__(line, longest_buffer_ms=LONGEST_BUFFER_MS)
        self.settings = settings
        self._is_broken = False
        """A message had a wrong length: what was sent after it is not read."""
        self._format = line.recording.format
        rate = int(settings.target.content_type.rpartition("=")[2])
        self._wire_format = AudioFormat(Encoding.PCM16, rate)
        same = self._wire_format == self._format
        self._from_caller = None if same else Transcoder(self._format, self._wire_format)
        self._from_agent = None if same else Transcoder(self._wire_format, self._format)

    async def connect(self) -> ClientConnection | None:
        target = self.settings.target
        match target.authorization:
            case None:
                headers = {}
            case authorization if authorization.type == "custom":
                headers = {"Authorization": authorization.value}
            case _:
                headers = {"Authorization": f"Bearer {self.settings.token}"}
        try:
            return await open_socket(target.uri, self.settings.tunnels, headers=headers, user_agent="VonageWS/1.0")
        except InvalidStatus as error:
            self.problem(error.response.status_code, "the upgrade was refused")
        except (OSError, WebSocketException) as error:
            self.problem(0, f"the socket cannot be opened: {type(error).__name__}")
        return None

    async def open(self) -> None:
        said = {
            "event": "websocket:connected",
            "content-type": self.settings.announces or self.settings.target.content_type,
            **self.settings.target.headers,
        }
        await self.send_raw(msgspec.json.encode(said).decode())

    async def send_frame(self, audio: bytes) -> None:
        if self._from_caller is None:
            await self.send_raw(audio)
            return
        chunk = self._from_caller.convert(AudioChunk(audio, self._format))
        if chunk is not None:
            await self.send_raw(chunk.data)

    async def send_key(self, digit: str) -> None:
        if self.settings.older_keys:
            older = {"event": "websocket:dtmf", "dtmf": {"digit": digit, "duration": 260}}
            await self.send_raw(msgspec.json.encode(older).decode())
        else:
            await self.send(_Dtmf(digit=digit))

    async def send_mark(self, name: str) -> None:
        await self.send(_Notified(payload={"name": name}))

    async def send_stop(self) -> None:
        """Vonage only closes the socket."""

    async def clear(self) -> None:
        """Empties the buffer. What was to be returned from there is not."""
        dropped_ms = self._buffer.duration_ms
        marks = self._buffer.clear()
        self.clears.append(Clearing(self.elapsed, dropped_ms, tuple(marks)))
        await self.send(_Cleared())

    async def take(self, message: str | bytes) -> None:
        if self._is_broken:
            return
        if isinstance(message, bytes):
            self._hear(message)
            return
        try:
            read = _COMMANDS.decode(message)
        except msgspec.DecodeError:
            self.problem(NOT_A_COMMAND, "no command")
            return
        self.note(read)
        if isinstance(read, Notify):
            await self.mark(read.payload.get("name", ""))
        else:
            await self.clear()

    def _hear(self, audio: bytes) -> None:
        required = self._wire_format.size(FRAME_MS)
        if len(audio) != required:
            self.problem(
                WRONG_SIZE, f"unexpected frame size {len(audio) // 2}, when required {required // 2}"
            )  # in samples, as Vonage has it
            self._is_broken = True
            self.drop()  # the app sees 1006
            return
        chunk = AudioChunk(audio, self._wire_format)
        converted = chunk if self._from_agent is None else self._from_agent.convert(chunk)
        if converted is not None and not self.play(converted.data):
            self.problem(FULL, "the buffer is full")
