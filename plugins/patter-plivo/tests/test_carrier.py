from __future__ import annotations

import dataclasses

import pytest

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.webhook import WebhookRequest
from patter_plivo import Plivo
from patter_plivo.formats import ContentType
from patter_plivo.signing import signature, signed_base

AUTH_ID, TOKEN, NONCE = "MA" + "0" * 18, "auth-token", "1"
MEDIA = "wss://phone.example/media/plivo/stream-token"
LEG = Leg(carrier="plivo", call_id="1")


def carrier() -> Plivo:
    return Plivo(AUTH_ID, TOKEN)


def upgrade(token: str) -> WebhookRequest:
    presented = signature(token, signed_base(MEDIA.replace("wss", "http")), NONCE)
    headers = {"x-plivo-signature-v3": presented, "x-plivo-signature-v3-nonce": NONCE}
    return WebhookRequest(method="GET", candidate_urls=(MEDIA.replace("wss", "ws"), MEDIA), headers=headers)


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    plivo = Plivo(AUTH_ID, TOKEN, other_auth_tokens=("next-token",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plivo.auth_token = "other"  # type: ignore[misc] # that is the point
    assert not [secret for secret in (TOKEN, "next-token") if secret in repr(plivo)]


def test_carriers_of_one_configuration_are_equal() -> None:
    assert carrier() == carrier()
    assert hash(carrier()) == hash(carrier())
    assert dataclasses.replace(carrier(), voice="Polly.Amy") != carrier()


def test_the_token_secret_is_derived_and_depends_on_the_auth_token_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert TOKEN.encode() not in secret
    assert secret == Plivo(AUTH_ID, TOKEN, base_url="http://127.0.0.1:9").token_secret()
    assert secret != Plivo(AUTH_ID, "other").token_secret()


def test_an_upgrade_is_taken_with_any_of_the_tokens_and_refused_without() -> None:
    plivo: Carrier = Plivo(AUTH_ID, TOKEN, other_auth_tokens=("next-token",))
    plivo.verify_upgrade(upgrade(TOKEN))
    plivo.verify_upgrade(upgrade("next-token"))
    with pytest.raises(WebhookRefused):
        plivo.verify_upgrade(upgrade("stranger"))


def test_other_auth_tokens_are_read_as_the_auth_token_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_OTHER_AUTH_TOKENS", "next-token, last-token\n")
    assert carrier().other_auth_tokens == ("next-token", "last-token")
    given = Plivo(AUTH_ID, TOKEN, other_auth_tokens=(" given\r\n",))
    assert given.other_auth_tokens == ("given",)
    given.verify_upgrade(upgrade("given"))
    with pytest.raises(ConfigurationError, match=r"Plivo\(other_auth_tokens=…\) has an empty text at \[0\]"):
        Plivo(AUTH_ID, TOKEN, other_auth_tokens=("",))  # everybody could sign
    with pytest.raises(ConfigurationError, match=r"Plivo\(other_auth_tokens=…\)\[1\] is not an auth token\."):
        Plivo(AUTH_ID, TOKEN, other_auth_tokens=("next", "sk-proj-0123"))


@pytest.mark.parametrize(
    ("content_type", "format"),
    [("audio/x-mulaw;rate=8000", ULAW_8000), ("audio/x-l16;rate=24000", AudioFormat(Encoding.PCM16, 24_000))],
)
def test_the_audio_is_what_the_user_asks_for(content_type: ContentType, format: AudioFormat) -> None:
    assert Plivo(AUTH_ID, TOKEN, content_type=content_type).media_codec(LEG).output.format == format


def test_a_content_type_that_plivo_does_not_stream_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="content_type"):
        Plivo(AUTH_ID, TOKEN, content_type="audio/x-alaw")  # type: ignore[arg-type] # that is the point


def test_what_plivo_cannot_is_not_declared() -> None:
    assert set(Capability) - Plivo.capabilities == {Capability.HUMAN_DETECTION, Capability.PAUSE_RECORDING}
    assert Plivo.longest_media_url == 2_048
    assert carrier().rates is None  # Plivo tells the price itself
