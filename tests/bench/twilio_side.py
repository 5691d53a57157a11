"""Twilio in the benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar
from xml.etree.ElementTree import fromstring

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.testing.network import Tunnels
from patter_twilio import Twilio
from patter_twilio.signing import signature
from patter_twilio.testing import messages
from patter_twilio.testing.webhooks import WebhookSender
from tests.bench.lean import connect
from tests.bench.vendor import CALLED, CALLER, NOWHERE, Placed, Said, Stream, Vendor
from tests.bench.voice import FRAME_MS

__all__ = ["TwilioVendor"]

ACCOUNT_SID = "AC" + 32 * "b"
AUTH_TOKEN = "bench-token"

_from_app = msgspec.json.Decoder(messages.AppMessage)


class TwilioVendor(Vendor):
    name: ClassVar[str] = "twilio"

    def __init__(self) -> None:
        self._call_sids = (f"CA{number:032x}" for number in itertools.count())  # a call that is over cannot be repeated

    def carrier(self, api_url: str) -> Twilio:
        return Twilio(ACCOUNT_SID, AUTH_TOKEN, base_url=api_url)

    async def relay(self, request: Request, media_url: str, api_url: str) -> Response:
        await request.body()
        return Response(f'<Response><Connect><Stream url="{media_url}" /></Connect></Response>', media_type="text/xml")

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[str]:
        yield NOWHERE

    async def place(self, client: httpx.AsyncClient, voice_url: str, stream_after: float = 0.0) -> Placed:
        sender = WebhookSender(client, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, tunnels=Tunnels({}))
        call_sid = next(self._call_sids)
        fields = {
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
            "CallSid": call_sid,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": CALLER,
            "To": CALLED,
        }
        exchange = await sender.send(voice_url, fields)
        asked = fromstring(exchange.answer).find(".//Stream") if exchange.status == 200 else None
        if asked is None:
            raise ConnectionError(f"The voice webhook answered {exchange.status}, without a stream.")
        url = asked.get("url", "")
        await asyncio.sleep(stream_after)
        return Placed(await connect(url, {"X-Twilio-Signature": signature(AUTH_TOKEN, url)}), TwilioStream(call_sid))

    async def hung_up(self, client: httpx.AsyncClient, voice_url: str, stream: Stream) -> None:
        """The stream's end says it."""


class TwilioStream(Stream):
    def __init__(self, call_sid: str) -> None:
        self._call_sid = call_sid
        self._stream_sid = f"MZ{call_sid[2:]}"
        self._after_payload = f'"}},"streamSid":"{self._stream_sid}"}}'
        self._sequence = 1

    def opening(self) -> Sequence[msgspec.Struct]:
        body = messages.StartBody(account_sid=ACCOUNT_SID, stream_sid=self._stream_sid, call_sid=self._call_sid)
        return messages.Connected(), messages.Start(sequence_number="1", stream_sid=self._stream_sid, start=body)

    def media(self, frame: int, payload: str) -> bytes:
        self._sequence += 1
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound","chunk":'
            f'"{frame}","timestamp":"{frame * FRAME_MS}","payload":"{payload}{self._after_payload}'
        ).encode()

    def mark(self, name: str) -> msgspec.Struct:
        return messages.Mark(**self._next(), mark=messages.MarkBody(name))

    def stop(self) -> msgspec.Struct:
        body = messages.StopBody(account_sid=ACCOUNT_SID, call_sid=self._call_sid)
        return messages.Stop(**self._next(), stop=body)

    def read(self, message: bytes) -> tuple[Said, str]:
        read = _from_app.decode(message)
        if isinstance(read, messages.PeerMedia):
            return Said.AUDIO, read.media.payload
        if isinstance(read, messages.PeerMark):
            return Said.MARK, read.mark.name
        return Said.CLEAR, ""

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": str(self._sequence), "stream_sid": self._stream_sid}
