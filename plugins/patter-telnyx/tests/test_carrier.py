from __future__ import annotations

import base64
import dataclasses
import logging
import math
from decimal import Decimal

import pytest
from nacl.signing import SigningKey

from patter_core.audio import ULAW_8000
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.prices import Usage
from patter_core.webhook import WebhookRequest
from patter_telnyx import Telnyx

PUBLIC_KEY = base64.b64encode(bytes(SigningKey(b"\x07" * 32).verify_key)).decode()


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
    assert Telnyx(connection_id="given").connection_id == "given"


def test_the_api_is_telnyxs_own_unless_told_otherwise() -> None:
    assert carrier().base_url == "https://api.telnyx.com"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("", "17", PUBLIC_KEY), ["Telnyx(api_key=…)", "TELNYX_API_KEY", "API Keys"]),
        (("KEY", "", PUBLIC_KEY), ["Telnyx(connection_id=…)", "TELNYX_CONNECTION_ID", "Programmable Voice"]),
        (
            ("KEY", "17", ""),
            ["Telnyx(public_key=…)", "TELNYX_PUBLIC_KEY", "Keys & Credentials", "verify_webhooks=False"],
        ),
        (("KEY", "17", "no key"), ["Telnyx(public_key=…)", "32 bytes in base64"]),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_its_remedy(values: tuple[str, str, str], told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        Telnyx(*values)
    assert all(part in str(error.value) for part in told)


@pytest.mark.parametrize("parameter", ["codec", "l16_byte_order", "target_legs", "machine_detection"])
def test_a_choice_that_is_none_is_told_with_those_that_are(parameter: str) -> None:
    with pytest.raises(ConfigurationError, match=parameter):
        dataclasses.replace(carrier(), **{parameter: "G722"})  # type: ignore[arg-type] # that is the point


def test_a_base_url_must_be_an_address() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        Telnyx("KEY", "17", PUBLIC_KEY, base_url="api.telnyx.com")


def test_without_a_public_key_it_must_be_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        telnyx = Telnyx("KEY", "17", verify_webhooks=False)
    assert telnyx.public_key == ""
    assert "anybody" in caplog.text


def test_a_carrier_is_frozen_and_shows_no_secret() -> None:
    telnyx = carrier()
    with pytest.raises(dataclasses.FrozenInstanceError):
        telnyx.api_key = "other"  # type: ignore[misc] # that is the point
    assert "KEYsecret" not in repr(telnyx) + repr(telnyx._control) + repr(telnyx._account)
    assert telnyx == carrier()
    assert hash(telnyx) == hash(carrier())


def test_the_token_secret_is_derived_and_depends_on_the_key_alone() -> None:
    secret = carrier().token_secret()
    assert len(secret) == 32
    assert b"KEYsecret" not in secret
    assert secret == Telnyx("KEYsecret", "18", PUBLIC_KEY).token_secret()
    assert secret != Telnyx("other", "17", PUBLIC_KEY).token_secret()


def test_it_is_a_carrier_that_can_do_everything() -> None:
    assert isinstance(carrier(), Carrier)
    assert (Telnyx.name, set(carrier().webhooks())) == ("telnyx", {"voice"})
    assert {Capability.DIAL, Capability.TRANSFER, Capability.HOLD, Capability.RECORD} <= Telnyx.capabilities


def test_an_upgrade_is_proved_by_its_token_alone() -> None:
    carrier().verify_upgrade(WebhookRequest(method="GET", candidate_urls=(), headers={}))


def test_each_media_socket_gets_a_codec_of_its_own() -> None:
    leg = Leg(carrier="telnyx", call_id="v3:a")
    first, second = (carrier().media_codec(leg) for _ in range(2))
    assert first is not second
    assert first.output_format == ULAW_8000
    assert str(dataclasses.replace(carrier(), codec="L16").media_codec(leg).output_format) == "pcm_16000"


def test_the_price_list_is_dated_and_gives_an_estimate() -> None:
    rates = carrier().rates
    assert (rates.as_of.year, rates.currency) == (2026, "USD")
    usage = Usage(direction=Direction.OUTBOUND, connected=61.0, streamed=61.0, recorded=30.0, machine_detection=True)
    assert math.ceil(usage.connected / 60) == 2
    cost = rates.estimate(usage)
    assert cost.amount == 2 * Decimal("0.007") + 2 * Decimal("0.0035") + Decimal("0.002") + Decimal("0.002")
    assert cost.estimated


def test_premium_machine_detection_has_its_own_price() -> None:
    premium = dataclasses.replace(carrier(), machine_detection="premium")
    assert premium.rates.machine_detection == Decimal("0.0065")
    standard = dataclasses.replace(premium, machine_detection="standard").rates
    assert standard == carrier().rates
