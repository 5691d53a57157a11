from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, fromstring

import pytest
from twilio.rest import Client

from patter_core.audio import ULAW_8000
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.telephony.control import Callbacks, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeRouter, Report
from patter_core.webhook import Accept, Reject, WebhookRequest
from patter_twilio import Twilio
from patter_twilio.signing import signature

pytestmark = pytest.mark.anyio

SID, TOKEN = "AC" + "0" * 32, "auth-token"
VOICE = "https://phone.example/webhooks/twilio/voice"
ACTION = "https://phone.example/webhooks/twilio/action?call=token"
MEDIA = "wss://phone.example/media/twilio/stream-token"
FIELDS = {
    "CallSid": "CA1",
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
    response = await carrier().webhooks()[webhook](request, router)
    assert (response.status, response.content_type) == (200, "text/xml; charset=utf-8")
    document = fromstring(response.body)
    assert document.tag == "Response"
    return list(document)


# --- configuration -------------------------------------------------------------------------------------------------


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "ACfromenv")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "fromenv")
    monkeypatch.setenv("TWILIO_BASE_URL", "http://127.0.0.1:9/")
    twilio = Twilio()
    assert (twilio.account_sid, twilio.auth_token, twilio.base_url) == ("ACfromenv", "fromenv", "http://127.0.0.1:9")
    assert Twilio("ACgiven").account_sid == "ACgiven"


def test_the_api_is_twilios_own_unless_told_otherwise() -> None:
    assert carrier().base_url == "https://api.twilio.com"


