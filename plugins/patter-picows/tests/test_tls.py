"""Sessions of TLS where aiofastnet uses Python's TLS: where Python was built with OpenSSL in it, as uv's are."""

from __future__ import annotations

import ssl

import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.net.tls import make_tls_context
from patter_core.net.transport import in_use
from patter_core.net.websocket import EngineSocket
from patter_picows import PicowsTransport

pytestmark = pytest.mark.anyio


async def talk(connection: ServerConnection) -> None:
    await connection.send("hello")
    await connection.wait_closed()


async def test_with_pythons_tls_a_second_connection_resumes_the_session(tls: ssl.SSLContext) -> None:
    vars(make_tls_context())["_aiofastnet_force_fallback_ssl"] = True  # as aiofastnet's own tests say it
    reused = []
    chosen = in_use.set(PicowsTransport())
    try:
        async with serve(talk, "127.0.0.1", 0, ssl=tls) as server:
            for _ in range(2):
                engine = await EngineSocket.open(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
                assert await engine.receive() == b"hello"
                reused.append(engine._connection.transport.get_extra_info("ssl_object").session_reused)
                await engine.aclose()
                while not engine._connection.lost:
                    engine._connection.changed.clear()
                    await engine._connection.changed.wait()
    finally:
        in_use.reset(chosen)
    assert reused == [False, True]
