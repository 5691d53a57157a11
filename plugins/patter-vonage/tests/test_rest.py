"""Requests to the API; what all REST clients have in common is the core's."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import jwt
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_vonage.config import Credentials
from patter_vonage.jwt import read_private_key
from patter_vonage.rest import AccountApi, CreateCall, CreatePhone, VonageApi
from patter_vonage.testing.keys import new_key

pytestmark = pytest.mark.anyio

PRIVATE_KEY, PUBLIC_KEY = new_key()
CALL = CreateCall(
    to=(CreatePhone(type="phone", number="15550007777"),),
    from_=CreatePhone(type="phone", number="15550001234"),
    answer_url=("https://phone.example/a",),
    event_url=("https://phone.example/e",),
)


async def no_sleep(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with fake_api() as api:
        yield api


def api(server: FakeApi) -> VonageApi:
    return VonageApi(server.url, "app", read_private_key(PRIVATE_KEY), sleep=no_sleep)


async def test_each_request_has_a_token_of_its_own(server: FakeApi) -> None:
    server.answers = [ApiAnswer(status=503), ApiAnswer(status=204, body=b"")]
    await api(server).end_call("a/b")
    assert [request.path for request in server.requests] == ["/v1/calls/a%2Fb"] * 2
    tokens = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
    claims = [jwt.decode(token, PUBLIC_KEY, algorithms=["RS256"]) for token in tokens]
    assert {one["application_id"] for one in claims} == {"app"}
    assert len({one["jti"] for one in claims}) == 2


@pytest.mark.parametrize("status", [500, 503])
async def test_a_call_that_may_have_been_made_is_not_made_again(server: FakeApi, status: int) -> None:
    server.answers = [ApiAnswer(status=status)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await api(server).create_call(CALL)
    assert (len(server.requests), failure.value.taken) == (1, True)


async def test_too_many_calls_at_once_are_made_later(server: FakeApi) -> None:
    server.answers = [ApiAnswer(status=429), ApiAnswer(status=201, body=b'{"uuid":"1"}')]
    assert await api(server).create_call(CALL) == "1"


@pytest.mark.parametrize(("status", "remedy"), [(401, "private_key"), (403, "trial account"), (404, "region")])
async def test_a_refusal_says_what_to_do(server: FakeApi, status: int, remedy: str) -> None:
    server.answers = [ApiAnswer(status=status, body=b'{"type":"UNAUTHORIZED","title":"+15550007777"}')]
    with pytest.raises(CarrierRequestFailed, match=remedy) as failure:
        await api(server).fetch_call("1")
    assert "1555" not in str(failure.value)


async def test_what_is_over_is_ended_and_silenced_with_success(server: FakeApi) -> None:
    server.answers = [ApiAnswer(status=404)]
    await api(server).end_call("1")
    await api(server).stop_playing("1")
    server.answers = [ApiAnswer(status=401)]
    for command in (api(server).end_call, api(server).stop_playing):
        with pytest.raises(CarrierRequestFailed):
            await command("1")


async def test_the_account_is_asked_with_key_and_secret(server: FakeApi) -> None:
    account = AccountApi(server.url, Credentials(api_key="key", api_secret="half"))
    server.answers = [ApiAnswer(body=b'{"error-code":"200","error-code-label":"success"}')]
    await account.post_form("/number/update", {"msisdn": "1&2"}, action="point the number")
    (request,) = server.requests
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'key:half').decode()}"
    assert request.body == b"msisdn=1%262"


@pytest.mark.parametrize(
    ("body", "said"),
    [(b'{"error-code":"420"}', "error 420"), (b"{}", "not as documented"), (b'{"error-code":"+1555"}', "not as doc")],
)
async def test_a_refusal_that_comes_as_a_success_is_a_failure(server: FakeApi, body: bytes, said: str) -> None:
    server.answers = [ApiAnswer(body=body)]
    account = AccountApi(server.url, Credentials(api_key="key", api_secret="half"))
    with pytest.raises(CarrierRequestFailed, match=said) as failure:
        await account.post_form("/number/update", {}, action="point the number")
    assert (failure.value.taken, "1555" in str(failure.value)) == (False, False)
