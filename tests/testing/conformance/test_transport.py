"""`check_transport`: the library that comes with Patter keeps the contract, and one that does not fails."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from patter_core.errors import ConformanceError
from patter_core.net.client_link import ClientLink
from patter_core.net.engine_opening import WebsocketsTransport
from patter_core.net.transport import Dial
from patter_core.testing import check_transport
from tests.net.conftest import certificate as certificate  # noqa: PLC0414 - a fixture
from tests.net.peers import both_loops

pytestmark = pytest.mark.anyio


@both_loops
async def test_the_library_that_comes_with_patter_keeps_the_contract() -> None:
    await check_transport(WebsocketsTransport, patience=4)


class Lossy(WebsocketsTransport):
    """Writes no message of three bytes."""

    async def connect(self, dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None) -> ClientLink:
        link = await super().connect(dial, connected, tls)
        write = link.write

        def lossy(message: bytes, binary: bool = False) -> None:
            if len(message) != 126:
                write(message, binary)

        link.write = lossy  # type: ignore[method-assign] # its mistake
        return link


async def test_a_transport_that_loses_a_message_does_not() -> None:
    with pytest.raises(ConformanceError, match="arrive"):
        async with asyncio.timeout(20):
            await check_transport(Lossy)
