from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_telnyx.signing import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE,
    signed_bytes,
    verify_key,
    verify_webhook,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
BODY = b'{"data":{"event_type":"call.initiated","id":"1","payload":{}}}'
NOW = 1_750_000_000.0


def signed(body: bytes = BODY, timestamp: str = str(int(NOW)), key: Ed25519PrivateKey = KEY) -> dict[str, str]:
    signature = base64.b64encode(key.sign(signed_bytes(timestamp, body))).decode()
    return {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp}


def verify(headers: dict[str, str], body: bytes = BODY, now: float = NOW) -> None:
    request = WebhookRequest(method="POST", candidate_urls=(), headers=headers, body=body)
    verify_webhook(request, PUBLIC_KEY, now)


def test_a_signed_webhook_is_verified() -> None:
    verify(signed())


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-600, 600), st.booleans())
def test_the_vendors_own_verification_agrees(text: str, age: int, tampered: bool) -> None:
    now = time.time()
    headers = signed(text.encode(), str(int(now) - age))
    body = (text + "x" * tampered).encode()
    ours = theirs = True
    try:
        verify(headers, body, now)
    except WebhookRefused:
        ours = False
    try:
        verify_webhook_signature(body, headers, PUBLIC_KEY)
    except WebhookVerificationError:
        theirs = False
    assert ours == theirs or abs(abs(age) - TOLERANCE) <= 1  # their clock went on meanwhile


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SIGNATURE_HEADER: signed()[SIGNATURE_HEADER]},
        {TIMESTAMP_HEADER: str(int(NOW))},
        {**signed(), SIGNATURE_HEADER: "not base64!"},
        {**signed(), SIGNATURE_HEADER: base64.b64encode(b"short").decode()},
        {**signed(), SIGNATURE_HEADER: ""},
        {**signed(), TIMESTAMP_HEADER: str(int(NOW) + 1)},
        {**signed(), TIMESTAMP_HEADER: "soon"},
        {**signed(), TIMESTAMP_HEADER: "٣"},
        {**signed(), TIMESTAMP_HEADER: "9" * 400},
        signed(key=Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)),
        signed(body=BODY + b" "),
    ],
)
def test_a_webhook_that_is_not_signed_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused):
        verify(headers)


@pytest.mark.parametrize(("age", "fresh"), [(TOLERANCE, True), (-TOLERANCE, True), (301, False), (-301, False)])
def test_the_tolerance_is_five_minutes_either_way(age: float, fresh: bool) -> None:
    if fresh:
        verify(signed(), now=NOW + age)
    else:
        with pytest.raises(WebhookRefused, match="clock"):
            verify(signed(), now=NOW + age)


@given(st.dictionaries(st.sampled_from([SIGNATURE_HEADER, TIMESTAMP_HEADER]), st.text()))
def test_no_header_raises_anything_else(headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused):
        verify(headers)


@pytest.mark.parametrize("key", ["", "no key", base64.b64encode(b"short").decode()])
def test_an_invalid_key_is_an_error_with_a_remedy(key: str) -> None:
    with pytest.raises(ConfigurationError, match="Keys & Credentials"):
        verify_key(key)
