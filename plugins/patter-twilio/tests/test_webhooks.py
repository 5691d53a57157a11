from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest

from patter_core.errors import WebhookRefused
from patter_core.telephony.control import Callbacks, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeRouter, Report
from patter_core.webhook import Accept, Reject, WebhookRequest
from patter_twilio import Twilio
from patter_twilio.signing import signature
from patter_twilio.testing import ACCOUNT_SID

pytestmark = pytest.mark.anyio

SID, TOKEN = ACCOUNT_SID, "auth-token"
CALL, RECORDING = "CA" + "1" * 32, "RE" + "2" * 32
VOICE = "https://phone.example/webhooks/twilio/voice"
ACTION = "https://phone.example/webhooks/twilio/action?call=token"
MEDIA = "wss://phone.example/media/twilio/stream-token"
FIELDS = {
    "CallSid": CALL,
    "AccountSid": SID,
    "From": "+15005550006",
    "To": "+15005550001",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "CallerName": "",
}


CALLBACKS = Callbacks("https://phone.example/webhooks/twilio", "token")
ACCEPT = Accept(call_id="1", media_url=MEDIA, callbacks=CALLBACKS)


def carrier() -> Twilio:
    return Twilio(SID, TOKEN)


def signed(url: str = VOICE, fields: Mapping[str, str] | None = None, *, token: str = TOKEN) -> WebhookRequest:
    fields = FIELDS if fields is None else fields
    return WebhookRequest(
        method="POST",
        candidate_urls=(url.replace("https", "http"), url),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature(token, url, fields.items()),
        },
        body=urlencode(fields).encode(),
    )


async def answered(webhook: str, request: WebhookRequest, router: FakeRouter) -> list[Element]:
    response = await carrier().webhooks()[webhook].handler(request, router)
    assert (response.status, response.content_type) == (200, "text/xml; charset=utf-8")
    document = fromstring(response.body)
    assert document.tag == "Response"
    return list(document)


# --- voice ---------------------------------------------------------------------------------------------------------


async def test_an_incoming_call_is_reported_and_answered_with_a_stream() -> None:
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("voice", signed(), router)
    assert (connect.tag, connect.attrib) == ("Connect", {"action": ACTION})
    (stream,) = connect
    assert (stream.tag, stream.attrib) == ("Stream", {"url": MEDIA})
    assert {item.get("name"): item.get("value") for item in stream} == {"from": "+15005550006", "to": "+15005550001"}
    leg = Leg(carrier="twilio", call_id=CALL, from_number="+15005550006", to_number="+15005550001")
    assert router.reports == [Report(what="arrived", leg=leg, verified_url=VOICE, token="")]


@pytest.mark.parametrize(
    ("configured", "base"), [(False, "https://phone.example"), (True, "https://phone.example:6666")]
)
async def test_a_port_that_is_not_signed_is_left_out_unless_it_is_configured(configured: bool, base: str) -> None:
    request = signed()  # of the address without a port
    moved = tuple(url.replace("phone.example", "phone.example:6666") for url in request.candidate_urls)
    router = FakeRouter(ACCEPT)
    request = msgspec.structs.replace(request, candidate_urls=moved, is_configured=configured)
    await answered("voice", request, router)
    assert router.reports[0].verified_url == f"{base}/webhooks/twilio/voice"


async def test_a_get_request_is_accepted_like_a_post() -> None:
    url = f"{VOICE}?{urlencode(FIELDS)}"
    request = WebhookRequest(method="GET", candidate_urls=(url,), headers={"x-twilio-signature": signature(TOKEN, url)})
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("voice", request, router)
    assert connect.attrib == {"action": ACTION}
    assert router.reports[0].leg.from_number == "+15005550006"


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("+266696687", ""),
        ("anonymous", ""),
        ("", ""),
        ("12345", ""),
        ("client:ada_lovelace", ""),
        ("whatsapp:+15005550006", "+15005550006"),
        ("sip:+15005550006@gateway.example;user=phone", "+15005550006"),
        ("sip:ada@Office.sip.example:5060;transport=tls", "sip:ada@office.sip.example:5060"),
    ],
)
async def test_a_leg_holds_e164_or_a_sip_address_whatever_twilio_writes(written: str, held: str) -> None:
    router = FakeRouter(ACCEPT)
    await answered("voice", signed(fields={**FIELDS, "From": written}), router)
    assert router.reports[0].leg.from_number == held
    await answered("voice", signed(fields={**FIELDS, "To": written}), router)
    assert router.reports[1].leg.to_number == held


