"""Many callers on Twilio's telephones who say little: a frame a second, so that one process can be all of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import itertools
import json
import re
import secrets
import urllib.parse

import anyio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from patter_core.testing.network import Tunnels, open_socket
from patter_twilio.signing import signature
from patter_twilio.testing import TwilioEmulator
from tests.chaos.floods import announcement

__all__ = ["QuietCaller"]

_EVERY = 1.0
"""Seconds between two frames."""
_FRAME = base64.b64encode(b"\x2a" * 160).decode()
_STREAM = re.compile(r'<Stream[^>]* url="([^"]+)"')


class QuietCaller:
    """One caller. `run` lives through the call, which ends when it is cancelled, or the app ends it."""

    def __init__(self, carrier: TwilioEmulator, voice_url: str) -> None:
        self.answer = ""
        """What the voice webhook was answered."""
        self.accepted = False
        """The app took the call."""
        self.heard_at = -1.0
        """When the agent was heard last, by the event loop's clock."""
        self.ended = False
        """The app closed the media socket, or never opened it."""
        self._carrier = carrier
        self._voice_url = voice_url
        self._call_sid = f"CA{secrets.token_hex(16)}"
        self._stream_sid = f"MZ{secrets.token_hex(16)}"

    async def run(self) -> None:
        try:
            self.answer = await self._ring()
            found = _STREAM.search(self.answer)
            self.accepted = found is not None
            if found is not None:
                await self._stream(html.unescape(found[1]))
        except (OSError, WebSocketException):
            pass
        self.ended = True

    async def _ring(self) -> str:
        parts = urllib.parse.urlsplit(self._voice_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(announcement(self._carrier, self._voice_url, call_sid=self._call_sid).encode("latin-1"))
            return (await reader.read()).decode()
        finally:
            writer.close()

    async def _stream(self, url: str) -> None:
        headers = {"X-Twilio-Signature": signature(self._carrier.auth_token, url)}
        socket = await open_socket(url, Tunnels({}), headers=headers, user_agent="TwilioMediaStreams/1.0")
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(socket.transport.abort)
            await self._say(socket, event="connected", protocol="Call", version="1.0.0")
            start = {
                "accountSid": self._carrier.account_sid,
                "streamSid": self._stream_sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
                "customParameters": {},
            }
            await self._say(socket, event="start", sequenceNumber="1", streamSid=self._stream_sid, start=start)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._talk, socket)
                await self._listen(socket)

    async def _talk(self, socket: ClientConnection) -> None:
        for number in itertools.count(1):
            media = {"track": "inbound", "chunk": str(number), "timestamp": "0", "payload": _FRAME}
            await self._say(socket, event="media", sequenceNumber="2", streamSid=self._stream_sid, media=media)
            await anyio.sleep(_EVERY)

    async def _listen(self, socket: ClientConnection) -> None:
        while True:
            message = json.loads(await socket.recv())
            if message["event"] == "media":
                self.heard_at = anyio.current_time()
            elif message["event"] == "mark":
                await self._say(socket, sequenceNumber="3", **message)

    async def _say(self, socket: ClientConnection, **message: object) -> None:
        await socket.send(json.dumps(message))
