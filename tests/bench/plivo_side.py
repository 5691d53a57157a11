"""Plivo in the benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar
from xml.etree.ElementTree import fromstring

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.testing.network import Tunnels
from patter_core.testing.stream import Problem
from patter_plivo import Plivo
from patter_plivo.signing import signed_base
from patter_plivo.testing import messages
from patter_plivo.testing.webhooks import WebhookSender, signature_headers
from tests.bench.carrier_words import CarrierWords, PlainPlivo, TypedPlivo
from tests.bench.lean import connect
from tests.bench.vendor import CALLED, CALLER, NOWHERE, Placed, Said, Stream, Vendor

__all__ = ["PlivoVendor"]

AUTH_ID, AUTH_TOKEN = "MA" + 18 * "B", "bench-token"
FORMAT = messages.MediaFormat("audio/x-mulaw", 8_000)


class PlivoVendor(Vendor):
    name: ClassVar[str] = "plivo"
    typed: ClassVar[type[CarrierWords]] = TypedPlivo
    plain: ClassVar[type[CarrierWords]] = PlainPlivo

    def __init__(self) -> None:
        self._call_uuids = (str(uuid.UUID(int=number)) for number in itertools.count())

    def carrier(self, api_url: str) -> Plivo:
        return Plivo(AUTH_ID, AUTH_TOKEN, base_url=api_url)

    async def relay(self, request: Request, media_url: str, api_url: str) -> Response:
        await request.body()
        stream = f'<Stream bidirectional="true" keepCallAlive="true">{media_url}</Stream>'
        return Response(f"<Response>{stream}</Response>", media_type="text/xml")

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[str]:
        yield NOWHERE

    async def place(self, client: httpx.AsyncClient, voice_url: str, stream_after: float = 0.0) -> Placed:
        call_uuid = next(self._call_uuids)
        exchange = await _sender(client).send(voice_url, {**_fields(call_uuid, "ringing"), "Event": "StartApp"})
        url = fromstring(exchange.answer).findtext("Stream", "").strip() if exchange.status == 200 else ""
        if not url:
            raise ConnectionError(f"The voice webhook answered {exchange.status}, without a stream.")
        await asyncio.sleep(stream_after)
        headers = signature_headers(AUTH_TOKEN, signed_base(f"http://{url.partition('://')[2]}"))
        return Placed(await connect(url, headers), PlivoStream(call_uuid))

    async def hung_up(self, client: httpx.AsyncClient, voice_url: str, stream: Stream) -> None:
        assert isinstance(stream, PlivoStream)
        fields = {**_fields(stream.call_uuid, "completed"), "Event": "Hangup", "HangupCauseCode": "4000"}
        await _sender(client).send(voice_url.replace("/voice", "/status"), fields)


def _sender(client: httpx.AsyncClient) -> WebhookSender:
    return WebhookSender(client, auth_id=AUTH_ID, auth_token=AUTH_TOKEN, tunnels=Tunnels({}))


def _fields(call_uuid: str, status: str) -> dict[str, str]:
    numbers = {"From": CALLER.removeprefix("+"), "To": CALLED.removeprefix("+")}
    return {"CallUUID": call_uuid, "CallStatus": status, "Direction": "inbound", **numbers}


class PlivoStream(Stream):
    def __init__(self, call_uuid: str) -> None:
        self.call_uuid = call_uuid
        self._id = f"stream-{call_uuid}"
        self._sequence = 0

    def opening(self) -> Sequence[msgspec.Struct]:
        body = messages.StartBody(call_id=self.call_uuid, stream_id=self._id, account_id=AUTH_ID, media_format=FORMAT)
        return (messages.Start(sequence_number=0, start=body),)

    def media(self, frame: int, payload: str) -> bytes:
        self._sequence += 1
        return (
            f'{{"event":"media","sequenceNumber":{self._sequence},"streamId":"{self._id}","media":{{"track":"inbound",'
            f'"timestamp":"{int(time.time() * 1000)}","chunk":{frame},"payload":"{payload}"}}}}'
        ).encode()

    def mark(self, name: str) -> msgspec.Struct:
        return messages.PlayedStream(**self._next(), name=name)

    def cleared(self) -> msgspec.Struct:
        """Plivo returns none of the marks."""
        return messages.ClearedAudio(**self._next())

    def stop(self) -> None:
        """Plivo only closes the socket."""

    def read(self, message: bytes) -> tuple[Said, str]:
        read = messages.read_app_message(message.decode(), self._id, FORMAT)
        if isinstance(read, Problem):
            raise msgspec.DecodeError(read.text)
        if isinstance(read, messages.PlayAudio):
            return Said.AUDIO, read.media.payload
        if isinstance(read, messages.Checkpoint):
            return Said.MARK, read.name
        return Said.CLEAR, ""

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": self._sequence, "stream_id": self._id}