async def test_a_caller_of_the_voice_sdk_is_told_by_name() -> None:
    router = FakeRouter(ACCEPT)
    url = f"{VOICE}?client=eve"
    await answered("voice", signed(url, fields={**FIELDS, "From": "client:ada"}), router)
    assert router.reports[0].leg.parameters == {"client": "ada"}


@pytest.mark.parametrize(
    ("failed", "what", "token"),
    [
        (ACTION, "stream_ended", "token"),
        (f"{VOICE}?call=token", "arrived", "token"),
        (VOICE, "arrived", ""),
        ("https://phone.example/action", "arrived", ""),
        ("http://[", "arrived", ""),
    ],
)
async def test_at_the_fallback_url_a_call_continues_from_the_url_that_failed(
    failed: str, what: str, token: str
) -> None:
    router = FakeRouter(ACCEPT)
    fields = {**FIELDS, "CallStatus": "in-progress", "ErrorCode": "11200", "ErrorUrl": failed}
    await answered("voice", signed(fields=fields), router)
    (report,) = router.reports
    assert (report.what, report.token, report.verified_url) == (what, token, VOICE)


OUT = {**FIELDS, "CallStatus": "in-progress", "Direction": "outbound-api"}


async def test_the_human_of_a_warm_transfer_is_told_the_brief_and_then_the_core_is() -> None:
    router = FakeRouter(ACCEPT, briefing="It is Ada, & a bill.")
    url = f"{VOICE}?call=token"
    say, redirect = await answered("voice", signed(url, OUT), router)
    assert (say.tag, say.text) == ("Say", "It is Ada, & a bill.")
    assert (redirect.tag, redirect.text) == ("Redirect", "https://phone.example/webhooks/twilio/briefed?call=token")
    pause, hangup = await answered("briefed", signed(redirect.text or "", OUT), router)
    assert (pause.tag, hangup.tag) == ("Pause", "Hangup")
    assert [(report.what, report.value, report.token) for report in router.reports] == [
        ("progressed", Progress.ANSWERED, "token"),
        ("briefed", None, "token"),
    ]


async def test_a_brief_whose_end_reached_no_worker_is_not_told_again() -> None:
    router = FakeRouter(ACCEPT, briefing="It is Ada.")
    failed = "https://phone.example/webhooks/twilio/briefed?call=token"
    fields = {**OUT, "ErrorCode": "11200", "ErrorUrl": failed}
    pause, _ = await answered("voice", signed(f"{VOICE}?call=token", fields), router)
    assert pause.tag == "Pause"
    assert [report.what for report in router.reports] == ["briefed"]


@pytest.mark.parametrize("direction", ["outbound-api", "outbound-dial"])
async def test_a_call_that_we_made_is_outbound(direction: str) -> None:
    router = FakeRouter(ACCEPT)
    await answered("voice", signed(fields={**FIELDS, "Direction": direction}), router)
    assert router.reports[0].leg.direction is Direction.OUTBOUND


async def test_a_rejected_call_that_we_made_is_hung_up() -> None:
    fields = {**FIELDS, "Direction": "outbound-api"}
    (hangup,) = await answered("voice", signed(fields=fields), FakeRouter(Reject()))
    assert hangup.tag == "Hangup"


async def test_a_call_is_transferred_with_a_text_in_the_configured_voice() -> None:
    twilio = Twilio(SID, TOKEN, voice="Polly.Bianca", language="it-IT")
    response = await twilio.webhooks()["voice"].handler(
        signed(), FakeRouter(Transfer("sip:a@b.example", "Un attimo & via."))
    )
    say, dial = fromstring(response.body)
    assert (say.text, say.attrib) == ("Un attimo & via.", {"voice": "Polly.Bianca", "language": "it-IT"})
    assert dial.findtext("Sip") == "sip:a@b.example"


@pytest.mark.parametrize("token", ["next", TOKEN, "last"])
async def test_while_a_token_is_rotated_each_is_accepted(token: str) -> None:
    twilio = Twilio(SID, TOKEN, other_auth_tokens=("next", "last"))
    assert (await twilio.webhooks()["voice"].handler(signed(token=token), FakeRouter(ACCEPT))).status == 200


