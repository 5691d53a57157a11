"""Twilio's API: paths, credentials, error codes, and what is not repeatable. The rest is the core's `RestApi`."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_twilio.rest import TwilioApi
from patter_twilio.testing import ACCOUNT_SID

pytestmark = pytest.mark.anyio

CREATED = ApiAnswer(body=b'{"sid":"CA1","status":"queued"}')
RECORDED = ApiAnswer(body=b'{"sid":"RE1"}')
BUSY = ApiAnswer(status=429, body=b'{"code":20429}')
BROKEN = ApiAnswer(status=503)
ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as answering:
        yield answering


async def no_wait(seconds: float) -> None:
    pass


def client(api: FakeApi) -> TwilioApi:
    return TwilioApi(api.url, ACCOUNT_SID, (ACCOUNT_SID, "secret"), sleep=no_wait)


async def test_a_request_is_sent_as_documented(api: FakeApi) -> None:
    await client(api).end_call("CA1")
    (request,) = api.requests
    credentials = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:secret".encode()).decode()
    assert (request.method, request.path, request.body) == ("POST", f"{ROOT}/Calls/CA1.json", b"Status=completed")
    assert (request.headers["authorization"], request.headers["content-type"]) == (
        credentials,
        "application/x-www-form-urlencoded",
    )


async def test_an_id_cannot_lead_to_another_resource(api: FakeApi) -> None:
    await client(api).end_call("../Accounts?")
    assert api.requests[0].path == f"{ROOT}/Calls/..%2FAccounts%3F.json"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (404, b'{"code":20404,"message":"The requested resource was not found","status":404}'),
        (400, b'{"code":21220,"message":"Call is not in-progress","status":400}'),
        (400, b'{"type":"https://www.twilio.com/docs/errors/21220","title":"Invalid call state","status":400}'),
    ],
)
async def test_ending_a_call_or_recording_that_is_over_succeeds(api: FakeApi, status: int, body: bytes) -> None:
    api.answers = [ApiAnswer(status=status, body=body)]
    await client(api).end_call("CA1")
    await client(api).end_recording("CA1", "RE1")
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b'{"code":20003,"message":"Authenticate","more_info":"https://x","status":401}', "20003"),
        (429, b'{"type":"https://www.twilio.com/docs/errors/20429","title":"Too Many Requests"}', "20429"),
        (400, b'{"code":"21211","message":"+15005550001 is not valid"}', "21211"),
        (400, b'{"code":"99999"}', "99999"),
        (400, b'{"type":"about:blank","title":"Bad"}', ""),
        (500, b"<html>", ""),
        (503, b"", ""),
        (302, b"", ""),
    ],
)
async def test_a_refusal_has_status_code_and_remedy_and_no_secret(
    api: FakeApi, status: int, body: bytes, code: str
) -> None:
    api.answers = [ApiAnswer(status=status, body=body)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await client(api).end_call("CA1")
    assert (failure.value.status, failure.value.code) == (status, code)
    assert bool(failure.value.remedy) is bool(code)
    assert not any(private in str(failure.value) for private in ("secret", "+1500", "CA1"))


async def test_a_call_is_made_once(api: FakeApi) -> None:
    api.answers = [BUSY, CREATED]
    assert await client(api).create_call([("To", "+15005550006")]) == "CA1"
    api.answers = [BROKEN, CREATED]
    with pytest.raises(CarrierRequestFailed):
        await client(api).create_call([("To", "+15005550006")])
    assert len(api.requests) == 3


async def test_a_recording_is_started_once(api: FakeApi) -> None:
    api.answers = [RECORDED]
    assert await client(api).start_recording("CA1", []) == "RE1"
    api.answers = [BROKEN, RECORDED]
    with pytest.raises(CarrierRequestFailed):
        await client(api).start_recording("CA1", [])
    assert [request.path for request in api.requests] == [f"{ROOT}/Calls/CA1/Recordings.json"] * 2


async def test_changes_are_repeated_after_a_server_fault(api: FakeApi) -> None:
    api.answers = [BROKEN, BROKEN, ApiAnswer()]
    await client(api).update_call("CA1", [("Twiml", "<Response/>")], action="hold the call")
    assert len(api.requests) == 3
