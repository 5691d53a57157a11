from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import AsyncIterator

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.errors import CarrierRequestFailed
from patter_core.server.serving import bind, serve_app
from patter_twilio.rest import TwilioApi

pytestmark = pytest.mark.anyio


class Answering:
    """An API that gives the same answer to everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.base_url = ""
        self.status = 200
        self.body = b"{}"
        self.asked: list[tuple[str, str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.asked.append(
            (request.method, request.url.path, request.headers.get("authorization", ""), await request.body())
        )
        return Response(self.body, self.status, media_type="application/json")


@pytest.fixture
async def api() -> AsyncIterator[Answering]:
    answering = Answering()
    async with serve_app(answering.app) as base_url:
        answering.base_url = base_url
        yield answering


async def end_call(api: Answering) -> None:
    with anyio.fail_after(15):
        await TwilioApi(api.base_url, "AC1", "AC1", "secret").end_call("CA1")


async def test_a_call_is_ended_as_the_reference_tells(api: Answering) -> None:
    await end_call(api)
    credentials = "Basic " + base64.b64encode(b"AC1:secret").decode()
    assert api.asked == [("POST", "/2010-04-01/Accounts/AC1/Calls/CA1.json", credentials, b"Status=completed")]


async def test_ids_cannot_lead_to_another_resource(api: Answering) -> None:
    with anyio.fail_after(15):
        await TwilioApi(api.base_url, "AC1", "AC1", "secret").end_call("../Accounts?")
    assert api.asked[0][1].startswith("/2010-04-01/Accounts/AC1/Calls/")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (404, b'{"code":20404,"message":"The requested resource was not found","status":404}'),
        (400, b'{"code":21220,"message":"Call is not in-progress","status":400}'),
        (400, b'{"type":"https://www.twilio.com/docs/errors/21220","title":"Invalid call state","status":400}'),
    ],
)
async def test_a_call_that_is_gone_is_a_success(api: Answering, status: int, body: bytes) -> None:
    api.status, api.body = status, body
    await end_call(api)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b'{"code":20003,"message":"Authenticate","more_info":"https://x","status":401}', "20003"),
        (429, b'{"type":"https://www.twilio.com/docs/errors/20429","title":"Too Many Requests"}', "20429"),
        (400, b'{"code":"21211","message":"+15005550001 is not valid"}', "21211"),
        (400, b'{"type":"about:blank","title":"Bad"}', ""),
        (500, b"<html>", ""),
        (503, b"", ""),
        (302, b"", ""),
    ],
)
async def test_a_refusal_has_status_and_code_and_no_secret(api: Answering, status: int, body: bytes, code: str) -> None:
    api.status, api.body = status, body
    with pytest.raises(CarrierRequestFailed) as failure:
        await end_call(api)
    assert (failure.value.status, failure.value.code) == (status, code)
    assert str(status) in str(failure.value)
    assert not any(private in str(failure.value) for private in ("secret", "+1500", "CA1"))


async def test_an_api_that_cannot_be_reached_is_told_without_a_status(api: Answering) -> None:
    with bind("127.0.0.1", 0) as listener:
        api.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(CarrierRequestFailed, match="TWILIO_BASE_URL") as failure:
        await end_call(api)
    assert failure.value.status == 0


async def test_a_base_url_that_is_none_is_told_too(api: Answering) -> None:
    api.base_url = "http://127.0.0.1:port"
    with pytest.raises(CarrierRequestFailed):
        await end_call(api)


async def test_importing_the_plugin_loads_no_http_client() -> None:
    program = "import sys, patter_twilio.plugin; sys.exit('httpx' in sys.modules or 'ssl' in sys.modules)"
    done = await anyio.run_process([sys.executable, "-c", program], check=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
