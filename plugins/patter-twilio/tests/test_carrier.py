from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, fromstring

import pytest

from patter_core.audio import ULAW_8000
from patter_core.carrier import Admission, Carrier, Rejection, WebhookRequest
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.leg import Direction, Leg
from patter_twilio import Twilio
from patter_twilio.signing import signature

pytestmark = pytest.mark.anyio

SID, TOKEN = "AC" + "0" * 32, "auth-token"
VOICE = "https://phone.example/webhooks/twilio/voice"
ACTION = "https://phone.example/webhooks/twilio/action"
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


class Desk:
    """A desk that gives one answer, and keeps what it was told."""

    def __init__(self, answer: Admission | Rejection | None = None) -> None:
        self.answer = answer or Admission(call_id="1", media_url=MEDIA)
        self.announced: list[tuple[Leg, str]] = []
        self.over: list[tuple[Leg, str]] = []

    async def announce(self, leg: Leg, verified_url: str) -> Admission | Rejection:
        self.announced.append((leg, verified_url))
        return self.answer

    def webhook_url(self, carrier: str, webhook: str, verified_url: str) -> str:
        return f"{verified_url.partition('/webhooks/')[0]}/webhooks/{carrier}/{webhook}"

    async def call_over(self, leg: Leg, reason: str) -> None:
        self.over.append((leg, reason))


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


async def answered(webhook: str, request: WebhookRequest, desk: Desk) -> list[Element]:
    response = await carrier().webhooks()[webhook](request, desk)
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
    assert (Twilio.name, set(carrier().webhooks())) == ("twilio", {"voice", "action"})


# --- voice ---------------------------------------------------------------------------------------------------------


async def test_a_call_is_announced_and_answered_with_a_stream() -> None:
    desk = Desk()
    (connect,) = await answered("voice", signed(), desk)
    assert (connect.tag, connect.attrib) == ("Connect", {"action": ACTION})
    (stream,) = connect
    assert (stream.tag, stream.attrib) == ("Stream", {"url": MEDIA})
    assert {item.get("name"): item.get("value") for item in stream} == {"from": "+15005550006", "to": "+15005550001"}
    leg = Leg(carrier="twilio", call_id="CA1", from_number="+15005550006", to_number="+15005550001")
    assert desk.announced == [(leg, VOICE)]


async def test_a_get_is_as_good_as_a_post() -> None:
    url = f"{VOICE}?{urlencode(FIELDS)}"
    request = WebhookRequest(method="GET", candidate_urls=(url,), headers={"x-twilio-signature": signature(TOKEN, url)})
    desk = Desk()
    (connect,) = await answered("voice", request, desk)
    assert connect.attrib == {"action": ACTION}
    assert desk.announced[0][0].from_number == "+15005550006"


@pytest.mark.parametrize("direction", ["outbound-api", "outbound-dial"])
async def test_a_call_that_we_made_is_known_as_such(direction: str) -> None:
    desk = Desk()
    await answered("voice", signed(fields={**FIELDS, "Direction": direction}), desk)
    assert desk.announced[0][0].direction is Direction.OUTBOUND


@pytest.mark.parametrize("reason", ["busy", "rejected"])
async def test_a_call_that_is_not_taken_is_rejected(reason: str) -> None:
    (reject,) = await answered("voice", signed(), Desk(Rejection(reason=reason)))
    assert (reject.tag, reject.attrib) == ("Reject", {"reason": reason})


@pytest.mark.parametrize("webhook", ["voice", "action"])
@pytest.mark.parametrize(
    "request_", [signed(token="other"), signed(fields={"AccountSid": SID})], ids=["forged", "no call"]
)
async def test_what_is_not_proved_never_reaches_the_desk(webhook: str, request_: WebhookRequest) -> None:
    desk = Desk()
    with pytest.raises(WebhookRefused):
        await carrier().webhooks()[webhook](request_, desk)
    assert (desk.announced, desk.over) == ([], [])


# --- after the stream ----------------------------------------------------------------------------------------------


async def test_after_the_stream_the_call_is_hung_up_and_reported_as_over() -> None:
    desk = Desk()
    (hangup,) = await answered("action", signed(ACTION, {**FIELDS, "CallStatus": "completed"}), desk)
    assert hangup.tag == "Hangup"
    ((leg, reason),) = desk.over
    assert (leg.call_id, reason) == ("CA1", "completed")


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
