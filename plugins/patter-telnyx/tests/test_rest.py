"""Telnyx's API: paths, credentials, error codes, repeated commands, rate limits. The rest is the core's `RestApi`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.net.http import HttpAnswer
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_telnyx.commands import Dial, Hangup
from patter_telnyx.rest import TelnyxApi, is_gone, new_command_id

pytestmark = pytest.mark.anyio

CALL = "v3:a/b"
DIAL = Dial(command_id="1", connection_id="c", to="+15005550001", from_="+15005550006")
NOW = 1_750_000_000.0


class Client(TelnyxApi):
    """Does not wait, but keeps how long it would."""

    def __init__(self, base_url: str) -> None:
        self.slept: list[float] = []
        super().__init__(base_url, "secret", sleep=self.note, clock=lambda: NOW)

    async def note(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def hang_up(self) -> None:
        with anyio.fail_after(15):
            await self.command(CALL, Hangup(command_id="1"))


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as answering:
        yield answering


def refusal(status: int, code: object = "", reset: str = "") -> ApiAnswer:
    body = msgspec.json.encode({"errors": [{"code": code, "title": "t", "detail": "+15005550001"}]})
    return ApiAnswer(status=status, body=body, headers={"x-ratelimit-reset": reset} if reset else {})


# --- requests ------------------------------------------------------------------------------------------------------


async def test_a_request_is_sent_as_documented(api: FakeApi) -> None:
    await Client(api.url).hang_up()
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", "/v2/calls/v3%3Aa%2Fb/actions/hangup")
    assert (request.headers["authorization"], request.headers["content-type"]) == ("Bearer secret", "application/json")
    assert request.body == b'{"command_id":"1"}'


async def test_dialling_returns_the_calls_id(api: FakeApi) -> None:
    api.answers = [ApiAnswer(body=b'{"data":{"call_control_id":"v3:new","call_leg_id":"x","is_alive":false}}')]
    assert await Client(api.url).dial(DIAL) == "v3:new"
    assert msgspec.json.decode(api.requests[0].body) == {
        "command_id": "1",
        "connection_id": "c",
        "to": "+15005550001",
        "from": "+15005550006",
    }
    assert "+1500" not in repr(DIAL)


@pytest.mark.parametrize("trouble", [ApiAnswer(status=503), ApiAnswer(delay=30.0)], ids=["server fault", "no answer"])
async def test_a_command_is_repeated_soon_under_the_same_id(api: FakeApi, trouble: ApiAnswer) -> None:
    api.answers = [trouble, ApiAnswer()]
    client = Client(api.url)
    await client.hang_up()
    assert [request.body for request in api.requests] == [b'{"command_id":"1"}'] * 2
    assert len(client.slept) == 1
    assert 0.1 < client.slept[0] < 0.4


async def test_a_command_is_repeated_for_seconds_while_the_api_is_away(api: FakeApi) -> None:
    api.answers = [ApiAnswer(status=503)] * 3 + [ApiAnswer()]
    client = Client(api.url)
    await client.hang_up()
    assert len(api.requests) == 4
    assert 1.0 < sum(client.slept) < 3.0


# --- rate limits ---------------------------------------------------------------------------------------------------


async def test_a_short_rate_limit_is_waited_for(api: FakeApi) -> None:
    api.answers = [refusal(429, "10011", reset="3"), ApiAnswer()]
    client = Client(api.url)
    await client.hang_up()
    assert client.slept == [3.0]


@pytest.mark.parametrize("reset", ["6", str(NOW + 3_600), "inf"])
async def test_a_long_rate_limit_is_an_error_at_once(api: FakeApi, reset: str) -> None:
    api.answers = [refusal(429, "10011", reset=reset)]
    with pytest.raises(CarrierRequestFailed, match="higher limit"):
        await Client(api.url).hang_up()
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("2", 2.0), ("1750000003", 3.0), ("1749999999", 0.0), ("soon", 1.0), ("nan", 1.0), ("-1", 0.0), (None, 1.0)],
)
def test_the_reset_is_a_duration_or_a_time(reset: str | None, seconds: float) -> None:
    answer = HttpAnswer(status=429, headers={} if reset is None else {"x-ratelimit-reset": reset}, body=b"")
    assert Client("http://127.0.0.1:9").asked_for(answer) == seconds


def test_another_refusal_may_ask_for_a_pause_too() -> None:
    answer = HttpAnswer(status=503, headers={"retry-after": "3", "x-ratelimit-reset": "60"}, body=b"")
    assert Client("http://127.0.0.1:9").asked_for(answer) == 3.0


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, "10009", "TELNYX_API_KEY"),
        (403, "10010", "permissions"),
        (404, "10005", "no such call"),
        (400, "10015", "does not accept"),
        (422, "10016", "E.164"),
        (422, "90018", "over"),
        (422, "90034", "not been answered"),
        (422, "90102", "incoming"),
        (403, "90103", "slowly"),
        (422, "99999", "list of API errors"),
    ],
)
async def test_a_refusal_has_status_code_and_remedy_and_no_secret(
    api: FakeApi, status: int, code: str, remedy: str
) -> None:
    api.answers = [refusal(status, code)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await Client(api.url).hang_up()
    assert (failure.value.status, failure.value.code, len(api.requests)) == (status, code, 1)
    assert remedy in failure.value.remedy
    assert not any(private in str(failure.value) for private in ("secret", "+1500", "v3:"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[{"code":"x"}]}', b"\xff"])
async def test_a_refusal_without_a_code_has_its_status(api: FakeApi, body: bytes) -> None:
    api.answers = [ApiAnswer(status=400, body=body)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await Client(api.url).hang_up()
    assert (failure.value.status, failure.value.code) == (400, "")


@pytest.mark.parametrize(("status", "code"), [(422, 90018), (422, "90018"), (404, ""), (422, "90015")])
async def test_a_call_that_is_over_or_unknown_is_gone(api: FakeApi, status: int, code: object) -> None:
    api.answers = [refusal(status, code)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await Client(api.url).hang_up()
    assert is_gone(failure.value)


# --- ids -----------------------------------------------------------------------------------------------------------


def test_a_command_id_is_new_or_the_same_on_every_worker() -> None:
    assert new_command_id() != new_command_id()
    assert new_command_id("v3:a", "answer") == new_command_id("v3:a", "answer") != new_command_id("v3:b", "answer")
