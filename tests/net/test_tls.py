"""TLS of engines' sockets: sessions are resumed, and buffers are small."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.errors import EngineError
from patter_core.net.websocket import EngineSocket
from tests.net.peers import both_loops
from tests.transports import of_websockets

pytestmark = pytest.mark.anyio

Certificate = Callable[[], tuple[ssl.SSLContext, str]]


async def talk(connection: ServerConnection) -> None:
    await connection.send("hello")
    await connection.wait_closed()


@of_websockets
@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_second_connection_to_a_host_resumes_the_session(
    version: ssl.TLSVersion, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate()
    context.maximum_version = version
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    reused: list[bool] = []
    async with serve(talk, "127.0.0.1", 0, ssl=context) as server:
        for _ in range(3):
            engine = await EngineSocket.open(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            assert await engine.receive() == b"hello"
            reused.append(engine._connection.transport.get_extra_info("ssl_object").session_reused)
            await engine.aclose()
            with anyio.fail_after(5):
                while not engine._connection.lost:
                    engine._connection.changed.clear()
                    await engine._connection.changed.wait()
    assert reused == [False, True, True]


async def test_a_session_is_of_one_host_and_another_name_is_verified(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate()
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    async with serve(talk, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        engine = await EngineSocket.open(f"wss://127.0.0.1:{port}/")
        await engine.receive()
        await engine.aclose()
        with pytest.raises(EngineError, match="cannot be reached"):
            await EngineSocket.open(f"wss://localhost:{port}/")  # of which the certificate says nothing


@of_websockets
async def test_a_connection_on_asyncios_loop_holds_no_large_buffer(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate()
    monkeypatch.setenv("SSL_CERT_FILE", trusted)

    async def send_much(connection: ServerConnection) -> None:
        await connection.send("x" * 1_000_000)
        await connection.wait_closed()

    async with serve(send_much, "127.0.0.1", 0, ssl=context) as server:
        engine = await EngineSocket.open(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert await engine.receive() == b"x" * 1_000_000
        protocol = engine._connection.transport._ssl_protocol  # type: ignore[attr-defined] # asyncio's
        assert len(protocol._ssl_buffer) <= 16 * 1024  # it would have grown to 256 KiB
        await engine.aclose()
