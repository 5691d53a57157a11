"""One media stream, in Twilio's language."""

from __future__ import annotations

import binascii
import secrets
import urllib.parse
from collections.abc import Mapping

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from patter_core.testing.caller import FRAME_MS
from patter_core.testing.network import Tunnels, open_socket
from patter_core.testing.stream import CarrierStream, Line, Problem
from patter_twilio.signing import signature
from patter_twilio.testing import messages

__all__ = ["StreamSettings", "TwilioStream"]

LONGEST_BUFFER_MS = 600_000
"""Ten minutes; what goes beyond is dropped, with error 31931."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is opened with."""

    account_sid: str
    call_sid: str
    auth_token: str
    url: str
    """As the TwiML has it."""
    parameters: Mapping[str, str] = {}
    tunnels: Tunnels


class TwilioStream(CarrierStream):
    """One media stream. Each offence of the app is a `Problem`, as it would be in Twilio's error log."""

    def __init__(self, line: Line, settings: StreamSettings) -> None:
        super().__init__(line, longest_buffer_ms=LONGEST_BUFFER_MS)
        self.settings = settings
        self.sid = f"MZ{secrets.token_hex(16)}"
        self._sequence = 0

    async def connect(self) -> ClientConnection | None:
        url = self.settings.url.partition("?")[0]  # Twilio drops the query
        host = urllib.parse.urlsplit(url).hostname or ""
        if not url.startswith("wss://") and host not in {"127.0.0.1", "::1", "localhost"}:
            self.problem(31920, "Stream URL is not wss")  # on loopback there are no certificates: ws will do
            return None
        headers = {"X-Twilio-Signature": signature(self.settings.auth_token, url)}
        try:
            return await open_socket(url, self.settings.tunnels, headers=headers, user_agent="TwilioMediaStreams/1.0")
        except TimeoutError:
            self.problem(31901, "Stream - WebSocket - Connection Timeout")
        except InvalidStatus as error:
            self.problem(31920, f"Stream - WebSocket - Handshake Error: {error.response.status_code}")
        except WebSocketException as error:
            self.problem(31920, f"Stream - WebSocket - Handshake Error: {error}")
        except OSError as error:
            self.problem(31902, f"Stream - WebSocket - Connection Refused: {error}")
        return None

    async def open(self) -> None:
        await self.send(messages.Connected())
        body = messages.StartBody(
            account_sid=self.settings.account_sid,
            stream_sid=self.sid,
            call_sid=self.settings.call_sid,
            custom_parameters=dict(self.settings.parameters),
        )
        await self.send(messages.Start(**self._next(), start=body))

    async def send_frame(self, audio: bytes) -> None:
        body = messages.MediaBody(
            chunk=str(self.frames_sent + 1),
            timestamp=str(self.frames_sent * FRAME_MS),
            payload=binascii.b2a_base64(audio, newline=False).decode(),
        )
        await self.send(messages.Media(**self._next(), media=body))

    async def send_key(self, digit: str) -> None:
        await self.send(messages.Dtmf(**self._next(), dtmf=messages.DtmfBody(digit=digit)))

    async def send_mark(self, name: str) -> None:
        await self.send(messages.Mark(**self._next(), mark=messages.MarkBody(name)))

    async def send_stop(self) -> None:
        body = messages.StopBody(account_sid=self.settings.account_sid, call_sid=self.settings.call_sid)
        await self.send(messages.Stop(**self._next(), stop=body))

    async def take(self, message: str | bytes) -> None:
        read = messages.read_app_message(message, self.sid)
        if isinstance(read, Problem):
            self.problems.append(read)
            return
        self.note(read)
        if isinstance(read, messages.PeerMedia):
            if not self.play(read.audio):
                self.problem(31931, "Stream - Media - Buffer Overflow")
        elif isinstance(read, messages.PeerMark):
            await self.mark(read.mark.name)
        else:
            await self.clear()

    def closed_by_app(self, *, broken: bool) -> None:
        if broken:
            self.problem(31903, "Stream - WebSocket - Connection Broken Pipe")
        else:
            self.problem(31921, "Stream - WebSocket - Close Error: closed by the server")

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": str(self._sequence), "stream_sid": self.sid}
