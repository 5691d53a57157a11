"""The server as a context: up inside, gone outside, whatever ends it."""

from __future__ import annotations

import asyncio
import socket

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from patter_core.errors import ConfigurationError
from patter_core.server.serving import bind, serve_app
from patter_core.testing.network import free_port

pytestmark = pytest.mark.anyio


async def hello(_request: object) -> Response:
    return Response(b"hello")


APP = Starlette(routes=[Route("/", hello)])


def refused(url: str) -> bool:
    port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_it_answers_inside_and_is_gone_outside() -> None:
    port = free_port()
    async with serve_app(APP, port=port) as url, httpx.AsyncClient() as client:
        assert url == f"http://127.0.0.1:{port}"
        assert (await client.get(url)).text == "hello"
    assert refused(url)


async def test_when_it_is_cancelled_nothing_stays_open() -> None:
    before = asyncio.all_tasks()
    listener = bind("127.0.0.1", free_port())
    with anyio.move_on_after(0.2) as scope:
        async with serve_app(APP, listener) as url, httpx.AsyncClient() as client:
            await client.get(url)
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert listener.fileno() == -1
    assert refused(url)
    assert asyncio.all_tasks() == before


async def test_what_is_raised_inside_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with serve_app(APP):
            raise KeyError("mine")


async def test_connections_send_at_once_what_they_are_given() -> None:
    """Else answers and frames wait for the acknowledgement of what was sent before."""
    delays: list[int] = []

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        delays.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bind("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(accepted, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            assert await reader.read() == b""
            writer.close()
    assert delays == [1]


def test_an_address_that_is_taken_is_told_with_the_ways_out() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=r"in use\. Choose another with --port, or stop what is using it\.$"
        ):
            bind("127.0.0.1", port, options="--port")
        with pytest.raises(ConfigurationError, match=r"in use\. Ask it\.$"):
            bind("127.0.0.1", port, if_in_use="Ask it")


@pytest.mark.parametrize(("host", "remedy"), [("[::1]", "Leave out the brackets: ::1."), ("[here]", "Choose another")])
def test_an_address_in_brackets_is_refused_with_the_one_to_give(host: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        bind(host, 0)
    assert refused.value.remedy.startswith(remedy)


def test_of_an_address_that_is_no_one_s_it_is_not_said_that_it_is_in_use() -> None:
    with pytest.raises(ConfigurationError, match=r"Choose another with host= and port=\.$"):
        bind("192.0.2.1", 0)
