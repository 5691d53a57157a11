"""Was it Telnyx? The signature of a webhook, as pure functions.

Telnyx signs with Ed25519 (Telnyx's page "Receiving webhooks"): the bytes `timestamp|body`, exactly as they came. The
signature is in the header `telnyx-signature-ed25519` (base64, 64 bytes), the timestamp in `telnyx-timestamp` (Unix s).
The public key is the account's. The URL is not signed, but the body is, and tells where it was delivered to.
"""

from __future__ import annotations

import base64
import binascii

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.webhook import WebhookRequest

__all__ = [
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "TOLERANCE",
    "signed_bytes",
    "verify_key",
    "verify_webhook",
]

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
TOLERANCE = 300.0
"""Seconds that a webhook may be old, or ahead of our clock; as in the vendor's own library."""

WHERE = "You find it in Telnyx's portal, under “Keys & Credentials”, “Public Key”."


def verify_key(public_key: str) -> VerifyKey:
    """The account's key, from its base64.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        key = base64.b64decode(public_key, validate=True)
        return VerifyKey(key)
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            "Telnyx(public_key=…) is not a public key.", expected="32 bytes in base64", remedy=WHERE
        ) from None


def signed_bytes(timestamp: str, body: bytes) -> bytes:
    """What Telnyx signs."""
    return timestamp.encode() + b"|" + body


def verify_webhook(request: WebhookRequest, public_key: str, now: float) -> None:
    """Check that Telnyx sent this, and not long ago.

    Args:
        request: as it came: the body to the byte.
        public_key: the account's, in base64.
        now: the wall clock, Unix s.

    Raises:
        WebhookRefused: it does not prove it.
    """
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    presented = request.headers.get(SIGNATURE_HEADER, "")
    if not timestamp or not presented:
        raise WebhookRefused(
            "A request that is not signed.", expected=f"{SIGNATURE_HEADER} and {TIMESTAMP_HEADER}", got="no such header"
        )
    if not _is_fresh(timestamp, now):
        raise WebhookRefused(
            "A webhook that is too old, or from the future.",
            expected=f"a timestamp within {TOLERANCE:.0f} s of this machine's clock",
            remedy="If this happens to every webhook, set the clock.",
        )
    try:
        signature = base64.b64decode(presented, validate=True)
        verify_key(public_key).verify(signed_bytes(timestamp, request.body), signature)
    except (BadSignatureError, ValueError, TypeError):
        raise WebhookRefused(
            "A signature that is not Telnyx's for this account.",
            remedy="Check public_key; and that nothing between Telnyx and here rewrites the body.",
        ) from None


def _is_fresh(timestamp: str, now: float) -> bool:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE
