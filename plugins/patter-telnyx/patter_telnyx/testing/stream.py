"""One media stream, in Telnyx's language."""

from __future__ import annotations

import binascii
import datetime as dt
import random
import uuid

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.transcode import Transcoder
from patter_core.testing.caller import FRAME_MS
from patter_core.testing.network import Tunnels, open_socket
from patter_core.testing.stream import CarrierStream, Line, Problem
from patter_telnyx.testing import messages

__all__ = ["FORMATS", "StreamSettings", "TelnyxStream"]

FORMATS = {"PCMU": ULAW_8000, "PCMA": ALAW_8000, "L16": PCM16_16000}
_DISORDER = 3
"""Messages that are shuffled among each other."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is opened with."""

    url: str
    """As the command has it."""
    call_control_id: str
    call_session_id: str
    from_number: str
    to_number: str
    client_state: str = ""
    announced: str
    """The codec of the caller's audio: what `start` says. One that is not in `FORMATS` is announced all the same."""
    expected: str
    """The codec of the agent's audio: what was asked for."""
    takes_audio: bool = True
    """False in the mode `mp3`, which is Telnyx's default: the agent is silent."""
    disorder: bool = False
    """Send what the caller says out of order, as Telnyx may."""
    tunnels: Tunnels


class TelnyxStream(CarrierStream):
    """One media stream. Each offence of the app is a `Problem`, and told to it as an `error`."""

    def __init__(self, line: Line, settings: StreamSettings) -> None:
        super().__init__(line)
        self.settings = settings
        self.id = str(uuid.uuid4())
        self._sequence = 0
        self._format = line.recording.format
        self._announced = FORMATS.get(settings.announced, self._format)
        self._expected = FORMATS[settings.expected]
        self._from_caller = _converter(self._format, self._announced)
        self._from_agent = _converter(self._expected, self._format)
        self._waiting: list[msgspec.Struct] = []
        self._chance = random.Random(1)

    async def connect(self) -> ClientConnection | None:
        try:
            return await open_socket(self.settings.url, self.settings.tunnels, user_agent="Telnyx-Media-Streaming/1.0")
        except (OSError, WebSocketException) as error:
            self.problem(0, f"connection_failed: {error}")
        return None

    async def open(self) -> None:
        settings = self.settings
        await self.send(messages.Connected())
        body = messages.StartBody(
            call_control_id=settings.call_control_id,
            call_session_id=settings.call_session_id,
            from_=settings.from_number,
            to=settings.to_number,
            client_state=settings.client_state,
            media_format=messages.MediaFormat(settings.announced, self._announced.sample_rate),
        )
        await self.send(messages.Start(sequence_number=self._next(), stream_id=self.id, start=body))

    async def send_frame(self, audio: bytes) -> None:
        chunk = AudioChunk(audio, self._format)
        converted = chunk if self._from_caller is None else self._from_caller.convert(chunk)
        if converted is None:
            return
        body = messages.MediaBody(
            chunk=str(self.frames_sent + 1),
            timestamp=str(self.frames_sent * FRAME_MS),
            payload=binascii.b2a_base64(converted.data, newline=False).decode(),
        )
        await self._say_some_time(messages.Media(sequence_number=self._next(), stream_id=self.id, media=body))

    async def send_key(self, digit: str) -> None:
        key = messages.Dtmf(
            sequence_number=self._next(),
            stream_id=self.id,
            occurred_at=dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z"),
            dtmf=messages.DtmfBody(digit),
        )
        await self._say_some_time(key)

    async def send_mark(self, name: str) -> None:
        await self.send(messages.Mark(sequence_number=self._next(), stream_id=self.id, mark=messages.MarkBody(name)))

    async def send_stop(self) -> None:
        await self._say_all()
        body = messages.StopBody(call_control_id=self.settings.call_control_id)
        await self.send(messages.Stop(sequence_number=self._next(), stream_id=self.id, stop=body))

    async def take(self, message: str | bytes) -> None:
        read = messages.read_app_message(message, self._expected)
        if isinstance(read, Problem):
            self.problems.append(read)
            body = messages.ErrorBody(read.code, "invalid", read.text)
            await self.send(messages.ErrorMessage(stream_id=self.id, payload=body))
            return
        self.note(read)
        if isinstance(read, messages.PeerMedia):
            self._hear(read.audio)
        elif isinstance(read, messages.PeerMark):
            await self.mark(read.mark.name)
        else:
            await self.clear()

    def _hear(self, audio: bytes) -> None:
        if not self.settings.takes_audio:
            return
        chunk = AudioChunk(audio, self._expected)
        converted = chunk if self._from_agent is None else self._from_agent.convert(chunk)
        if converted is not None:
            self.play(converted.data)

    # --- order -----------------------------------------------------------------------------------------------------

    async def _say_some_time(self, message: msgspec.Struct) -> None:
        """At once; or, in disorder, among the next few."""
        self._waiting.append(message)
        if self.frames_sent < 1 or not self.settings.disorder:
            await self._say_all()
        elif len(self._waiting) >= _DISORDER:
            self._chance.shuffle(self._waiting)
            await self._say_all()

    async def _say_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            await self.send(message)

    def _next(self) -> str:
        self._sequence += 1
        return str(self._sequence)


def _converter(source: AudioFormat, target: AudioFormat) -> Transcoder | None:
    return None if source == target else Transcoder(source, target)
