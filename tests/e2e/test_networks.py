"""A call in networks with proxies: one that the environment names, and one in front of the server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.server.serving import serve_app
from patter_core.telephony.numbers import voice_path
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.carriers import MakeEmulator, each_carrier
from tests.net.peers import pass_on

pytestmark = pytest.mark.anyio

SHORT_CALL = (WaitForAgent(heard=0.2), Pause(0.05))


@each_carrier()
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "no proxy at all"])
async def test_a_call_on_this_machine_needs_no_proxy(
    proxy: str, emulator: MakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SOCKS_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with anyio.fail_after(20):
        async with emulator() as carrier, ElevenLabsEmulator() as elevenlabs:
            phone = Patter(carrier=carrier.carrier())
            async with serve_app(phone.asgi(phone.agent(engine=elevenlabs.engine()))) as url:
                recording = await carrier.call(
                    url + voice_path(carrier.carrier().name), Caller(SHORT_CALL, carrier.format)
                )
    assert recording.played


class PrefixRemover:
    """A reverse proxy that takes a path prefix away, changes `Host`, and calls a WebSocket's scheme `wss`."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, onward = await asyncio.open_connection("127.0.0.1", self._port)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        scheme = "wss" if "upgrade: websocket" in head.lower() else "https"
        host = re.search(r"^host: *(\S+)\r$", head, re.IGNORECASE | re.MULTILINE)
        assert host is not None
        head = head.replace(" /phone/", " /", 1)
        head = re.sub(r"(?im)^(host|x-forwarded-proto|connection: keep-alive).*\r\n", "", head)
        told = f"Host: inner\r\nX-Forwarded-Host: {host[1]}\r\nX-Forwarded-Proto: {scheme}\r\n"
        told += "X-Forwarded-Prefix: /phone\r\n" + ("" if scheme == "wss" else "Connection: close\r\n")
        onward.write(head.replace("\r\n", f"\r\n{told}", 1).encode())
        await asyncio.gather(pass_on(reader, onward), pass_on(to, writer))


@contextlib.asynccontextmanager
async def prefix_remover(port: int) -> AsyncIterator[str]:
    async with await asyncio.start_server(PrefixRemover(port).serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_behind_a_proxy_that_names_the_sockets_own_scheme_a_call_has_audio() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with anyio.fail_after(20), listener:
        async with prefix_remover(listener.getsockname()[1]) as proxy:
            tunnels = {"https://voice.example.org": proxy}
            async with TwilioEmulator(tunnels=tunnels) as twilio, ElevenLabsEmulator() as elevenlabs:
                phone = Patter(carrier=twilio.carrier(), trust_forwarded=True)
                async with serve_app(phone.asgi(phone.agent(engine=elevenlabs.engine())), listener):
                    recording = await twilio.call(
                        "https://voice.example.org/phone/webhooks/twilio/voice", Caller(SHORT_CALL, ULAW_8000)
                    )
    assert recording.played
