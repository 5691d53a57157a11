from __future__ import annotations

import dataclasses

import pytest

from patter_core.audio import ULAW_8000
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.media import MediaOutput
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.webhook import WebhookRequest
from patter_twilio import Twilio
from patter_twilio.signing import signature
from patter_twilio.testing import ACCOUNT_SID

SID, TOKEN = ACCOUNT_SID, "auth-token"
MEDIA = "wss://phone.example/media/twilio/stream-token"


def carrier() -> Twilio:
    return Twilio(SID, TOKEN)


def upgrade(presented: str) -> WebhookRequest:
    return WebhookRequest(method="GET", candidate_urls=(MEDIA,), headers={"x-twilio-signature": presented})


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "fromenv")
    monkeypatch.setenv("TWILIO_BASE_URL", "http://127.0.0.1:9/")
    twilio = Twilio()
    assert (twilio.account_sid, twilio.auth_token, twilio.base_url) == (SID, "fromenv", "http://127.0.0.1:9")


def test_the_api_is_twilios_own_by_default() -> None:
    assert carrier().base_url == "https://api.twilio.com"
    assert Twilio(SID, TOKEN, region="ie1", edge="dublin").base_url == "https://api.dublin.ie1.twilio.com"


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    twilio = Twilio(SID, TOKEN, api_key="SK" + 32 * "1", api_secret="key-secret", other_auth_tokens=("next-token",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        twilio.auth_token = "other"  # type: ignore[misc] # that is the point
    assert not [secret for secret in (TOKEN, "key-secret", "next-token") if secret in repr(twilio)]


def test_other_auth_tokens_are_read_as_the_auth_token_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_OTHER_AUTH_TOKENS", "next-token, last-token\n")
    assert carrier().other_auth_tokens == ("next-token", "last-token")
    given = Twilio(SID, TOKEN, other_auth_tokens=(" given\r\n",))
    assert given.other_auth_tokens == ("given",)
    given.verify_upgrade(upgrade(signature("given", MEDIA)))
    with pytest.raises(ConfigurationError, match=r"Twilio\(other_auth_tokens=…\) has an empty text at \[0\]"):
        Twilio(SID, TOKEN, other_auth_tokens=("",))  # everybody could sign


def test_carriers_of_one_configuration_are_equal() -> None:
    assert carrier() == carrier()
    assert hash(carrier()) == hash(carrier())
    assert dataclasses.replace(carrier(), voice="alice") != carrier()


def test_the_token_secret_is_derived_and_depends_on_the_auth_token_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert TOKEN.encode() not in secret
    assert secret == Twilio(SID, TOKEN, base_url="http://127.0.0.1:9").token_secret()
    assert secret != Twilio(SID, "other").token_secret()


def test_its_name_webhooks_and_capabilities() -> None:
    assert isinstance(carrier(), Carrier)
    assert Twilio.name == "twilio"
    assert set(carrier().webhooks()) == {"voice", "action", "briefed", "status", "machine", "recording"}
    assert {Capability.DIAL, Capability.TRANSFER, Capability.HOLD, Capability.RECORD} <= Twilio.capabilities


def test_an_upgrade_needs_twilios_signature_of_the_media_url() -> None:
    carrier().verify_upgrade(upgrade(signature(TOKEN, f"{MEDIA}/")))
    with pytest.raises(WebhookRefused):
        carrier().verify_upgrade(upgrade(signature("other", MEDIA)))


def test_while_the_worker_stops_twilio_is_to_ask_again() -> None:
    answer = carrier().stopping_response()
    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")
    assert answer.body.endswith(b'<Response><Pause length="1" /><Redirect /></Response>')


@pytest.mark.parametrize("token", ["next", TOKEN, "last"])
def test_while_a_token_is_rotated_each_is_accepted(token: str) -> None:
    twilio = Twilio(SID, TOKEN, other_auth_tokens=("next", "last"))
    twilio.verify_upgrade(upgrade(signature(token, MEDIA)))


def test_one_token_in_place_of_a_list_is_refused() -> None:
    """Each of its characters would be a key that signatures are accepted with."""
    with pytest.raises(ConfigurationError, match=r"other_auth_tokens=…\) is of the wrong type\. Expected a list"):
        Twilio(SID, TOKEN, other_auth_tokens="next-token")  # type: ignore[arg-type] # the mistake


def test_each_media_socket_gets_a_codec_of_its_own() -> None:
    leg = Leg(carrier="twilio", call_id="CA1")
    first, second = (carrier().media_codec(leg) for _ in range(2))
    assert first is not second
    assert first.output == MediaOutput(format=ULAW_8000)
