"""Messages are signed as the specification says, and one that is forged, changed or old is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import ConfigurationError
from patter_webhook.signing import TOLERANCE, Secret, WebhookForged, headers, verify

TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's example
SECRET = Secret(TEXT)
OTHER = Secret("whsec_" + "A" * 32)


def test_the_signature_is_that_of_the_specifications_example() -> None:
    body = b'{"test": 2432232314}'
    assert SECRET.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@given(st.binary(), st.floats(0, 1e11))
def test_what_is_signed_is_verified(body: bytes, now: float) -> None:
    assert verify(SECRET, headers([OTHER, SECRET], "msg-1", now, body), body, now) == "msg-1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "101"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1a,é"},
    ],
)
def test_a_message_that_was_changed_is_forged(change: dict[str, str]) -> None:
    signed = {**headers([SECRET], "msg-1", 100, b"{}"), **change}
    with pytest.raises(WebhookForged):
        verify(SECRET, signed, b"{}", 100)


def test_a_changed_body_or_another_secret_is_forged() -> None:
    signed = headers([SECRET], "msg-1", 100, b"{}")
    with pytest.raises(WebhookForged):
        verify(SECRET, signed, b"{ }", 100)
    with pytest.raises(WebhookForged):
        verify(OTHER, signed, b"{}", 100)


@pytest.mark.parametrize("now", [100 + TOLERANCE + 1, 100 - TOLERANCE - 1])
def test_a_message_of_another_time_is_refused(now: float) -> None:
    with pytest.raises(WebhookForged, match="old"):
        verify(SECRET, headers([SECRET], "msg-1", 100, b"{}"), b"{}", now)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_short", TEXT.removeprefix("whsec_"), "whsec_!!!!", "whsec_" + "A" * 200]
)
def test_an_invalid_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Secret(text)
    assert not text.removeprefix("whsec_") or text.removeprefix("whsec_") not in str(caught.value)
    assert TEXT[6:] not in repr(SECRET)
