"""What the bare relay and the naive bridge share: the webhook, both sockets and the two pumps. They differ in words.

No signature, no token, no state, no marks, no events, no bounds: the least that can carry the same calls on the same
libraries. What a bridge adds beyond that is what it costs.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

__all__ = ["Words", "relay_app"]

INITIATION = '{"type":"conversation_initiation_client_data"}'


class Words(abc.ABC):
    """One call's messages, from each side's language into the other's."""

    stream_sid = ""
    """Known from the carrier's `start` on."""

    @abc.abstractmethod
    def from_carrier(self, text: str) -> str | None:
        """What to tell the engine."""

    @abc.abstractmethod
    def from_engine(self, message: bytes) -> tuple[str | None, str | None]:
        """What to tell the carrier, and what the engine."""


def relay_app(engine_url: str, make_words: Callable[[], Words]) -> Starlette:
    """The app that relays every call to the conversation server at `engine_url`."""
    url = f"ws{engine_url.removeprefix('http')}/v1/convai/conversation?agent_id=agent_bench"
    return Starlette(
        routes=[
            Route("/webhooks/twilio/voice", _voice, methods=["POST"]),
            WebSocketRoute("/media", _Media(url, make_words)),
        ]
    )


async def _voice(request: Request) -> Response:
    await request.body()
    stream = f'<Stream url="ws://{request.url.netloc}/media" />'
    return Response(f"<Response><Connect>{stream}</Connect></Response>", media_type="text/xml")


class _Media:
    """A bare ASGI endpoint: Starlette would wrap a function."""

    def __init__(self, url: str, make_words: Callable[[], Words]) -> None:
        self._url = url
        self._make_words = make_words

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        words = self._make_words()
        while not words.stream_sid:
            words.from_carrier((await receive())["text"])
        async with connect(self._url, compression=None, max_size=2**24) as engine:
            await engine.send(INITIATION)
            await engine.recv()
            agent = asyncio.create_task(_pump_agent(words, engine, send))
            try:
                await _pump_caller(words, receive, engine)
            finally:
                agent.cancel()


async def _pump_caller(words: Words, receive: Receive, engine: ClientConnection) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        text = words.from_carrier(message["text"])
        if text is not None:
            await engine.send(text)


async def _pump_agent(words: Words, engine: ClientConnection, send: Send) -> None:
    try:
        while True:
            to_carrier, to_engine = words.from_engine(await engine.recv(decode=False))
            if to_carrier is not None:
                await send({"type": "websocket.send", "text": to_carrier})
            if to_engine is not None:
                await engine.send(to_engine)
    except ConnectionClosed:
        pass
