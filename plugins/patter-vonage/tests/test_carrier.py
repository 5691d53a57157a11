from __future__ import annotations

import dataclasses
import time

import pytest

from patter_core.carrier import Carrier
from patter_core.checks import Level
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.webhook import WebhookRequest
from patter_vonage import Vonage
from patter_vonage.jwt import sign_hs256
from patter_vonage.signing import VonageClaims
from patter_vonage.testing.keys import new_key

KEY, _ = new_key()
SECRET = "a signature secret of 32 or more"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"


def carrier() -> Vonage:
    return Vonage(APPLICATION, KEY, "key", SECRET, api_secret="half")


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APPLICATION_ID": APPLICATION,
        "PRIVATE_KEY": KEY.replace("\n", "\\n"),
        "API_KEY": "key",
        "SIGNATURE_SECRET": SECRET,
        "BASE_URL": "http://127.0.0.1:9/",
    }.items():
        monkeypatch.setenv(f"VONAGE_{name}", value)
    vonage = Vonage()
    assert (vonage.application_id, vonage.api_key, vonage.base_url) == (APPLICATION, "key", "http://127.0.0.1:9")


def test_a_wrong_value_is_found_when_the_carrier_is_made() -> None:
    with pytest.raises(ConfigurationError, match="sample_rate"):
        dataclasses.replace(carrier(), sample_rate=48_000)  # type: ignore[arg-type] # that is the point
    with pytest.raises(ConfigurationError, match="private_key"):
        dataclasses.replace(carrier(), private_key="-----BEGIN PRIVATE KEY-----")


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    vonage = carrier()
    with pytest.raises(dataclasses.FrozenInstanceError):
        vonage.api_key = "other"  # type: ignore[misc] # that is the point
    shown = repr(vonage)
    assert not any(secret in shown for secret in (SECRET, "half", KEY, "PRIVATE"))


def test_carriers_of_one_configuration_are_equal() -> None:
    assert carrier() == carrier()
    assert hash(carrier()) == hash(carrier())
    assert dataclasses.replace(carrier(), sample_rate=8_000) != carrier()


def test_the_token_secret_is_derived_and_depends_on_the_signature_secret_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert secret == dataclasses.replace(carrier(), application_id=APPLICATION.replace("7", "0")).token_secret()
    assert secret != dataclasses.replace(carrier(), signature_secret="other").token_secret()


def test_its_name_webhooks_and_capabilities() -> None:
    assert isinstance(carrier(), Carrier)
    webhooks = carrier().webhooks()
    assert set(webhooks) == {"voice", "answered", "stream", "briefed", "event", "recording"}
    assert {webhook.methods for webhook in webhooks.values()} == {("POST",)}  # a GET has no hash of its query
    assert not Vonage.capabilities & {Capability.RECORD, Capability.PRICE}
    assert Vonage.capabilities >= {Capability.DIAL, Capability.TRANSFER, Capability.HOLD, Capability.CONNECT}


@pytest.mark.parametrize("secret", [SECRET, "the signature secret that was before"])
def test_an_upgrade_is_verified_by_the_vendors_token(secret: str) -> None:
    vonage = dataclasses.replace(carrier(), other_signature_secrets=("the signature secret that was before",))
    token = sign_hs256(secret, VonageClaims(iat=time.time(), jti="1", api_key="key", application_id=APPLICATION))
    upgrade = WebhookRequest(method="GET", candidate_urls=(), headers={"authorization": f"Bearer {token}"})
    vonage.verify_upgrade(upgrade)
    for refused in (
        WebhookRequest(method="GET", candidate_urls=(), headers={}),
        WebhookRequest(method="GET", candidate_urls=(), headers={"authorization": f"Bearer {token}x"}),
    ):
        with pytest.raises(WebhookRefused):
            vonage.verify_upgrade(refused)


def test_other_signature_secrets_are_read_as_the_signature_secret_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VONAGE_OTHER_SIGNATURE_SECRETS", "the next secret, the last secret\n")
    assert carrier().other_signature_secrets == ("the next secret", "the last secret")
    given = dataclasses.replace(carrier(), other_signature_secrets=(" given\r\n",))
    assert given.other_signature_secrets == ("given",)
    with pytest.raises(ConfigurationError, match=r"Vonage\(other_signature_secrets=…\) has an empty text at \[0\]"):
        dataclasses.replace(carrier(), other_signature_secrets=("",))  # everybody could sign


def test_each_media_socket_gets_a_codec_of_its_own_in_the_rate_of_choice() -> None:
    leg = Leg(carrier="vonage", call_id="a")
    first, second = (carrier().media_codec(leg) for _ in range(2))
    assert first is not second
    assert str(first.output.format) == "pcm_16000"
    assert str(dataclasses.replace(carrier(), sample_rate=24_000).media_codec(leg).output.format) == "pcm_24000"


@pytest.mark.anyio
async def test_without_the_secret_of_the_api_key_the_rest_is_not_checked() -> None:
    vonage = dataclasses.replace(carrier(), api_secret="", base_url="http://127.0.0.1:9")
    away, unchecked = await vonage.check()
    assert (away.level, unchecked.level) == (Level.PROBLEM, Level.UNKNOWN)
    assert "VONAGE_API_SECRET" in unchecked.remedy
