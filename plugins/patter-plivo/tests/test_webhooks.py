from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, fromstring

import anyio
import pytest

from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.telephony.control import Callbacks, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.api import ApiAnswer, fake_api
from patter_core.testing.fakes import FakeRouter, Report
from patter_core.webhook import Accept, Reject, WebhookRequest
from patter_plivo import Plivo
from patter_plivo.instructions import Dial, instruction_url
from patter_plivo.signing import signature, signed_base

pytestmark = pytest.mark.anyio

AUTH_ID, TOKEN, NONCE = "MA" + "0" * 18, "auth-token", "12345"
CALL, REQUEST = "97ceeb52-58b6-11e1-86da-77300b68f8bb", "9834029e-58b6-11e1-b8b7-a5bd0e4e126f"
ROOT = "https://phone.example/webhooks/plivo"
VOICE, ACTION, STATUS = f"{ROOT}/voice", f"{ROOT}/action?call=token", f"{ROOT}/status?call=token"
MEDIA = "wss://phone.example/media/plivo/stream-token"
FIELDS = {
    "CallUUID": CALL,
    "From": "15005550006",
    "To": "15005550001",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "Event": "StartApp",
    "CallerName": "+15005550006",
}
OUTBOUND = {
    **FIELDS,
    "Direction": "outbound",
    "CallStatus": "in-progress",
    "ALegUUID": CALL,
    "ALegRequestUUID": REQUEST,
}
RECORDING = {
    "api_id": "a",
    "call_uuid": CALL,
    "recording_id": "rec-1",
    "record_url": "https://media.example/1.wav",
    "recording_duration": "2",
    "recording_duration_ms": "2000",
}
ACCEPT = Accept(call_id="1", media_url=MEDIA, callbacks=Callbacks(ROOT, "token"))
LEG = Leg(carrier="plivo", call_id=CALL, from_number="+15005550006", to_number="+15005550001")


def carrier(base_url: str = "http://127.0.0.1:9") -> Plivo:
    return Plivo(AUTH_ID, TOKEN, base_url=base_url)


def signed(url: str = VOICE, fields: Mapping[str, str] = FIELDS, *, token: str = TOKEN) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        candidate_urls=(url.replace("https", "http"), url),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-plivo-signature-v3": signature(token, signed_base(url, fields.items()), NONCE),
            "x-plivo-signature-v3-nonce": NONCE,
        },
        body=urlencode(fields).encode(),
    )


async def answered(webhook: str, request: WebhookRequest, router: FakeRouter) -> list[Element]:
    response = await carrier().webhooks()[webhook].handler(request, router)
    assert (response.status, response.content_type) == (200, "text/xml; charset=utf-8")
    document = fromstring(response.body)
    assert document.tag == "Response"
    return list(document)


async def told(webhook: str, request: WebhookRequest, plivo: Plivo | None = None) -> list[Report]:
    router = FakeRouter()
    response = await (plivo or carrier()).webhooks()[webhook].handler(request, router)
    assert response.status == 204
    return router.reports


# --- webhooks that ask ---------------------------------------------------------------------------------------------


async def test_an_incoming_call_is_reported_and_answered_with_a_stream() -> None:
    router = FakeRouter(ACCEPT)
    stream, redirect = await answered("voice", signed(), router)
    assert (stream.tag, stream.text, redirect.text) == ("Stream", MEDIA, ACTION)
    assert router.reports == [Report(what="arrived", leg=LEG, verified_url=VOICE, token="")]


async def test_a_get_request_is_accepted_like_a_post() -> None:
    url = f"{VOICE}?{urlencode(FIELDS)}"
    headers = {
        "x-plivo-signature-ma-v3": signature(TOKEN, signed_base(url), NONCE),
        "x-plivo-signature-v3-nonce": NONCE,
    }
    router = FakeRouter(ACCEPT)
    await answered("voice", WebhookRequest(method="GET", candidate_urls=(url,), headers=headers), router)
    assert router.reports[0].leg.from_number == "+15005550006"


