from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib import resources

import anyio
import httpx
import msgspec
import pytest

from patter_browser import Browser
from patter_browser.app import BrowserPhone
from patter_browser.calls import Answer
from patter_core.errors import ConfigurationError, WorkerStopping
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    Record,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.server.serving import serve_app
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing import check_app
from patter_core.testing.fakes import FakePhone
from patter_core.testing.fakes.phone import FakeLiveCall
from patter_core.webhook import Accept, Reject

pytestmark = pytest.mark.anyio

STATIC = resources.files("patter_browser") / "static"
ACCEPT = Accept(
    call_id="call-1",
    media_url="ws://127.0.0.1/media/browser/stream",
    callbacks=Callbacks("http://127.0.0.1/webhooks/browser", "callback"),
)


@pytest.fixture
def phone() -> FakePhone:
    phone = FakePhone()
    phone.carrier_of["browser"] = Browser(sample_rate=16_000)
    return phone


@pytest.fixture
async def client(phone: FakePhone) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serve_app(BrowserPhone().asgi(phone)) as url,
        httpx.AsyncClient(base_url=url, timeout=10) as client,
    ):
        yield client


def record(sequence: int, event: CallEvent, call_id: str = "call-1") -> Record:
    return Record(call_id=call_id, sequence=sequence, time=sequence, elapsed_ms=sequence, event=event)


END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=1, metrics=CallMetrics())


async def test_it_keeps_the_contract(phone: FakePhone) -> None:
    await check_app(BrowserPhone, phone)


def test_a_phone_without_the_carrier_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs the carrier"):
        BrowserPhone().asgi(FakePhone())


async def test_each_file_of_the_page_is_served(client: httpx.AsyncClient) -> None:
    for file in STATIC.iterdir():
        if file.name != "index.html":
            answer = await client.get(f"/static/{file.name}")
            assert (answer.status_code, answer.content) == (200, file.read_bytes())


@pytest.mark.parametrize("name", ["index.html", "%2e%2e%2fapp.py", "app.py"])
async def test_no_other_file_is(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status_code == 404


def test_the_page_names_no_other_host_and_makes_no_html_of_texts() -> None:
    for file in STATIC.iterdir():
        text = re.sub(r"http://(www\.w3\.org/2000/svg|localhost)", "", file.read_text(encoding="utf-8"))
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|document\.write|\beval\b", text), file.name


async def test_the_page_is_told_the_rate(client: httpx.AsyncClient) -> None:
    assert (await client.get("/settings")).json() == {"rate": 16_000}


async def test_a_call_is_routed_as_one_of_this_carrier(phone: FakePhone, client: httpx.AsyncClient) -> None:
    phone.answer = ACCEPT
    answer = msgspec.json.decode((await client.post("/call", json={"to_number": "+15005550001"})).content, type=Answer)
    (leg,) = phone.routed
    assert (leg.carrier, leg.to_number) == ("browser", "+15005550001")
    assert answer == Answer(
        media_url=ACCEPT.media_url,
        stream_url="http://127.0.0.1/webhooks/browser/stream?call=callback",
        call="call-1",
        call_id=leg.call_id,
        rate=16_000,
    )


async def test_a_call_that_is_not_taken_says_why(phone: FakePhone, client: httpx.AsyncClient) -> None:
    phone.answer = Reject(reason="busy")
    assert (await client.post("/call", json={})).json() == {"reason": "busy"}


async def test_a_lost_call_goes_on_or_is_over(phone: FakePhone, client: httpx.AsyncClient) -> None:
    lost = {"call_id": "0123456789abcdef", "stream_url": "http://127.0.0.1/webhooks/browser/stream?call=callback"}
    assert (await client.post("/lost", json=lost)).json() == {"reason": "over"}
    phone.at_stream_end = ACCEPT
    assert (await client.post("/lost", json=lost)).json()["media_url"] == ACCEPT.media_url


@pytest.mark.parametrize("path", ["/call", "/lost"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"to_number": 1, "call_id": 1}', b"x" * 20_000])
async def test_a_body_of_another_form_is_refused(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    assert (await client.post(path, content=body)).status_code == 400


async def test_a_server_that_stops_says_so(
    phone: FakePhone, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stopping(_leg: Leg, _base: str) -> Accept | Reject | Transfer:
        raise WorkerStopping("It stops.")

    monkeypatch.setattr(phone, "route", stopping)
    assert (await client.post("/call", json={})).status_code == 503


async def test_the_transcript_begins_with_what_was_said_before_and_ends_with_the_call(
    phone: FakePhone, client: httpx.AsyncClient
) -> None:
    phone.live["call-1"] = FakeLiveCall("call-1", Leg(carrier="browser", call_id="1"))
    phone.put(record(1, TranscriptOutput("Hello.", turn="1")))
    async with client.stream("GET", "/events?call=call-1") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        with anyio.fail_after(10):
            assert await next_data(lines) == {"kind": "agent", "text": "Hello.", "key": "1"}
            phone.put(record(1, TranscriptInput("Not this call."), "call-2"))
            phone.put(record(2, TranscriptInput("Good day.")))
            phone.put(record(3, END))
            assert await next_data(lines) == {"kind": "caller", "text": "Good day."}
            assert await next_data(lines) == {"kind": "end", "text": "You have hung up."}
            assert [line async for line in lines if line] == []


async def test_a_call_that_is_over_before_it_is_asked_for_is_shown_with_its_end(
    phone: FakePhone, client: httpx.AsyncClient
) -> None:
    phone.put(record(1, CallAnnounced(leg=Leg(carrier="browser", call_id="1"), agent="agent")))
    phone.put(record(2, END))
    with anyio.fail_after(10):
        answer = await client.get("/events?call=call-1")
    assert [line for line in answer.text.splitlines() if line.startswith("data")] == [
        'data: {"kind":"end","text":"You have hung up."}'
    ]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_browser_that_asks_again_gets_what_it_missed(
    phone: FakePhone, client: httpx.AsyncClient, by: str
) -> None:
    phone.live["call-1"] = FakeLiveCall("call-1", Leg(carrier="browser", call_id="1"))
    phone.put(record(1, TranscriptInput("One.")))
    position = phone.position
    phone.put(record(2, TranscriptInput("Two.")))
    phone.put(record(3, END))
    headers = {"last-event-id": position} if by == "header" else {}
    after = {"after": position if by == "query" else "0"}
    answer = await client.get("/events", params={"call": "call-1", **after}, headers=headers)
    assert [line for line in answer.text.splitlines() if line.startswith("data")] == [
        'data: {"kind":"caller","text":"Two."}',
        'data: {"kind":"end","text":"You have hung up."}',
    ]


async def test_calls_of_other_carriers_are_not_shown(phone: FakePhone, client: httpx.AsyncClient) -> None:
    phone.live["call-1"] = FakeLiveCall("call-1", Leg(carrier="fake", call_id="1"))
    phone.put(record(1, CallAnnounced(leg=Leg(carrier="fake", call_id="2"), agent="agent"), "call-2"))
    for call_id in ("call-1", "call-2", "none", ""):
        assert (await client.get("/events", params={"call": call_id})).status_code == 204


async def next_data(lines: AsyncIterator[str]) -> object:
    async for line in lines:
        if line.startswith("data: "):
            return msgspec.json.decode(line.removeprefix("data: "))
    return None
