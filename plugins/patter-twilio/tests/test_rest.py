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
from patter_twilio.rest import ATTEMPTS, LONGEST_WAIT, TwilioApi, _pause

pytestmark = pytest.mark.anyio


Scripted = tuple[int, bytes, dict[str, str]]


class Answering:
    """An API that gives the same answer to everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.base_url = ""
        self.status = 200
        self.body = b"{}"
        self.first: list[Scripted] = []
        """Answers that come before, one each."""
        self.asked: list[tuple[str, str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        self.asked.append(
            (request.method, request.url.path, request.headers.get("authorization", ""), await request.body())
        )
        status, body, headers = self.first.pop(0) if self.first else (self.status, self.body, {})
        return Response(body, status, headers, media_type="application/json")


@pytest.fixture
async def api() -> AsyncIterator[Answering]:
    answering = Answering()
    async with serve_app(answering.app) as base_url:
        answering.base_url = base_url
        yield answering


def client(api: Answering, waits: list[int] | None = None) -> TwilioApi:
    """One that does not wait, but notes that it would."""

    def pause(attempt: int) -> float:
        if waits is not None:
            waits.append(attempt)
        return 0.0

    return TwilioApi(api.base_url, "AC1", "AC1", "secret", pause=pause)


async def end_call(api: Answering) -> None:
    with anyio.fail_after(15):
        await client(api).end_call("CA1")


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


BUSY: Scripted = (429, b'{"code":20429}', {"Retry-After": "0"})
BROKEN: Scripted = (503, b"", {})
CREATED = b'{"sid":"CA1","status":"queued"}'


async def test_too_many_requests_back_off_and_are_tried_again_for_every_wish(api: Answering) -> None:
    api.body = CREATED
    for wish in ("create", "end"):
        waits: list[int] = []
        api.first = [BUSY, BUSY]
        with anyio.fail_after(15):
            if wish == "create":
                assert await client(api, waits).create_call([("To", "+15005550006")]) == "CA1"
            else:
                await client(api, waits).end_call("CA1")
        assert waits == [1, 2]
    assert len(api.asked) == 6


async def test_a_call_whose_making_failed_at_twilios_is_never_made_again(api: Answering) -> None:
    api.first, api.body = [BROKEN], CREATED
    with pytest.raises(CarrierRequestFailed) as failure, anyio.fail_after(15):
        await client(api).create_call([("To", "+15005550006")])
    assert (failure.value.status, len(api.asked)) == (503, 1)


async def test_what_may_be_done_twice_is_tried_again_after_a_fault_but_not_for_ever(api: Answering) -> None:
    api.first = [BROKEN, BROKEN]
    await end_call(api)
    assert len(api.asked) == 3
    api.first = [BROKEN] * ATTEMPTS
    with pytest.raises(CarrierRequestFailed):
        await end_call(api)
    assert len(api.asked) == 3 + ATTEMPTS


async def test_the_server_says_how_long_to_wait_within_a_bound(api: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    real = anyio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr("patter_twilio.rest.anyio.sleep", sleep)
    api.first = [
        (429, b"", {"Retry-After": "3"}),
        (429, b"", {"Retry-After": "3600"}),
        (429, b"", {"Retry-After": "x"}),
    ]
    await end_call(api)
    assert slept == [3.0, LONGEST_WAIT, 0.0]


def test_pauses_grow_and_differ() -> None:
    assert [0.75 * 0.25 * 2**n <= _pause(n + 1) <= 1.25 * 0.25 * 2**n for n in range(3)] == [True] * 3
    assert len({_pause(1) for _ in range(9)}) > 1


async def test_an_answer_that_cannot_be_read_is_told(api: Answering) -> None:
    api.body = b"<html>"
    with pytest.raises(CarrierRequestFailed, match="cannot be read"):
        await client(api).fetch_call("CA1")


async def test_credentials_are_not_sent_to_another_place_by_a_next_page(api: Answering) -> None:
    api.body = b'{"incoming_phone_numbers":[],"next_page_uri":"@evil.example/x"}'
    assert await client(api).numbers() == []
    assert len(api.asked) == 1


async def test_an_api_that_cannot_be_reached_is_told_without_a_status(api: Answering) -> None:
    with bind("127.0.0.1", 0) as listener:
        api.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    waits: list[int] = []
    with pytest.raises(CarrierRequestFailed, match="TWILIO_BASE_URL") as failure:
        await client(api, waits).create_call([])
    assert failure.value.status == 0
    assert waits == [1, 2, 3]  # it never left us: nobody can have been dialled


async def test_a_base_url_that_is_none_is_told_too(api: Answering) -> None:
    api.base_url = "http://127.0.0.1:port"
    with pytest.raises(CarrierRequestFailed):
        await end_call(api)


async def test_importing_the_plugin_loads_no_http_client() -> None:
    program = "import sys, patter_twilio.plugin; sys.exit('httpx' in sys.modules or 'ssl' in sys.modules)"
    done = await anyio.run_process([sys.executable, "-c", program], check=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
