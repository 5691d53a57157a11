from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from patter_core.net.http import send_request
from patter_core.server.serving import bind, serve_app

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Response:
    return Response(await request.body(), 418, {"X-Method": request.method, "X-Got": request.headers["x-sent"]})


async def elsewhere(request: Request) -> Response:
    return RedirectResponse(request.url.replace(path="/echo"))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = Starlette(routes=[Route("/echo", echo, methods=["PATCH"]), Route("/elsewhere", elsewhere)])
    async with serve_app(app) as base_url:
        yield base_url


async def test_a_request_goes_out_as_told_and_any_answer_comes_back_whole(url: str) -> None:
    answer = await send_request("PATCH", f"{url}/echo", headers={"X-Sent": "yes"}, body=b"\x00body")
    assert (answer.status, answer.body) == (418, b"\x00body")
    assert (answer.headers["x-method"], answer.headers["x-got"]) == ("PATCH", "yes")
    assert "body" not in repr(answer)


async def test_a_redirect_is_an_answer(url: str) -> None:
    answer = await send_request("GET", f"{url}/elsewhere", headers={})
    assert answer.status == 307


async def test_a_peer_that_does_not_answer_is_told_from_one_that_is_not_there() -> None:
    with bind("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with anyio.fail_after(10), pytest.raises(TimeoutError):  # connected by the kernel, accepted by nobody
            await send_request("GET", url, headers={}, answer_timeout=0.05)
    with anyio.fail_after(10), pytest.raises(ConnectionRefusedError) as failure:
        await send_request("GET", url, headers={})
    assert url not in str(failure.value)


async def test_a_peer_that_hangs_up_may_have_heard() -> None:
    async def hang_up(stream: anyio.abc.SocketStream) -> None:
        await stream.receive()
        await stream.aclose()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", family=socket.AF_INET)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    with anyio.fail_after(10):
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, hang_up)
            with pytest.raises(ConnectionResetError):
                await send_request("GET", f"http://127.0.0.1:{port}/", headers={})
            tasks.cancel_scope.cancel()


async def test_an_address_that_is_none_is_not_reached() -> None:
    with pytest.raises(ConnectionRefusedError):
        await send_request("GET", "http://127.0.0.1:port", headers={})