@pytest.mark.parametrize("reason", ["busy", "rejected"])
async def test_a_call_that_is_not_accepted_is_rejected(reason: str) -> None:
    (reject,) = await answered("voice", signed(), FakeRouter(Reject(reason=reason)))
    assert (reject.tag, reject.attrib) == ("Reject", {"reason": reason})


@pytest.mark.parametrize("webhook", ["voice", "action", "status", "machine", "recording"])
@pytest.mark.parametrize(
    "request_",
    [
        signed(token="other"),
        signed(fields={"AccountSid": SID}),
        signed(fields={**FIELDS, "CallSid": "CA1"}),
        signed(fields={**FIELDS, "AccountSid": "AC" + "9" * 32}),
    ],
    ids=["forged", "no call", "no id", "another account"],
)
async def test_an_unverified_webhook_never_reaches_the_router(webhook: str, request_: WebhookRequest) -> None:
    router = FakeRouter(ACCEPT)
    with pytest.raises(WebhookRefused):
        await carrier().webhooks()[webhook].handler(request_, router)
    assert router.reports == []


# --- after the stream ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "tags"),
    [
        (HangUp(), ["Hangup"]),
        (HangUp("Sorry."), ["Say", "Hangup"]),
        (Transfer("+15005550009"), ["Dial"]),
        (Transfer("+15005550009", "One moment."), ["Say", "Dial"]),
        (ACCEPT, ["Connect"]),
    ],
)
async def test_after_the_stream_the_router_decides(outcome: Accept | HangUp | Transfer, tags: list[str]) -> None:
    router = FakeRouter(at_stream_end=outcome)
    verbs = await answered("action", signed(ACTION, {**FIELDS, "CallStatus": "in-progress"}), router)
    assert [verb.tag for verb in verbs] == tags
    assert [(report.what, report.token) for report in router.reports] == [("stream_ended", "token")]


async def test_after_the_caller_hung_up_the_router_is_not_asked() -> None:
    router = FakeRouter(ACCEPT)
    (hangup,) = await answered("action", signed(ACTION, {**FIELDS, "CallStatus": "completed"}), router)
    assert hangup.tag == "Hangup"
    assert [(report.what, report.value) for report in router.reports] == [("progressed", Progress.COMPLETED)]


# --- reports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "fields", "value"),
    [
        ("status", {"CallStatus": "ringing"}, Progress.RINGING),
        ("status", {"CallStatus": "in-progress"}, Progress.ANSWERED),
        ("status", {"CallStatus": "no-answer"}, Progress.NO_ANSWER),
        ("machine", {"AnsweredBy": "human"}, AnsweredBy.HUMAN),
        ("machine", {"AnsweredBy": "machine_start"}, AnsweredBy.MACHINE),
        ("machine", {"AnsweredBy": "machine_end_beep"}, AnsweredBy.MACHINE_READY),
        ("machine", {"AnsweredBy": "fax"}, AnsweredBy.FAX),
        ("machine", {"AnsweredBy": "martian"}, AnsweredBy.UNKNOWN),
        (
            "recording",
            {"RecordingSid": RECORDING, "RecordingStatus": "completed", "RecordingUrl": "u", "RecordingDuration": "7"},
            RecordingStatus(recording_id=RECORDING, status="completed", url="u", duration=7.0),
        ),
        (
            "recording",
            {"RecordingSid": RECORDING, "RecordingStatus": "absent", "RecordingDuration": "-1"},
            RecordingStatus(recording_id=RECORDING, status="absent"),
        ),
    ],
)
async def test_a_report_reaches_the_router(webhook: str, fields: dict[str, str], value: object) -> None:
    router = FakeRouter(ACCEPT)
    url = f"https://phone.example/webhooks/twilio/{webhook}?call=token"
    response = await carrier().webhooks()[webhook].handler(signed(url, {**FIELDS, **fields}), router)
    assert response.status == 204
    assert [(report.leg.call_id, report.value, report.token) for report in router.reports] == [(CALL, value, "token")]


async def test_an_unknown_status_is_ignored() -> None:
    router = FakeRouter(ACCEPT)
    url = "https://phone.example/webhooks/twilio/status"
    assert (
        await carrier().webhooks()["status"].handler(signed(url, {**FIELDS, "CallStatus": "new"}), router)
    ).status == 204
    assert router.reports == []