async def test_a_webhook_that_comes_again_with_its_nonce_is_reported_as_the_same_call() -> None:
    router = FakeRouter(ACCEPT)
    answers = [await answered("voice", signed(), router) for _ in range(2)]
    assert [element.text for element in answers[0]] == [element.text for element in answers[1]]
    assert router.reports[0] == router.reports[1]


async def test_a_call_that_we_made_has_the_id_of_its_request() -> None:
    router = FakeRouter(ACCEPT)
    await answered("voice", signed(f"{VOICE}?call=token", OUTBOUND), router)
    leg = router.reports[0].leg
    assert (leg.call_id, leg.direction) == (REQUEST, Direction.OUTBOUND)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("anonymous", ""),
        ("", ""),
        ("266696687", ""),
        ("12345", ""),
        ("+15005550006", "+15005550006"),
        ("ada@example.org", "sip:ada@example.org"),
        ("sip:ada@Office.example:5060;transport=tls", "sip:ada@office.example:5060"),
    ],
)
async def test_a_leg_holds_e164_or_a_sip_address_whatever_plivo_writes(written: str, held: str) -> None:
    router = FakeRouter(ACCEPT)
    await answered("voice", signed(fields={**FIELDS, "From": written, "To": written}), router)
    assert (router.reports[0].leg.from_number, router.reports[0].leg.to_number) == (held, held)


async def test_headers_of_a_sip_caller_and_the_users_query_are_parameters() -> None:
    router = FakeRouter(ACCEPT)
    fields = {**FIELDS, "X-PH-Account": "42", "X-PH-Long": "x" * 500}
    stream, _ = await answered("voice", signed(f"{VOICE}?shop=main&call=t", fields), router)
    assert router.reports[0].leg.parameters == {"shop": "main", "Account": "42"}
    assert stream.get("extraHeaders") == "shop=main,Account=42"


@pytest.mark.parametrize(
    ("outcome", "tags"), [(Reject(reason="busy"), ["Hangup"]), (Transfer("+15550001111", "Hi"), ["Speak", "Dial"])]
)
async def test_a_call_that_the_agent_does_not_take(outcome: Reject | Transfer, tags: list[str]) -> None:
    assert [element.tag for element in await answered("voice", signed(), FakeRouter(outcome))] == tags


@pytest.mark.parametrize(("outcome", "tags"), [(ACCEPT, ["Stream", "Redirect"]), (HangUp("Bye."), ["Speak", "Hangup"])])
async def test_the_end_of_a_stream_is_reported_and_answered(outcome: Accept | HangUp, tags: list[str]) -> None:
    router = FakeRouter(at_stream_end=outcome)
    fields = {**FIELDS, "CallStatus": "in-progress"}
    assert [element.tag for element in await answered("action", signed(ACTION, fields), router)] == tags
    assert [(report.what, report.token) for report in router.reports] == [("stream_ended", "token")]


async def test_a_call_that_is_over_gets_no_other_stream() -> None:
    router = FakeRouter(ACCEPT)
    (hangup,) = await answered("action", signed(ACTION, {**FIELDS, "CallStatus": "completed"}), router)
    assert hangup.tag == "Hangup"
    assert [(report.what, report.value) for report in router.reports] == [("progressed", Progress.COMPLETED)]


async def test_an_instruction_is_answered_as_its_url_says() -> None:
    leg = Leg(carrier="plivo", call_id=CALL, webhooks=ROOT)
    url = instruction_url(leg, Dial(to="+15550001111", say="Hi."), action="transfer")
    router = FakeRouter()
    speak, dial = await answered("do", signed(url), router)
    assert (speak.text, dial[0].text, router.reports) == ("Hi.", "+15550001111", [])
    other = signed(f"{ROOT}/do?i=x")
    forged = WebhookRequest(method="POST", candidate_urls=(url,), headers=other.headers, body=other.body)
    with pytest.raises(WebhookRefused, match="not Plivo's"):
        await answered("do", forged, router)


