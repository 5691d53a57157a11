"""Vonage in the benchmark: linear audio at 16 kHz, as binary messages of 20 ms."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.audio import PCM16_16000, AudioFormat
from patter_core.testing.network import Tunnels
from patter_vonage import Vonage
from patter_vonage.testing.keys import new_key
from patter_vonage.testing.requests import ConnectAction, WebsocketTarget, read_ncco
from patter_vonage.testing.stream import Clear, Notify
from patter_vonage.testing.webhooks import WebhookSender
from tests.bench.carrier_words import Binary, CarrierWords
from tests.bench.lean import connect
from tests.bench.vendor import CALLED, CALLER, NOWHERE, Placed, Said, Stream, Vendor
from tests.bench.voice import FRAME_MS

__all__ = ["VonageVendor"]

APPLICATION_ID, API_KEY = "78d335fa-323d-0114-9c3d-d6f0d48968cf", "a1b2c3d4"
SIGNATURE_SECRET = "bench-secret, of 32 characters or more"
FORMAT = PCM16_16000

_from_app: msgspec.json.Decoder[Clear | Notify] = msgspec.json.Decoder(Clear | Notify)


class VonageVendor(Vendor):
    name: ClassVar[str] = "vonage"
    format: ClassVar[AudioFormat] = FORMAT
    frame_ms: ClassVar[int] = FRAME_MS
    typed: ClassVar[type[CarrierWords]] = Binary
    plain: ClassVar[type[CarrierWords]] = Binary

    def __init__(self) -> None:
        self._call_ids = (f"call-{number}" for number in itertools.count())

    def carrier(self, api_url: str) -> Vonage:
        key, _ = new_key()  # for requests to the API, of which there are none here
        return Vonage(APPLICATION_ID, key, API_KEY, SIGNATURE_SECRET, base_url=api_url)

    async def relay(self, request: Request, media_url: str, api_url: str) -> Response:
        await request.body()
        endpoint = {"type": "websocket", "uri": media_url, "content-type": f"audio/l16;rate={FORMAT.sample_rate}"}
        connect = {"action": "connect", "endpoint": [endpoint], "randomFromNumber": True}
        return Response(msgspec.json.encode([connect]), media_type="application/json")

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[str]:
        yield NOWHERE

    async def place(self, client: httpx.AsyncClient, voice_url: str, stream_after: float = 0.0) -> Placed:
        sender, call_id = _sender(client), next(self._call_ids)
        exchange = await sender.send(voice_url, _fields(call_id))
        actions = read_ncco(exchange.answer) if exchange.status == 200 else ()
        target = actions[-1].endpoint[0] if actions and isinstance(actions[-1], ConnectAction) else None
        if not isinstance(target, WebsocketTarget):
            raise ConnectionError(f"The voice webhook answered {exchange.status}, without a media socket.")
        await asyncio.sleep(stream_after)
        socket = await connect(target.uri, {"Authorization": f"Bearer {sender.token()}"})
        return Placed(socket, VonageStream(call_id, target))

    async def hung_up(self, client: httpx.AsyncClient, voice_url: str, stream: Stream) -> None:
        assert isinstance(stream, VonageStream)
        fields = {**_fields(stream.call_id), "status": "completed"}
        await _sender(client).send(voice_url.replace("/voice", "/event"), fields)


def _sender(client: httpx.AsyncClient) -> WebhookSender:
    return WebhookSender(
        client,
        signature_secret=SIGNATURE_SECRET,
        api_key=API_KEY,
        application_id=APPLICATION_ID,
        tunnels=Tunnels({}),
    )


def _fields(call_id: str) -> dict[str, str]:
    return {
        "from": CALLER.removeprefix("+"),
        "to": CALLED.removeprefix("+"),
        "uuid": call_id,
        "conversation_uuid": f"CON-{call_id}",
        "direction": "inbound",
    }


class Connected(msgspec.Struct, frozen=True, tag_field="event", tag="websocket:connected"):
    content_type: str = msgspec.field(name="content-type")
    leg: str = msgspec.field(name="patter_leg")


class Notified(msgspec.Struct, frozen=True, tag_field="event", tag="websocket:notify"):
    payload: dict[str, str]


class Cleared(msgspec.Struct, frozen=True, tag_field="event", tag="websocket:cleared"):
    pass


class VonageStream(Stream):
    is_binary: ClassVar[bool] = True

    def __init__(self, call_id: str, target: WebsocketTarget) -> None:
        self.call_id = call_id
        self._target = target

    def opening(self) -> Sequence[msgspec.Struct]:
        return (Connected(self._target.content_type, self._target.headers.get("patter_leg", "")),)

    def media(self, frame: int, payload: str) -> bytes:
        return binascii.a2b_base64(payload)

    def mark(self, name: str) -> msgspec.Struct:
        return Notified({"name": name})

    def cleared(self) -> msgspec.Struct:
        """Vonage returns none of the marks."""
        return Cleared()

    def stop(self) -> None:
        """Vonage only closes the socket."""

    def read(self, message: bytes) -> tuple[Said, str]:
        read = _from_app.decode(message)
        if isinstance(read, Notify):
            return Said.MARK, read.payload["name"]
        return Said.CLEAR, ""
