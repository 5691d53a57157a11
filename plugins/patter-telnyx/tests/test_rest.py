from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import anyio
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.errors import CarrierRequestFailed
from patter_core.server.serving import bind, serve_app
from patter_telnyx import rest
from patter_telnyx.commands import Dial, Hangup
from patter_telnyx.rest import ANSWER_TIMEOUTS, TelnyxApi, is_gone, new_command_id

pytestmark = pytest.mark.anyio

CALL = "v3:a/b"


class Asked(msgspec.Struct):
    path: str
    authorization: str
    body: bytes


class Answering:
    """An API that gives the answers that a test lays out, the last again and again, and keeps what it was asked."""

    def __init__(self) -> None:
        self.base_url = ""
        self.answers: list[Response] = [Response(b'{"data":{"result":"ok"}}')]
        self.silent = 0.0
        self.asked: list[Asked] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH"])])

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode()
        self.asked.append(Asked(path, request.headers.get("authorization", ""), await request.body()))
        silent, self.silent = self.silent, 0.0
        await anyio.sleep(silent)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def hang_up(self) -> None:
        with anyio.fail_after(15):
            await TelnyxApi(self.base_url, "secret").command(CALL, Hangup(command_id="1"))


def refusal(status: int, code: str = "", headers: dict[str, str] | None = None) -> Response:
    return Response(f'{{"errors":[{{"code":"{code}","title":"t","detail":"+15005550001"}}]}}', status, headers)


@pytest.fixture
async def api() -> AsyncIterator[Answering]:
    answering = Answering()
    async with serve_app(answering.app) as base_url:
        answering.base_url = base_url
        yield answering


async def test_a_command_is_sent_as_the_reference_tells(api: Answering) -> None:
    await api.hang_up()
    assert api.asked == [Asked("/v2/calls/v3%3Aa%2Fb/actions/hangup", "Bearer secret", b'{"command_id":"1"}')]


async def test_dialling_gives_the_calls_id(api: Answering) -> None:
    api.answers = [Response(b'{"data":{"call_control_id":"v3:new","call_leg_id":"x","is_alive":false}}')]
    dial = Dial(command_id="1", connection_id="c", to="+15005550001", from_="+15005550006")
    assert await TelnyxApi(api.base_url, "secret").dial(dial) == "v3:new"
    assert msgspec.json.decode(api.asked[0].body) == {
        "command_id": "1",
        "connection_id": "c",
        "to": "+15005550001",
        "from": "+15005550006",
    }
    assert "+1500" not in repr(dial)


async def test_an_answer_that_makes_no_sense_is_told(api: Answering) -> None:
    dial = Dial(command_id="1", connection_id="c", to="+15005550001", from_="+15005550006")
    with pytest.raises(CarrierRequestFailed, match="not as documented"):
        await TelnyxApi(api.base_url, "secret").dial(dial)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_is_retried_under_the_same_id(api: Answering, status: int) -> None:
    api.answers = [refusal(status), refusal(status), Response(b"{}")]
    await api.hang_up()
    assert {asked.body for asked in api.asked} == {b'{"command_id":"1"}'}
    assert len(api.asked) == 3


async def test_no_answer_in_half_a_second_is_retried_under_the_same_id(api: Answering) -> None:
    api.silent = 30.0
    started = time.monotonic()
    await api.hang_up()
    assert len(api.asked) == 2
    assert api.asked[0] == api.asked[1]
    assert ANSWER_TIMEOUTS[0] <= time.monotonic() - started < 5.0


async def test_retrying_has_an_end(api: Answering) -> None:
    api.answers = [refusal(503, "10007")]
    with pytest.raises(CarrierRequestFailed) as failure:
        await api.hang_up()
    assert (failure.value.status, failure.value.code, len(api.asked)) == (503, "10007", len(ANSWER_TIMEOUTS))


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "10009", "TELNYX_API_KEY"),
        (403, "10010", "permissions"),
        (404, "10005", "no such call"),
        (400, "10015", "does not take"),
        (422, "10016", "E.164"),
        (422, "90018", "over"),
        (422, "90034", "not been answered"),
        (422, "90102", "incoming"),
        (403, "90103", "slowly"),
        (422, "99999", "list of API errors"),
    ],
)
async def test_a_refusal_is_not_retried_and_has_code_and_remedy_and_no_secret(
    api: Answering, status: int, code: str, told: str
) -> None:
    api.answers = [refusal(status, code)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await api.hang_up()
    assert (failure.value.status, failure.value.code, len(api.asked)) == (status, code, 1)
    assert told in str(failure.value)
    assert not any(private in str(failure.value) for private in ("secret", "+1500", "v3:"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[{"code":"x"}]}', b"\xff"])
async def test_a_refusal_without_a_code_is_told_by_its_status(api: Answering, body: bytes) -> None:
    api.answers = [Response(body, 400)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await api.hang_up()
    assert (failure.value.status, failure.value.code) == (400, "")


async def test_a_code_may_be_a_number(api: Answering) -> None:
    api.answers = [Response(b'{"errors":[{"code":90018}]}', 422)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await api.hang_up()
    assert is_gone(failure.value)


@pytest.mark.parametrize("reset", ["0.2", str(time.time() + 1_000_000_000)], ids=["soon", "in decades"])
async def test_a_rate_limit_is_waited_for_if_it_is_short(api: Answering, reset: str) -> None:
    api.answers = [refusal(429, "10011", {"x-ratelimit-reset": reset}), Response(b"{}")]
    started = time.monotonic()
    if reset == "0.2":
        await api.hang_up()
        assert time.monotonic() - started >= 0.2
        assert len(api.asked) == 2
    else:
        with pytest.raises(CarrierRequestFailed, match="higher limit"):
            await api.hang_up()
        assert len(api.asked) == 1


async def test_nothing_is_waited_for_after_the_last_attempt(api: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    api.answers = [refusal(429, "10011", {"x-ratelimit-reset": "3"})]
    monkeypatch.setattr(rest, "anyio", SimpleNamespace(sleep=sleep))
    with pytest.raises(CarrierRequestFailed, match="higher limit"):
        await api.hang_up()
    assert len(api.asked) == len(ANSWER_TIMEOUTS)
    assert pauses == [3.0] * (len(ANSWER_TIMEOUTS) - 1)


@pytest.mark.parametrize(
    ("header", "pause"),
    [("2", 2.0), ("1750000003", 3.0), ("1749999999", 0.0), ("soon", 1.0), ("nan", 1.0), ("-1", 0.0)],
)
def test_the_reset_is_seconds_or_the_time_of_it(header: str, pause: float) -> None:
    assert rest._pause({"x-ratelimit-reset": header}, 1_750_000_000.0) == pause


async def test_an_api_that_cannot_be_reached_is_told_without_a_status() -> None:
    with bind("127.0.0.1", 0) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(CarrierRequestFailed, match="TELNYX_BASE_URL") as failure:
        await TelnyxApi(base_url, "secret").command(CALL, Hangup(command_id="1"))
    assert failure.value.status == 0


def test_a_command_id_is_new_or_the_same_on_every_worker() -> None:
    assert new_command_id() != new_command_id()
    assert new_command_id("v3:a", "answer") == new_command_id("v3:a", "answer") != new_command_id("v3:b", "answer")