async def test_a_worker_that_stops_waits_until_the_instruction_of_its_last_call_was_requested() -> None:
    leg = Leg(carrier="plivo", call_id=CALL, webhooks=ROOT)
    async with fake_api() as api:
        plivo = carrier(api.url)
        with anyio.fail_after(1):
            await plivo.settle()  # there is none
        await plivo.say_and_hang_up(leg, "Please call back.")
        url = json.loads(api.requests[0].body)["aleg_url"]
        with anyio.move_on_after(0.2) as waited:
            await plivo.settle()
        assert waited.cancelled_caught
        await plivo.webhooks()["do"].handler(signed(url), FakeRouter())
        with anyio.fail_after(1):
            await plivo.settle()
        api.answers = [ApiAnswer(status=404)]
        with pytest.raises(CarrierRequestFailed):
            await plivo.say_and_hang_up(leg, "Please call back.")
        with anyio.fail_after(1):
            await plivo.settle()  # it was not taken


# --- webhooks that report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reports"),
    [
        ({"CallStatus": "ringing", "Event": "Ring"}, [("progressed", Progress.RINGING)]),
        ({"CallStatus": "busy", "HangupCauseCode": "3010"}, [("progressed", Progress.BUSY)]),
        (
            {"CallStatus": "completed", "TotalCost": "0.01667"},
            [("progressed", Progress.COMPLETED), ("priced", Cost(Decimal("0.01667"), "USD", estimated=False))],
        ),
        ({"CallStatus": "teleported", "TotalCost": "-1"}, []),
    ],
)
async def test_progress_and_price_are_reported(fields: dict[str, str], reports: list[object]) -> None:
    found = await told("status", signed(STATUS, {**OUTBOUND, **fields}))
    assert [(report.what, report.value) for report in found] == reports


@pytest.mark.parametrize(
    ("webhook", "fields", "who"),
    [
        ("machine", {"Machine": "true"}, [AnsweredBy.MACHINE]),
        ("machine-ready", {"Machine": "True"}, [AnsweredBy.MACHINE_READY]),
        ("machine", {"Machine": "false"}, []),
        ("machine-ready", {}, []),
    ],
)
async def test_only_a_machine_is_reported(webhook: str, fields: dict[str, str], who: list[AnsweredBy]) -> None:
    found = await told(webhook, signed(f"{ROOT}/{webhook}?call=token", {**OUTBOUND, **fields}))
    assert [report.value for report in found] == who


async def test_a_recording_is_reported_with_where_it_is() -> None:
    (report,) = await told("recording", signed(f"{ROOT}/recording?call=token", RECORDING))
    done = RecordingStatus(recording_id="rec-1", status="completed", url="https://media.example/1.wav", duration=2.0)
    assert (report.what, report.value, report.token) == ("recording_changed", done, "token")


@pytest.mark.parametrize(
    ("event", "answers", "reports"),
    [
        ("StopStream", [ApiAnswer(status=404)], [Progress.COMPLETED]),
        ("DroppedStream", [ApiAnswer(body=b'{"call_status":"in-progress"}')], []),
        ("StopStream", [ApiAnswer(status=400)], []),
        ("StartStream", [], []),
        ("DegradedStream", [], []),
    ],
)
async def test_when_a_stream_ends_plivo_is_asked_whether_the_call_is_over(
    event: str, answers: list[ApiAnswer], reports: list[Progress]
) -> None:
    fields = {"Event": event, "CallUUID": CALL, "StreamID": "s1", "From": "1", "To": "2", "Direction": "inbound"}
    async with fake_api() as api:
        api.answers = answers
        found = await told("stream", signed(f"{ROOT}/stream?call=token", fields), carrier(api.url))
    assert [report.value for report in found] == reports
    assert bool(api.requests) is bool(answers)


@pytest.mark.parametrize("webhook", list(carrier().webhooks()))
async def test_each_webhook_refuses_what_is_not_signed_or_not_about_a_call(webhook: str) -> None:
    handler = carrier().webhooks()[webhook].handler
    url = f"{ROOT}/{webhook}?call=token"
    for request in (signed(url, token="wrong"), signed(url, {"Event": "StartApp"}), signed(url, {})):
        router = FakeRouter(ACCEPT)
        with pytest.raises(WebhookRefused):
            await handler(request, router)
        assert router.reports == []