@pytest.mark.parametrize(
    ("account_sid", "auth_token", "told"),
    [
        ("", TOKEN, ["Twilio(account_sid=…)", "TWILIO_ACCOUNT_SID", "console"]),
        (SID, "", ["Twilio(auth_token=…)", "TWILIO_AUTH_TOKEN", "console"]),
        ("SK123", TOKEN, ["Twilio(account_sid=…)", "AC and 32 more characters", "'SK'"]),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_its_remedy(account_sid: str, auth_token: str, told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        Twilio(account_sid, auth_token)
    assert all(part in str(error.value) for part in told)


def test_requests_go_by_api_key_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_KEY", "SKenv")
    monkeypatch.setenv("TWILIO_API_SECRET", "secretenv")
    assert (carrier().api_key, carrier().api_secret) == ("SKenv", "secretenv")
    assert Twilio(SID, TOKEN, api_key="SKgiven", api_secret="given").api_secret == "given"
    assert "secretenv" not in repr(carrier())


@pytest.mark.parametrize(
    ("key", "secret", "told"),
    [
        ("SK1", "", ["Twilio(api_secret=…)", "TWILIO_API_SECRET"]),
        ("", "s", ["Twilio(api_key=…)", "TWILIO_API_KEY"]),
        ("AC1", "s", ["SK and 32 more characters"]),
    ],
)
def test_half_an_api_key_is_none(key: str, secret: str, told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        Twilio(SID, TOKEN, api_key=key, api_secret=secret)
    assert all(part in str(error.value) for part in told)


@pytest.mark.parametrize(
    ("region", "edge"), [("", ""), ("ie1", "dublin"), ("au1", ""), ("", "sydney"), ("us1", "ashburn")]
)
def test_region_and_edge_lead_where_the_vendors_library_goes(region: str, edge: str) -> None:
    url = Client("AC1", "token", region=region or None, edge=edge or None).get_hostname("https://api.twilio.com")
    assert Twilio(SID, TOKEN, region=region, edge=edge).base_url == url


def test_region_and_edge_come_from_the_environment_and_lead_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    assert carrier().base_url == "https://api.dublin.ie1.twilio.com"
    with pytest.raises(ConfigurationError, match="edge"):
        Twilio(SID, TOKEN, edge="evil.example/")


@pytest.mark.parametrize("token", ["next", TOKEN, "last"])
async def test_while_a_token_is_rotated_all_of_them_are_good(token: str) -> None:
    twilio = Twilio(SID, TOKEN, other_auth_tokens=("next", "last"))
    assert (await twilio.webhooks()["voice"](signed(token=token), FakeRouter(ACCEPT))).status == 200
    twilio.verify_upgrade(
        WebhookRequest(method="GET", candidate_urls=(MEDIA,), headers={"x-twilio-signature": signature(token, MEDIA)})
    )
    assert "next" not in repr(twilio)


def test_a_base_url_must_be_an_address() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        Twilio(SID, TOKEN, base_url="api.twilio.com")


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    twilio = carrier()
    with pytest.raises(dataclasses.FrozenInstanceError):
        twilio.auth_token = "other"  # type: ignore[misc] # that is the point
    assert TOKEN not in repr(twilio)
    assert twilio == carrier()
    assert hash(twilio) == hash(carrier())


def test_the_token_secret_is_derived_and_depends_on_the_auth_token_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert TOKEN.encode() not in secret
    assert secret == Twilio(SID, TOKEN, base_url="http://127.0.0.1:9").token_secret()
    assert secret != Twilio(SID, "other").token_secret()


def test_it_is_a_carrier_under_the_name_that_the_page_uses() -> None:
    assert isinstance(carrier(), Carrier)
    assert (Twilio.name, set(carrier().webhooks())) == (
        "twilio",
        {"voice", "action", "status", "machine", "recording"},
    )


# --- voice ---------------------------------------------------------------------------------------------------------


async def test_a_call_is_announced_and_answered_with_a_stream() -> None:
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("voice", signed(), router)
    assert (connect.tag, connect.attrib) == ("Connect", {"action": ACTION})
    (stream,) = connect
    assert (stream.tag, stream.attrib) == ("Stream", {"url": MEDIA})
    assert {item.get("name"): item.get("value") for item in stream} == {"from": "+15005550006", "to": "+15005550001"}
    leg = Leg(carrier="twilio", call_id="CA1", from_number="+15005550006", to_number="+15005550001")
    assert router.reports == [Report(what="arrived", leg=leg, verified_url=VOICE, token="")]


async def test_a_get_is_as_good_as_a_post() -> None:
    url = f"{VOICE}?{urlencode(FIELDS)}"
    request = WebhookRequest(method="GET", candidate_urls=(url,), headers={"x-twilio-signature": signature(TOKEN, url)})
    router = FakeRouter(ACCEPT)
    (connect,) = await answered("voice", request, router)
    assert connect.attrib == {"action": ACTION}
    assert router.reports[0].leg.from_number == "+15005550006"


@pytest.mark.parametrize("direction", ["outbound-api", "outbound-dial"])
async def test_a_call_that_we_made_is_known_as_such(direction: str) -> None:
    router = FakeRouter(ACCEPT)
    await answered("voice", signed(fields={**FIELDS, "Direction": direction}), router)
    assert router.reports[0].leg.direction is Direction.OUTBOUND


async def test_a_call_that_we_made_and_nobody_wants_any_more_is_hung_up() -> None:
    fields = {**FIELDS, "Direction": "outbound-api"}
    (hangup,) = await answered("voice", signed(fields=fields), FakeRouter(Reject()))
    assert hangup.tag == "Hangup"


async def test_a_call_may_be_given_to_another_number_in_the_voice_of_choice() -> None:
    twilio = Twilio(SID, TOKEN, voice="Polly.Bianca", language="it-IT")
    response = await twilio.webhooks()["voice"](signed(), FakeRouter(Transfer("sip:a@b.example", "Un attimo & via.")))
    say, dial = fromstring(response.body)
    assert (say.text, say.attrib) == ("Un attimo & via.", {"voice": "Polly.Bianca", "language": "it-IT"})
    assert dial.findtext("Sip") == "sip:a@b.example"


@pytest.mark.parametrize("reason", ["busy", "rejected"])
async def test_a_call_that_is_not_taken_is_rejected(reason: str) -> None:
    (reject,) = await answered("voice", signed(), FakeRouter(Reject(reason=reason)))
    assert (reject.tag, reject.attrib) == ("Reject", {"reason": reason})


@pytest.mark.parametrize("webhook", ["voice", "action", "status", "machine", "recording"])
@pytest.mark.parametrize(
    "request_", [signed(token="other"), signed(fields={"AccountSid": SID})], ids=["forged", "no call"]
)
async def test_what_is_not_proved_never_reaches_the_router(webhook: str, request_: WebhookRequest) -> None:
    router = FakeRouter(ACCEPT)
    with pytest.raises(WebhookRefused):
        await carrier().webhooks()[webhook](request_, router)
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


async def test_after_the_caller_hung_up_there_is_nothing_to_ask() -> None:
    router = FakeRouter(ACCEPT)
    (hangup,) = await answered("action", signed(ACTION, {**FIELDS, "CallStatus": "completed"}), router)
    assert hangup.tag == "Hangup"
    assert [(report.what, report.value) for report in router.reports] == [("progressed", Progress.COMPLETED)]


async def test_a_webhook_that_is_repeated_is_answered_as_before_and_the_router_is_not_asked_again() -> None:
    router, twilio = FakeRouter(ACCEPT), carrier()
    for url, webhook in ((VOICE, "voice"), (ACTION, "action")):
        request = signed(url)
        repeated = WebhookRequest(
            method="POST",
            candidate_urls=request.candidate_urls,
            headers={**request.headers, "i-twilio-idempotency-token": webhook},
            body=request.body,
        )
        first = await twilio.webhooks()[webhook](repeated, router)
        assert await twilio.webhooks()[webhook](repeated, router) is first
    assert [report.what for report in router.reports] == ["arrived", "stream_ended"]


# --- what Twilio tells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "fields", "told"),
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
            {"RecordingSid": "RE1", "RecordingStatus": "completed", "RecordingUrl": "u", "RecordingDuration": "7"},
            RecordingStatus(recording_id="RE1", status="completed", url="u", duration=7.0),
        ),
        (
            "recording",
            {"RecordingSid": "RE1", "RecordingStatus": "absent", "RecordingDuration": "-1"},
            RecordingStatus(recording_id="RE1", status="absent"),
        ),
    ],
)
async def test_what_twilio_tells_reaches_the_router(webhook: str, fields: dict[str, str], told: object) -> None:
    router = FakeRouter(ACCEPT)
    url = f"https://phone.example/webhooks/twilio/{webhook}?call=token"
    response = await carrier().webhooks()[webhook](signed(url, {**FIELDS, **fields}), router)
    assert response.status == 204
    assert [(report.leg.call_id, report.value, report.token) for report in router.reports] == [("CA1", told, "token")]


async def test_a_status_that_twilio_added_since_means_nothing() -> None:
    router = FakeRouter(ACCEPT)
    url = "https://phone.example/webhooks/twilio/status"
    assert (await carrier().webhooks()["status"](signed(url, {**FIELDS, "CallStatus": "new"}), router)).status == 204
    assert router.reports == []


# --- media ---------------------------------------------------------------------------------------------------------


def test_an_upgrade_needs_twilios_signature_of_the_media_url() -> None:
    def upgrade(presented: str) -> WebhookRequest:
        return WebhookRequest(method="GET", candidate_urls=(MEDIA,), headers={"x-twilio-signature": presented})

    carrier().verify_upgrade(upgrade(signature(TOKEN, f"{MEDIA}/")))
    with pytest.raises(WebhookRefused):
        carrier().verify_upgrade(upgrade(signature("other", MEDIA)))


def test_each_media_socket_gets_a_codec_of_its_own() -> None:
    leg = Leg(carrier="twilio", call_id="CA1")
    first, second = (carrier().media_codec(leg) for _ in range(2))
    assert first is not second
    assert first.output_format == ULAW_8000
