"""`phone.asgi(agent)` in another app, at any path, with and without its lifespan; and behind a real proxy."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.call.limits import Limits
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_core.testing.fakes import MemorySink
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.first_call_engines import PipelineServices
from tests.proxies import CADDY, NGINX, caddy, nginx

pytestmark = pytest.mark.anyio

SHORT_CALL = (WaitForAgent(heard=0.2), Pause(0.05))


class MountIn(Protocol):
    def __call__(self, phone: Router, path: str, *, with_lifespan: bool) -> ASGIApp: ...


def in_starlette(phone: Router, path: str, *, with_lifespan: bool) -> ASGIApp:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with phone.lifespan_context(phone):
            yield

    return Starlette(routes=[Mount(path, phone)], lifespan=lifespan if with_lifespan else None)


def in_fastapi(phone: Router, path: str, *, with_lifespan: bool) -> ASGIApp:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with phone.lifespan_context(phone):
            yield

    app = FastAPI(lifespan=lifespan) if with_lifespan else FastAPI()
    app.mount(path, phone)
    return app


@pytest.mark.parametrize("with_lifespan", [True, False], ids=["with lifespan", "without lifespan"])
@pytest.mark.parametrize("path", ["", "/phone", "/a/b-c"])
@pytest.mark.parametrize("mount", [in_starlette, in_fastapi], ids=["starlette", "fastapi"])
async def test_a_mounted_phone_takes_a_call(mount: MountIn, path: str, with_lifespan: bool) -> None:
    sink = MemorySink()
    with anyio.fail_after(20):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
            phone = Patter(carrier=twilio.carrier(), sinks=[sink])
            app = phone.asgi(phone.agent(engine=elevenlabs.engine()))
            async with serve_app(mount(app, path, with_lifespan=with_lifespan)) as url:
                recording = await twilio.call(f"{url}{path}/webhooks/twilio/voice", Caller(SHORT_CALL, ULAW_8000))
                await sink.wait_for("call_ended")
    assert recording.played
    stream = twilio.calls[0].streams[-1]
    assert f"{path}/media/twilio/" in stream.settings.url


async def test_a_mounted_phone_takes_a_call_for_an_agent_of_parts() -> None:
    services, sink = PipelineServices(ULAW_8000), MemorySink()
    with anyio.fail_after(20):
        async with TwilioEmulator() as twilio, services:
            phone = Patter(carrier=twilio.carrier(), sinks=[sink])
            app = in_fastapi(phone.asgi(services.agent(phone)), "/phone", with_lifespan=False)
            async with serve_app(app) as url:
                recording = await twilio.call(f"{url}/phone/webhooks/twilio/voice", Caller(SHORT_CALL, ULAW_8000))
                await sink.wait_for("call_ended")
    assert services.said[0].startswith(bytes(recording.played)[:1_600])


# --- behind a real proxy ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(CADDY is None, reason="caddy is not installed here: nox -s deploy")
async def test_behind_caddy_no_header_needs_to_be_believed(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with anyio.fail_after(30), listener, caddy(tmp_path, listener.getsockname()[1]) as port:
        tunnels = {"https://voice.example.org": f"http://127.0.0.1:{port}"}
        async with TwilioEmulator(tunnels=tunnels) as twilio, ElevenLabsEmulator() as elevenlabs:
            phone = Patter(carrier=twilio.carrier())
            async with serve_app(phone.asgi(phone.agent(engine=elevenlabs.engine())), listener):
                recording = await twilio.call(
                    "https://voice.example.org/webhooks/twilio/voice", Caller(SHORT_CALL, ULAW_8000)
                )
    assert recording.played
    assert twilio.calls[0].streams[-1].settings.url.startswith("wss://voice.example.org/media/twilio/")


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed here: apt-get install nginx-light")
async def test_behind_nginx_that_takes_a_prefix_away_the_forwarded_address_is_right(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with anyio.fail_after(20), listener, nginx(tmp_path, listener.getsockname()[1]) as (port, _):
        tunnels = {"https://voice.example.org": f"http://127.0.0.1:{port}"}
        async with TwilioEmulator(tunnels=tunnels) as twilio, ElevenLabsEmulator() as elevenlabs:
            phone = Patter(carrier=twilio.carrier(), trust_forwarded=True)
            async with serve_app(phone.asgi(phone.agent(engine=elevenlabs.engine())), listener):
                recording = await twilio.call(
                    "https://voice.example.org/phone/webhooks/twilio/voice", Caller(SHORT_CALL, ULAW_8000)
                )
    assert recording.played
    assert twilio.calls[0].streams[-1].settings.url.startswith("wss://voice.example.org/phone/media/twilio/")


async def test_what_is_forwarded_is_not_believed_unless_it_is_asked_for() -> None:
    with anyio.fail_after(20):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
            for trusted in (False, True):
                phone = Patter(carrier=twilio.carrier(), trust_forwarded=trusted, limits=Limits(drain=0.05))
                async with serve_app(phone.asgi(phone.agent(engine=elevenlabs.engine()))) as url:
                    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
                    fields = {
                        "AccountSid": twilio.account_sid,
                        "CallSid": f"CA{1:032x}",
                        "CallStatus": "ringing",
                        "Direction": "inbound",
                        "From": "+15550002222",
                        "To": "+15550001234",
                    }
                    exchange = await twilio.webhooks.send(f"{url}/webhooks/twilio/voice", fields, headers=forged)
                assert exchange.status == (403 if trusted else 200)  # signed was the other address
