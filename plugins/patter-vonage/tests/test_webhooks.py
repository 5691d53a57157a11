from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from patter_core.errors import WebhookRefused
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeRouter, Report
from patter_core.webhook import Accept, Reject, WebhookRequest, WebhookResponse
from patter_vonage import Vonage
from patter_vonage.jwt import sign_hs256
from patter_vonage.signing import VonageClaims
from patter_vonage.testing.keys import new_key
from patter_vonage.testing.requests import read_ncco

pytestmark = pytest.mark.anyio

KEY, _ = new_key()
SECRET = "a signature secret of 32 or more"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
ROOT = "https://phone.example/webhooks/vonage"
MEDIA = "wss://phone.example/media/vonage/stream-token"
CALLBACKS = Callbacks(ROOT, "token")
ACCEPT = Accept(call_id="1", media_url=MEDIA, callbacks=CALLBACKS)
ANSWER: Mapping[str, str] = {"uuid": "leg-1", "from": "15005550006", "to": "15005550001", "conversation_uuid": "CON-1"}
HEADERS = {"patter_leg": "leg-1", "patter_number": "15005550001"}


def carrier() -> Vonage:
    return Vonage(APPLICATION, KEY, "key", SECRET, base_url="http://127.0.0.1:9")


def signed(webhook: str, fields: Mapping[str, object], *, token: str = "", jti: str = "") -> WebhookRequest:
    body = msgspec.json.encode(fields)
    claims = VonageClaims(
        iat=time.time(),
        jti=jti or str(uuid.uuid4()),
        payload_hash=hashlib.sha256(body).hexdigest(),
        api_key="key",
        application_id=APPLICATION,
    )
    url = f"{ROOT}/{webhook}" + (f"?call={token}" if token else "")
    return WebhookRequest(
        method="POST",
        candidate_urls=(url, url.replace("https", "http")),
        headers={"authorization": f"Bearer {sign_hs256(SECRET, claims)}"},
        body=body,
    )


async def handled(webhook: str, router: FakeRouter, request: WebhookRequest) -> WebhookResponse:
    return await carrier().webhooks()[webhook].handler(request, router)


async def answered(webhook: str, router: FakeRouter, request: WebhookRequest) -> list[Any]:
    response = await handled(webhook, router, request)
    assert (response.status, response.content_type) == (200, "application/json")
    read_ncco(response.body)  # the vendor would take it
    document: list[Any] = msgspec.json.decode(response.body)
    return document


def told(router: FakeRouter) -> list[tuple[str, object]]:
    return [(report.what, report.value) for report in router.reports]


# --- webhooks that ask ---------------------------------------------------------------------------------------------


