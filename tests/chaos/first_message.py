"""A worker, in a process of its own, of a carrier that authenticates no upgrade: a message says whose a socket is.

`/figures` tells what sockets have cost so far. The agent greets each caller at once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.engine import ConversationSetup
from patter_core.server.app import make_app
from patter_core.server.host import CallHost
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, FakeSession
from patter_core.transport import Message
from patter_core.webhook import MediaIdentity, WebhookRequest

__all__ = ["GREETING", "Figures", "Hello"]

GREETING = bytes(range(160))


class Hello(FakeMessage, frozen=True, omit_defaults=True):
    """The message by which a socket says whose it is."""

    token: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What sockets have cost so far."""

    process: int
    opened: int
    """Sessions of the engine."""
    asked: int
    """How often it was decided who takes a call."""
    calls: int
    """In flight."""


class FirstMessage(FakeCarrier):
    """Takes a token of ours, or the name of a call, which proves nothing."""

    media_hello = True

    def verify_upgrade(self, request: WebhookRequest) -> None:
        pass

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        message = msgspec.json.decode(hello or "", type=Hello)
        if message.event != "start":
            return MediaIdentity()
        if message.token:
            return MediaIdentity(token=message.token)
        return MediaIdentity(leg=Leg(carrier=self.name, call_id=message.value))


class Greeter(FakeEngine):
    """Greets each caller at once."""

    def new_session(self, setup: ConversationSetup) -> FakeSession:
        session = super().new_session(setup)
        session.give(AudioChunk(GREETING, ULAW_8000))
        return session


async def main() -> None:
    agent, asked = Agent(engine=(engine := Greeter())), list[Leg]()

    async def route(leg: Leg) -> Agent:
        asked.append(leg)
        return agent

    host = CallHost(
        FirstMessage(),
        config=HostConfig(limits=Limits(drain=0.1)),
        route=route,
        find_agent=lambda _: agent,
    )

    async def figures(_: Request) -> Response:
        now = Figures(process=os.getpid(), opened=len(engine.sessions), asked=len(asked), calls=len(host.table))
        return Response(msgspec.json.encode(now))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with phone.lifespan_context(phone):
            yield

    phone = make_app(host)
    app = Starlette(routes=[Route("/figures", figures), Mount("", phone)], lifespan=lifespan)
    async with serve_app(app) as url:
        print(url, flush=True)  # noqa: T201 - for who started it
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main)
