"""One media stream, in Plivo's language."""

from __future__ import annotations

import binascii
import time
import urllib.parse
import uuid
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from patter_core.testing.network import Tunnels, open_socket
from patter_core.testing.stream import CarrierStream, Clearing, Line, Problem
from patter_plivo.signing import signed_base
from patter_plivo.testing import messages
from patter_plivo.testing.webhooks import signature_headers

__all__ = ["LONGEST_BUFFER_MS", "PlivoStream", "StreamSettings"]

LONGEST_BUFFER_MS = 40_000
"""What goes beyond is dropped, with buffer_overflow."""
_DEGRADED = (0.3, 0.6, 0.9)
"""Parts of the buffer at which Plivo tells that it fills."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is opened with."""

    auth_id: str
    auth_token: str
    call_uuid: str
    url: str
    """As the XML has it."""
    content_type: str
    takes_audio: bool
    """False without `bidirectional`."""
    extra_headers: dict[str, str]
    says_stop: bool = False
    """Whether a `stop` comes before the close, which Plivo does not document."""
    tunnels: Tunnels

    @property
    def media_format(self) -> messages.MediaFormat:
        name, _, rate = self.content_type.partition(";rate=")
        return messages.MediaFormat(name, int(rate))


class PlivoStream(CarrierStream):
    """One media stream. Each offence of the app is a `Problem`. The telephone speaks the format of the stream.

    Args:
        line: the call.
        settings: what it is opened with.
        on_degraded: called each time that another part of the buffer is full.
    """

    def __init__(self, line: Line, settings: StreamSettings, on_degraded: Callable[[], None]) -> None:
        super().__init__(line, longest_buffer_ms=LONGEST_BUFFER_MS)
        self.settings = settings
        self.id = str(uuid.uuid4())
        self.digits = ""
        """Keys that the app sent on the socket."""
        self._on_degraded = on_degraded
        self._told = 0
        self._sequence = 0

    async def connect(self) -> ClientConnection | None:
        url = self.settings.url
        host = urllib.parse.urlsplit(url).hostname or ""
        if not url.startswith("wss://") and host not in {"127.0.0.1", "::1", "localhost"}:
            self.problem(0, "connection_failed: not wss")  # on loopback there are no certificates: ws will do
            return None
        base = signed_base(f"http://{url.partition('://')[2]}")
        headers = signature_headers(self.settings.auth_token, base)
        try:
            return await open_socket(url, self.settings.tunnels, headers=headers, user_agent="Plivo-Stream/1.0")
        except InvalidStatus as error:
            self.problem(0, f"connection_failed: {error.response.status_code}")
        except (OSError, WebSocketException) as error:
            self.problem(0, f"connection_failed: {error}")
        return None

    async def open(self) -> None:
        settings = self.settings
        body = messages.StartBody(
            call_id=settings.call_uuid,
            stream_id=self.id,
            account_id=settings.auth_id,
            media_format=settings.media_format,
        )
        headers = msgspec.json.encode(settings.extra_headers).decode()
        await self.send(messages.Start(sequence_number=0, start=body, extra_headers=headers))

    async def send_frame(self, audio: bytes) -> None:
        body = messages.MediaBody(
            timestamp=_now(),
            chunk=self.frames_sent + 1,
            payload=binascii.b2a_base64(audio, newline=False).decode(),
        )
        await self.send(messages.Media(**self._next(), media=body))

    async def send_key(self, digit: str) -> None:
        await self.send(messages.Dtmf(**self._next(), dtmf=messages.DtmfBody(digit=digit, timestamp=_now())))

    async def send_mark(self, name: str) -> None:
        await self.send(messages.PlayedStream(**self._next(), name=name))

    async def send_stop(self) -> None:
        if self.settings.says_stop:
            await self.send(messages.Stop(**self._next()))

    async def take(self, message: str | bytes) -> None:
        read = messages.read_app_message(message, self.id, self.settings.media_format)
        if isinstance(read, Problem):
            self.problems.append(read)
            return
        self.note(read)
        match read:
            case messages.PlayAudio():
                self._hear(read.audio)
            case messages.Checkpoint(name=name):
                await self.mark(name)
            case messages.ClearAudio():
                await self.clear()
            case messages.SendDtmf(dtmf=digits):
                self.digits += digits

    async def clear(self) -> None:
        """Empties the buffer. Pending checkpoints never come back."""
        dropped_ms = self._buffer.duration_ms
        marks = self._buffer.clear()
        self.clears.append(Clearing(self.elapsed, dropped_ms, tuple(marks)))
        self._told = 0
        await self.send(messages.ClearedAudio(**self._next()))

    def _hear(self, audio: bytes) -> None:
        if not self.settings.takes_audio:
            self.problem(0, "playAudio on a stream that is not bidirectional")
            return
        if not self.play(audio):
            self.problem(0, "buffer_overflow")
        waiting = self._buffer.duration_ms
        reached = sum(waiting >= part * LONGEST_BUFFER_MS for part in _DEGRADED)
        if reached > self._told:
            self._on_degraded()
        self._told = reached

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": self._sequence, "stream_id": self.id}


def _now() -> str:
    return str(int(time.time() * 1000))
