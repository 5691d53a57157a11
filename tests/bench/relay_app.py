"""What the bare relay and the naive bridge share: the webhook, both sockets and the two pumps. They differ in words.

No signature, no token, no state, no marks, no events, no bounds: the least that can carry the same calls on the same
libraries. What a bridge adds beyond that is what it costs.
"""

from __future__ import annotations

import abc
import asyncio
import ssl
from collections.abc import Callable
from typing import ClassVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from patter_core.media import Message
from patter_core.net.tls import make_tls_context
from tests.bench.carrier_words import CarrierWords
from tests.bench.vendor import Vendor

__all__ = ["Peers", "Words", "relay_app"]


class Peers(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target has to do with."""

    vendor: Vendor
    engine_url: str
    """Of the engine's service."""
    api_url: str
    """Of the carrier."""


class Words(abc.ABC):
    """One call's messages, from each side's language into the other's."""

    opening: ClassVar[tuple[str, ...]]
    """What the engine is told first."""
    answers: ClassVar[int]
    """How many messages of the engine come before the conversation is open."""

    def __init__(self, carrier: CarrierWords) -> None:
        self.carrier = carrier

    @abc.abstractmethod
    def from_carrier(self, message: Message) -> str | None:
        """What to tell the engine."""

    @abc.abstractmethod
    def from_engine(self, message: bytes) -> tuple[Message | None, str | None]:
        """What to tell the carrier, and what the engine."""


def relay_app(peers: Peers, path: str, make_words: Callable[[], Words]) -> Starlette:
    """The app that relays every call to the engine's socket, which is at that path."""
    tls = make_tls_context() if peers.engine_url.startswith("https") else None
    url = f"ws{peers.engine_url.removeprefix('http')}{path}"

    async def voice(request: Request) -> Response:
        return await peers.vendor.relay(request, f"ws://{request.url.netloc}/media", peers.api_url)

    return Starlette(
        routes=[
            Route(f"/webhooks/{peers.vendor.name}/voice", voice, methods=["POST"]),
            WebSocketRoute("/media", _Media(url, tls, make_words)),
        ]
    )


class _Media:
    """A bare ASGI endpoint: Starlette would wrap a function."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, make_words: Callable[[], Words]) -> None:
        self._url = url
        self._tls = tls
        self._make_words = make_words

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        words = self._make_words()
        while not words.carrier.started:
            words.from_carrier(_content(await receive()))
        async with connect(self._url, ssl=self._tls, compression=None, max_size=2**24) as engine:
            for message in words.opening:
                await engine.send(message)
            for _ in range(words.answers):
                await engine.recv()
            agent = asyncio.create_task(_pump_agent(words, engine, send))
            try:
                await _pump_caller(words, receive, engine)
            finally:
                agent.cancel()


def _content(message: AsgiMessage) -> Message:
    """A message of the carrier."""
    text: str | None = message.get("text")
    data: Message = message["bytes"] if text is None else text
    return data


async def _pump_caller(words: Words, receive: Receive, engine: ClientConnection) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        text = words.from_carrier(_content(message))
        if text is not None:
            await engine.send(text)


async def _pump_agent(words: Words, engine: ClientConnection, send: Send) -> None:
    try:
        while True:
            to_carrier, to_engine = words.from_engine(await engine.recv(decode=False))
            if to_carrier is not None:
                for piece in words.carrier.pieces(to_carrier):
                    kind = "bytes" if isinstance(piece, bytes) else "text"
                    await send({"type": "websocket.send", kind: piece})
            if to_engine is not None:
                await engine.send(to_engine)
    except ConnectionClosed:
        pass
