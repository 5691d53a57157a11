"""What REST clients of all carriers have in common: what is sent again, after which pause, and what a failure says."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec
import pytest
from anyio.abc import TaskStatus
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import CarrierRequestFailed
from patter_core.net.rest import RestApi, path_segment
from patter_core.server.serving import bind
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api

pytestmark = pytest.mark.anyio

BUSY = ApiAnswer(status=429)
BROKEN = ApiAnswer(status=503)
REFUSED = ApiAnswer(status=400, body=b'{"code":"4711"}')
DONE = ApiAnswer(body=b'{"id":"call-1"}')


class Made(msgspec.Struct):
    id: str


class AcmeApi(RestApi):
    vendor: ClassVar[str] = "Acme"
    base_url_setting: ClassVar[str] = "base_url or ACME_BASE_URL"
    remedies: ClassVar[Mapping[str, str]] = {"4711": "Ask Acme."}
    answer_timeouts: ClassVar[Sequence[float]] = (0.2, 5.0, 5.0)

    def __init__(self, url: str) -> None:
        self.slept: list[float] = []
        self.seconds: Iterator[float] = itertools.repeat(0.0)
        super().__init__(url, {"authorization": "Bearer secret"}, sleep=self.note, now=lambda: next(self.seconds))

    async def note(self, seconds: float) -> None:
        self.slept.append(seconds)

    def error_code(self, body: bytes) -> str:
        return msgspec.json.decode(body, type=dict[str, str]).get("code", "") if body.startswith(b"{") else ""


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with fake_api() as api:
        yield api


async def request(api: AcmeApi, *, repeatable: bool = True) -> bytes:
    with anyio.fail_after(15):
        return await api.request(
            "POST", "/calls", b'{"to":"+1"}', action="place the call", content_type="text/x", repeatable=repeatable
        )


# --- requests and answers ------------------------------------------------------------------------------------------


async def test_a_request_has_the_credentials_and_the_body(server: FakeApi) -> None:
    server.answers = [DONE]
    assert await request(AcmeApi(server.url)) == DONE.body
    (sent,) = server.requests
    assert (sent.method, sent.path, sent.body) == ("POST", "/calls", b'{"to":"+1"}')
    assert (sent.headers["authorization"], sent.headers["content-type"]) == ("Bearer secret", "text/x")


async def test_each_attempt_may_have_credentials_of_its_own(server: FakeApi) -> None:
    class Signing(AcmeApi):
        signed = 0

        def headers(self) -> Mapping[str, str]:
            self.signed += 1
            return {"authorization": f"Bearer {self.signed}"}

    server.answers = [BUSY, DONE]
    assert await request(Signing(server.url)) == DONE.body
    assert [sent.headers["authorization"] for sent in server.requests] == ["Bearer 1", "Bearer 2"]
    assert {sent.headers["content-type"] for sent in server.requests} == {"text/x"}


async def test_a_refusal_without_a_code_has_the_remedy_of_its_status(server: FakeApi) -> None:
    class Codeless(AcmeApi):
        remedies: ClassVar[Mapping[str, str]] = {"401": "Check the key."}

    server.answers = [ApiAnswer(status=401)]
    with pytest.raises(CarrierRequestFailed) as failure:
        await request(Codeless(server.url))
    assert failure.value.remedy == "Check the key."


async def test_fetch_returns_a_struct(server: FakeApi) -> None:
    server.answers = [DONE]
    assert await AcmeApi(server.url).fetch("/calls", Made, action="look", query={"a[b]": "1 2"}) == Made("call-1")
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/calls?a%5Bb%5D=1+2")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"id":7}', b"\xff", b'{"a":' * 3_000])
async def test_an_answer_that_is_not_as_documented_is_a_failure(server: FakeApi, body: bytes) -> None:
    server.answers = [ApiAnswer(body=body)]
    with pytest.raises(CarrierRequestFailed, match="Could not look: the answer of Acme is not as documented"):
        await AcmeApi(server.url).fetch("/calls", Made, action="look")


# --- repetition ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeatable", [True, False])
async def test_too_many_requests_are_always_sent_again(server: FakeApi, repeatable: bool) -> None:
    server.answers = [BUSY, BUSY, DONE]
    api = AcmeApi(server.url)
    assert await request(api, repeatable=repeatable) == DONE.body
    assert (len(server.requests), len(api.slept)) == (3, 2)


async def test_a_server_fault_is_sent_again_if_that_is_harmless(server: FakeApi) -> None:
    server.answers = [BROKEN, DONE]
    assert await request(AcmeApi(server.url)) == DONE.body
    server.answers = [BROKEN, DONE]
    with pytest.raises(CarrierRequestFailed) as failure:
        await request(AcmeApi(server.url), repeatable=False)
    assert (failure.value.status, len(server.requests)) == (503, 3)


async def test_a_missing_answer_is_sent_again_if_that_is_harmless(server: FakeApi) -> None:
    server.answers = [ApiAnswer(delay=5.0), DONE]
    assert await request(AcmeApi(server.url)) == DONE.body
    server.answers = [ApiAnswer(delay=5.0), DONE]
    with pytest.raises(
        CarrierRequestFailed, match=r"^Could not .*: \S+ at 127\.0\.0\.1 did not answer in time\. Check"
    ):
        await request(AcmeApi(server.url), repeatable=False)
    assert len(server.requests) == 3


async def test_a_request_that_never_left_is_always_sent_again() -> None:
    with bind("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    api = AcmeApi(url)
    with pytest.raises(CarrierRequestFailed, match="ACME_BASE_URL") as failure:
        await request(api, repeatable=False)
    assert (failure.value.status, len(api.slept)) == (0, 2)
    assert url not in str(failure.value)


async def test_a_refusal_is_never_sent_again(server: FakeApi) -> None:
    server.answers = [REFUSED]
    with pytest.raises(CarrierRequestFailed, match="Could not place the call: Acme refused") as failure:
        await request(AcmeApi(server.url))
    assert (failure.value.status, failure.value.code, failure.value.remedy) == (400, "4711", "Ask Acme.")
    assert len(server.requests) == 1


async def test_attempts_are_limited(server: FakeApi) -> None:
    server.answers = [BROKEN]
    with pytest.raises(CarrierRequestFailed):
        await request(AcmeApi(server.url))
    assert len(server.requests) == len(AcmeApi.answer_timeouts)


# --- whether it was taken ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "repeatable", "taken"),
    [
        ([ApiAnswer(status=400)], False, False),
        ([ApiAnswer(status=401)], True, False),
        ([ApiAnswer(status=404)], True, False),
        ([BUSY], False, False),
        ([BUSY, REFUSED], True, False),
        ([ApiAnswer(status=408)], False, True),  # a gateway's, whose server was too slow
        ([ApiAnswer(status=303)], False, True),
        ([BROKEN], False, True),
        ([BROKEN], True, True),
        ([BROKEN, REFUSED], True, True),  # the first one may have been taken, and the second was refused for that
        ([ApiAnswer(delay=5.0)], False, True),
        ([ApiAnswer(delay=5.0), REFUSED], True, True),
        ([ApiAnswer(delay=5.0), BUSY, BUSY], True, True),
    ],
)
async def test_a_failure_says_whether_any_attempt_may_have_been_taken(
    server: FakeApi, answers: list[ApiAnswer], repeatable: bool, taken: bool
) -> None:
    server.answers = list(answers)
    with pytest.raises(CarrierRequestFailed) as failure:
        await request(AcmeApi(server.url), repeatable=repeatable)
    assert failure.value.taken is taken


async def test_a_request_that_never_left_was_not_taken() -> None:
    with bind("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(CarrierRequestFailed) as failure:
        await request(AcmeApi(url))
    assert not failure.value.taken


async def test_an_attempt_that_never_left_does_not_undo_one_before() -> None:
    """The carrier goes away between two attempts, the first of which it had."""
    leave, gone = anyio.Event(), anyio.Event()

    async def serve(*, task_status: TaskStatus[FakeApi]) -> None:
        async with fake_api() as api:
            api.answers = [BROKEN]
            task_status.started(api)
            await leave.wait()
        gone.set()

    class Leaving(AcmeApi):
        async def note(self, seconds: float) -> None:
            leave.set()
            await gone.wait()

    async with anyio.create_task_group() as tasks:
        server: FakeApi = await tasks.start(serve)
        with pytest.raises(CarrierRequestFailed, match=r"127\.0\.0\.1 cannot be reached") as failure:
            await request(Leaving(server.url))
    assert (failure.value.taken, len(server.requests)) == (True, 1)


async def test_an_answer_that_cannot_be_read_may_be_of_a_request_that_was_taken() -> None:
    with pytest.raises(CarrierRequestFailed) as failure:
        AcmeApi("http://127.0.0.1:1").read(b"{}", Made, action="place the call")
    assert failure.value.taken


# --- pauses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked_for", "least", "most"), [("3", 3.0, 3.0), ("soon", 0.15, 0.35), ("-1", 0.15, 0.35)])
@pytest.mark.parametrize("status", [429, 503])
async def test_the_server_says_how_long_to_wait(
    server: FakeApi, status: int, asked_for: str, least: float, most: float
) -> None:
    server.answers = [ApiAnswer(status=status, headers={"Retry-After": asked_for}), DONE]
    api = AcmeApi(server.url)
    await request(api)
    assert least <= api.slept[0] <= most


@pytest.mark.parametrize("asked_for", ["10", "3600"])
async def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(server: FakeApi, asked_for: str) -> None:
    server.answers = [ApiAnswer(status=429, headers={"Retry-After": asked_for}), DONE]
    api = AcmeApi(server.url)
    with pytest.raises(CarrierRequestFailed):
        await request(api)
    assert (len(server.requests), api.slept) == (1, [])


async def test_pauses_grow_and_differ(server: FakeApi) -> None:
    server.answers = [BROKEN, BROKEN, DONE]
    pauses = set()
    for _ in range(3):
        api = AcmeApi(server.url)
        await request(api)
        assert all(0.75 * 0.25 * 2**n <= pause <= 1.25 * 0.25 * 2**n for n, pause in enumerate(api.slept))
        pauses |= set(api.slept)
        server.answers = [BROKEN, BROKEN, DONE]
    assert len(pauses) > 2


async def test_no_attempt_begins_when_the_time_for_all_is_over(server: FakeApi) -> None:
    server.answers = [BROKEN]
    api = AcmeApi(server.url)
    api.seconds = iter([0.0, 1.0, AcmeApi.budget])  # when it began, and after each attempt
    with pytest.raises(CarrierRequestFailed):
        await request(api)
    assert (len(server.requests), len(api.slept)) == (2, 1)


# --- what comes from outside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["+15005550001", "1234567", "٣", "see https://x", ""])
async def test_an_error_code_is_only_digits(server: FakeApi, code: str) -> None:
    server.answers = [ApiAnswer(status=400, body=msgspec.json.encode({"code": code}))]
    with pytest.raises(CarrierRequestFailed) as failure:
        await request(AcmeApi(server.url))
    assert (failure.value.code, failure.value.got, failure.value.remedy) == ("", "HTTP status 400", "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_id_cannot_lead_to_another_resource(text: str) -> None:
    assert not set(path_segment(text)) & set("/?#%") - {"%"}
    assert path_segment("../a?b#c:d") == "..%2Fa%3Fb%23c%3Ad"
