"""Telnyx in the benchmark: a call is answered, and its audio asked for, by a command to the vendor's API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.server.serving import serve_app
from patter_core.testing.network import Tunnels
from patter_telnyx import Telnyx
from patter_telnyx.testing import messages
from patter_telnyx.testing.requests import StreamBody, read_body
from patter_telnyx.testing.webhooks import WebhookSender
from tests.bench.lean import connect
from tests.bench.vendor import CALLED, CALLER, Placed, Said, Stream, Vendor
from tests.bench.voice import FRAME_MS

__all__ = ["TelnyxVendor"]

KEY = Ed25519PrivateKey.from_private_bytes(32 * b"b")
CONNECTION_ID = "1"

_from_app = msgspec.json.Decoder(messages.AppMessage)


class _Payload(msgspec.Struct):
    call_control_id: str


class _Event(msgspec.Struct):
    event_type: str
    payload: _Payload


class _Delivery(msgspec.Struct):
    data: _Event


class TelnyxVendor(Vendor):
    name: ClassVar[str] = "telnyx"

    def __init__(self) -> None:
        self._call_ids = (f"call-{number}" for number in itertools.count())
        self._streams: dict[str, asyncio.Future[StreamBody]] = {}

    def carrier(self, api_url: str) -> Telnyx:
        public_key = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
        return Telnyx("KEYbench", CONNECTION_ID, public_key, base_url=api_url)

    async def relay(self, request: Request, media_url: str, api_url: str) -> Response:
        event = msgspec.json.decode(await request.body(), type=_Delivery).data
        if event.event_type == "call.initiated":
            command = StreamBody(stream_url=media_url, stream_codec="PCMU", stream_bidirectional_mode="rtp")
            url = f"{api_url}/v2/calls/{event.payload.call_control_id}/actions/answer"
            async with httpx.AsyncClient(trust_env=False) as client:
                (await client.post(url, content=msgspec.json.encode(command))).raise_for_status()
        return Response()

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[str]:
        app = Starlette(routes=[Route("/v2/calls/{call_id}/actions/{action}", self._command, methods=["POST"])])
        async with serve_app(app) as url:
            yield url

    async def _command(self, request: Request) -> Response:
        command = read_body(request.path_params["action"], await request.body())
        stream = self._streams.get(request.path_params["call_id"])
        if isinstance(command, StreamBody) and stream is not None and not stream.done():
            stream.set_result(command)
        return Response('{"data":{"result":"ok"}}', media_type="application/json")

    async def place(self, client: httpx.AsyncClient, voice_url: str, stream_after: float = 0.0) -> Placed:
        call_id = next(self._call_ids)
        self._streams[call_id] = asyncio.get_running_loop().create_future()
        await self._tell(client, voice_url, "call.initiated", call_id, state="parked")
        asked = await asyncio.wait_for(self._streams.pop(call_id), 10)
        if asked.stream_bidirectional_mode != "rtp" or asked.stream_bidirectional_codec != "PCMU":
            raise ConnectionError("The agent's audio was not asked for as μ-law by RTP.")
        await asyncio.sleep(stream_after)
        return Placed(await connect(asked.stream_url, {}), TelnyxStream(call_id))

    async def hung_up(self, client: httpx.AsyncClient, voice_url: str, stream: Stream) -> None:
        assert isinstance(stream, TelnyxStream)
        await self._tell(client, voice_url, "call.hangup", stream.call_id, hangup_cause="normal_clearing")

    async def _tell(self, client: httpx.AsyncClient, url: str, event: str, call_id: str, **fields: str) -> None:
        payload = {"call_control_id": call_id, "connection_id": CONNECTION_ID, "from": CALLER, "to": CALLED, **fields}
        await WebhookSender(client, KEY, Tunnels({})).tell(url, event, payload)


class TelnyxStream(Stream):
    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self._id = f"stream-{call_id}"
        self._sequence = 0

    def opening(self) -> Sequence[msgspec.Struct]:
        body = messages.StartBody(
            call_control_id=self.call_id,
            call_session_id=self.call_id,
            from_=CALLER,
            to=CALLED,
            media_format=messages.MediaFormat("PCMU", 8_000),
        )
        return messages.Connected(), messages.Start(sequence_number=self._next(), stream_id=self._id, start=body)

    def media(self, frame: int, payload: str) -> bytes:
        return (
            f'{{"event":"media","sequence_number":"{self._next()}","stream_id":"{self._id}","media":{{"track":"inbound",'
            f'"chunk":"{frame}","timestamp":"{frame * FRAME_MS}","payload":"{payload}"}}}}'
        ).encode()

    def mark(self, name: str) -> msgspec.Struct:
        return messages.Mark(sequence_number=self._next(), stream_id=self._id, mark=messages.MarkBody(name))

    def stop(self) -> msgspec.Struct:
        body = messages.StopBody(call_control_id=self.call_id)
        return messages.Stop(sequence_number=self._next(), stream_id=self._id, stop=body)

    def read(self, message: bytes) -> tuple[Said, str]:
        read = _from_app.decode(message)
        if isinstance(read, messages.PeerMedia):
            return Said.AUDIO, read.media.payload
        if isinstance(read, messages.PeerMark):
            return Said.MARK, read.mark.name
        return Said.CLEAR, ""

    def _next(self) -> str:
        self._sequence += 1
        return str(self._sequence)
