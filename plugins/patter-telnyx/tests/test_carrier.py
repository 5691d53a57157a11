from __future__ import annotations

import base64
import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patter_core.audio import ULAW_8000
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.webhook import WebhookRequest
from patter_telnyx import Telnyx

PUBLIC_KEY = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(b"\x07" * 32).public_key().public_bytes_raw()
).decode()


def carrier() -> Telnyx:
    return Telnyx("KEYsecret", "17", PUBLIC_KEY)


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "KEYfromenv")
    monkeypatch.setenv("TELNYX_CONNECTION_ID", "18")
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", PUBLIC_KEY)
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/")
    telnyx = Telnyx()
    assert (telnyx.api_key, telnyx.connection_id, telnyx.public_key) == ("KEYfromenv", "18", PUBLIC_KEY)
    assert telnyx.base_url == "http://127.0.0.1:9"


def test_the_api_is_telnyxs_own_by_default() -> None:
    assert carrier().base_url == "https://api.telnyx.com"


def test_a_parameter_with_choices_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="codec"):
        dataclasses.replace(carrier(), codec="G722")  # type: ignore[arg-type] # that is the point


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    telnyx = carrier()
    with pytest.raises(dataclasses.FrozenInstanceError):
        telnyx.api_key = "other"  # type: ignore[misc] # that is the point
    assert "KEYsecret" not in repr(telnyx)


def test_carriers_of_one_configuration_are_equal() -> None:
    assert carrier() == carrier()
    assert hash(carrier()) == hash(carrier())
    assert dataclasses.replace(carrier(), voice="alice") != carrier()


def test_the_token_secret_is_derived_and_depends_on_the_key_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert b"KEYsecret" not in secret
    assert secret == Telnyx("KEYsecret", "18", PUBLIC_KEY).token_secret()
    assert secret != Telnyx("other", "17", PUBLIC_KEY).token_secret()


def test_its_name_webhooks_and_capabilities() -> None:
    assert isinstance(carrier(), Carrier)
    assert (Telnyx.name, set(carrier().webhooks())) == ("telnyx", {"voice"})
    assert {Capability.DIAL, Capability.TRANSFER, Capability.HOLD, Capability.RECORD} <= Telnyx.capabilities


def test_an_upgrade_is_verified_by_its_token_alone() -> None:
    carrier().verify_upgrade(WebhookRequest(method="GET", candidate_urls=(), headers={}))


def test_each_media_socket_gets_a_codec_of_its_own() -> None:
    leg = Leg(carrier="telnyx", call_id="v3:a")
    first, second = (carrier().media_codec(leg) for _ in range(2))
    assert first is not second
    assert first.output.format == ULAW_8000
    assert str(dataclasses.replace(carrier(), codec="L16").media_codec(leg).output.format) == "pcm_16000"
