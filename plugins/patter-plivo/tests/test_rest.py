"""Plivo's API: paths, credentials, and what is not repeatable. The rest is the core's `RestApi`."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_plivo.rest import CallRequest, PlivoApi

pytestmark = pytest.mark.anyio

FIRED = ApiAnswer(body=b'{"message":"call fired","request_uuid":"r1","api_id":"a"}')
RECORDED = ApiAnswer(body=b'{"recording_id":"rec1","url":"https://x.example"}')
BUSY, BROKEN, GONE = ApiAnswer(status=429), ApiAnswer(status=503), ApiAnswer(status=404, body=b'{"error":"+1555"}')
ROOT = "/v1/Account/MA1"
CALL = CallRequest(
    from_="+15550001234",
    to="+15550009876",
    answer_url="https://a.example",
    fallback_url="https://a.example",
    ring_url="https://a.example",
    hangup_url="https://a.example",
)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as answering:
        yield answering


async def no_wait(seconds: float) -> None:
    pass


def client(api: FakeApi) -> PlivoApi:
    return PlivoApi(api.url, "MA1", "secret", sleep=no_wait)


async def test_a_request_is_sent_as_documented(api: FakeApi) -> None:
    await client(api).transfer("c1", "https://a.example/x", action="hold the call")
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", f"{ROOT}/Call/c1/")
    assert json.loads(request.body) == {"legs": "aleg", "aleg_url": "https://a.example/x", "aleg_method": "POST"}
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"MA1:secret").decode()
    assert request.headers["content-type"] == "application/json"


async def test_an_id_cannot_lead_to_another_resource(api: FakeApi) -> None:
    await client(api).end_call("../Account?")
    assert api.requests[0].path == f"{ROOT}/Call/..%2FAccount%3F/"


async def test_ending_what_is_over_is_told_and_no_error(api: FakeApi) -> None:
    api.answers = [GONE]
    plivo = client(api)
    assert not await plivo.end_call("c1")
    assert not await plivo.cancel_call("r1")
    await plivo.end_recordings("c1")
    assert [(request.method, request.path) for request in api.requests] == [
        ("DELETE", f"{ROOT}/Call/c1/"),
        ("DELETE", f"{ROOT}/Request/r1/"),
        ("DELETE", f"{ROOT}/Call/c1/Record/"),
    ]
    assert await plivo.live_call("c1") is None
    assert await plivo.call_details("c1") is None


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "auth_token"), (402, "credit"), (403, "permissions"), (429, "300 in 5 s"), (400, "")]
)
async def test_a_refusal_has_its_status_a_remedy_and_no_secret(api: FakeApi, status: int, remedy: str) -> None:
    api.answers = [ApiAnswer(status=status, body=b'{"error":"+15550001234 is not valid"}')]
    with pytest.raises(CarrierRequestFailed) as failure:
        await client(api).end_call("c1")
    assert (failure.value.status, failure.value.code) == (status, "")
    assert remedy in failure.value.remedy
    assert not any(private in str(failure.value) for private in ("secret", "+1555"))


@pytest.mark.parametrize("body", [b'{"request_uuid":"r1"}', b'{"request_uuid":["r1"]}'])
async def test_the_id_of_a_request_may_come_in_a_list(api: FakeApi, body: bytes) -> None:
    api.answers = [ApiAnswer(body=body)]
    assert await client(api).create_call(CALL) == "r1"


async def test_a_call_is_made_once(api: FakeApi) -> None:
    api.answers = [BUSY, FIRED]
    assert await client(api).create_call(CALL) == "r1"
    api.answers = [BROKEN, FIRED]
    with pytest.raises(CarrierRequestFailed):
        await client(api).create_call(CALL)
    assert len(api.requests) == 3
    sent = json.loads(api.requests[0].body)
    assert (sent["from"], sent["to"]) == ("+15550001234", "+15550009876")
    assert "machine_detection" not in sent
    assert "555" not in repr(CALL)


async def test_a_recording_is_started_once_and_keys_are_sent_once(api: FakeApi) -> None:
    api.answers = [RECORDED]
    assert await client(api).start_recording("c1", "https://a.example/r") == "rec1"
    sent = json.loads(api.requests[0].body)
    assert (sent["record_channel_type"], sent["file_format"], sent["time_limit"]) == ("stereo", "wav", 86_400)
    api.answers = [BROKEN]
    for command in (client(api).start_recording("c1", "https://a.example/r"), client(api).send_digits("c1", "1")):
        with pytest.raises(CarrierRequestFailed):
            await command
    assert len(api.requests) == 3


async def test_changes_are_repeated_after_a_server_fault(api: FakeApi) -> None:
    api.answers = [BROKEN, BROKEN, ApiAnswer()]
    await client(api).transfer("c1", "https://a.example", action="hold the call")
    assert len(api.requests) == 3