async def test_an_incoming_call_is_reported_and_answered_with_a_media_socket() -> None:
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("voice", router, signed("voice", ANSWER))
    assert connect["endpoint"][0] == {
        "type": "websocket",
        "uri": MEDIA,
        "content-type": "audio/l16;rate=16000",
        "headers": HEADERS,
        "authorization": {"type": "vonage"},
    }
    assert connect["eventUrl"] == [f"{ROOT}/stream?call=token"]
    leg = Leg(carrier="vonage", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
    assert router.reports == [Report(what="arrived", leg=leg, verified_url=f"{ROOT}/voice", token="")]


async def test_an_outbound_call_that_is_answered_brings_back_its_token() -> None:
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("answered", router, signed("answered", ANSWER, token="t"))
    (report,) = router.reports
    assert (report.leg.direction, report.token) == (Direction.OUTBOUND, "t")
    assert connect["from"] == "15005550006"  # that is our number


@pytest.mark.parametrize(
    ("outcome", "actions"),
    [
        (Reject(), []),
        (Reject(reason="busy"), []),
        (Transfer("+15550009999", "One moment."), ["talk", "connect"]),
        (Transfer("sip:ada@example.org"), ["connect"]),
    ],
)
async def test_a_call_that_no_agent_takes(outcome: Reject | Transfer, actions: list[str]) -> None:
    document = await answered("voice", FakeRouter(outcome), signed("voice", ANSWER))
    assert [action["action"] for action in document] == actions


async def test_a_human_is_told_what_it_is_about_and_the_end_of_that_is_reported() -> None:
    router = FakeRouter(briefing="It is about an invoice.")
    talk, notify, wait = await answered("answered", router, signed("answered", ANSWER, token="t"))
    assert (talk["text"], wait["action"]) == ("It is about an invoice.", "wait")
    assert notify["eventUrl"] == [f"{ROOT}/briefed?call=t"]
    assert told(router) == [("progressed", Progress.ANSWERED)]
    for body in ({"payload": notify["payload"]}, notify["payload"]):
        router = FakeRouter()
        assert (await handled("briefed", router, signed("briefed", body, token="t"))).status == 204
        (report,) = router.reports
        assert (report.what, report.leg.call_id, report.token) == ("briefed", "leg-1", "t")
    router = FakeRouter()
    assert (await handled("briefed", router, signed("briefed", {}, token="t"))).status == 204
    assert router.reports == []


@pytest.mark.parametrize("status", ["disconnected", "failed", "unanswered", "timeout", "rejected", "busy"])
async def test_a_media_socket_that_is_over_is_followed_by_what_is_next(status: str) -> None:
    fields = {"uuid": "socket-1", "status": status, "headers": HEADERS}
    router = FakeRouter(at_stream_end=ACCEPT)
    (connect,) = await answered("stream", router, signed("stream", fields, token="t"))
    assert connect["endpoint"][0]["uri"] == MEDIA
    (report,) = router.reports
    assert (report.what, report.leg.call_id, report.token) == ("stream_ended", "leg-1", "t")
    assert await answered("stream", FakeRouter(at_stream_end=HangUp()), signed("stream", fields)) == []
    (talk,) = await answered("stream", FakeRouter(at_stream_end=HangUp("Sorry.")), signed("stream", fields))
    assert talk["text"] == "Sorry."
    (transfer,) = await answered("stream", FakeRouter(at_stream_end=Transfer("+15550009999")), signed("stream", fields))
    assert (transfer["from"], transfer["endpoint"][0]["number"]) == ("15005550001", "15550009999")


@pytest.mark.parametrize("status", ["started", "ringing", "answered", "completed", "transfer", "a later one"])
async def test_other_events_of_a_media_socket_ask_for_nothing(status: str) -> None:
    fields = {"uuid": "socket-1", "status": status, "headers": HEADERS, "price": "0.002"}
    router = FakeRouter()
    assert (await handled("stream", router, signed("stream", fields, token="t"))).status == 204
    assert router.reports == []


# --- webhooks that report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reports"),
    [
        ({"uuid": "leg-1", "status": "ringing"}, [("progressed", Progress.RINGING)]),
        ({"uuid": "leg-1", "status": "rejected", "detail": "declined"}, [("progressed", Progress.BUSY)]),
        ({"call_uuid": "leg-1", "status": "machine"}, [("answered_by", AnsweredBy.MACHINE)]),
        ({"uuid": "leg-1", "status": "transfer"}, []),
        ({"reason": "Invalid NCCO"}, []),
    ],
)
async def test_an_event_is_a_report(fields: dict[str, object], reports: list[tuple[str, object]]) -> None:
    router = FakeRouter()
    assert (await handled("event", router, signed("event", fields))).status == 204
    assert told(router) == reports
    assert {report.leg.call_id for report in router.reports} <= {"leg-1"}


async def test_an_event_with_the_same_token_is_handled_once_and_the_end_has_a_price() -> None:
    router, fields = FakeRouter(), {"uuid": "leg-1", "status": "completed", "price": "0.01"}
    for _ in range(2):
        await handled("event", router, signed("event", fields, jti="one"))
    assert [what for what, _ in told(router)] == ["progressed", "priced"]


async def test_an_event_whose_handler_failed_is_handled_when_it_comes_again() -> None:
    class Failing(FakeRouter):
        def call(self, leg: Leg, verified_url: str, token: str = "") -> Any:
            raise SystemExit

    fields = {"uuid": "leg-1", "status": "completed"}
    failing = Failing()
    with pytest.raises(SystemExit):
        await handled("event", failing, signed("event", fields, jti="one"))
    with pytest.raises(SystemExit):
        await handled("event", failing, signed("event", fields, jti="one"))


async def test_a_recording_is_reported_by_its_token() -> None:
    router = FakeRouter()
    fields = {"recording_uuid": "r", "recording_url": "https://api.nexmo.com/v1/files/r"}
    await handled("recording", router, signed("recording", fields, token="t"))
    (report,) = router.reports
    assert (report.what, report.token) == ("recording_changed", "t")


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("webhook", ["voice", "answered", "stream", "briefed", "event", "recording"])
async def test_nothing_is_reported_of_a_webhook_that_is_not_proved(webhook: str) -> None:
    genuine = signed(webhook, ANSWER)
    for changed in (
        msgspec.structs.replace(genuine, headers={}),
        msgspec.structs.replace(genuine, body=genuine.body.replace(b"leg-1", b"leg-2")),
        msgspec.structs.replace(genuine, method="GET", body=b""),
    ):
        router = FakeRouter()
        with pytest.raises(WebhookRefused):
            await handled(webhook, router, changed)
        assert router.reports == []


async def test_callers_headers_are_bounded() -> None:
    router = FakeRouter(ACCEPT)
    headers = {f"SipHeader_X-{number}": "v" for number in range(50)}
    await answered("voice", router, signed("voice", {**ANSWER, **headers, "SipHeader_X-n": 7, "Sip": "no"}))
    assert router.reports[0].leg.parameters == {f"X-{number}": "v" for number in range(20)}
