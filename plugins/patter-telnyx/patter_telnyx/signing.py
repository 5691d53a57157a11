"""Verifies Telnyx's signature of a webhook. Pure functions.

Telnyx signs with Ed25519 (Telnyx's page "Receiving webhooks"): the bytes `timestamp|body`, exactly as received. The
signature is in the header `telnyx-signature-ed25519` (base64, 64 bytes), the timestamp in `telnyx-timestamp` (Unix s).
The public key is the account's. The URL is not signed, but the body is, and names the URL that it was sent to.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.webhook import WebhookRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = [
    "PARAMETER",
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "TOLERANCE",
    "WHERE",
    "signed_bytes",
    "verify_key",
    "verify_webhook",
]

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
TOLERANCE = 300.0
"""Seconds that a timestamp may be behind or ahead of our clock, as in Telnyx's own library."""

PARAMETER = "Telnyx(public_key=…)"
WHERE = "in Telnyx's portal, under “Keys & Credentials”, “Public Key”"


def verify_key(public_key: str, parameter: str = PARAMETER) -> Ed25519PublicKey:
    """Reads the account's public key.

    Args:
        public_key: in base64.
        parameter: what has set it, for the error.

    Raises:
        ConfigurationError: it is not one.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - takes 15 ms

    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            f"{parameter} is not a public key.",
            expected="32 bytes in base64",
            got=_kind_of(public_key),
            remedy=f"You find the key {WHERE}.",
        ) from None


def _kind_of(value: str) -> str:
    """Returns what was given in place of a public key, without showing it."""
    if value.startswith("KEY"):
        return "an API key"
    if value.startswith("-----BEGIN"):
        return "a key in PEM"
    try:
        return f"{len(base64.b64decode(value, validate=True))} bytes"
    except ValueError:
        return f"{len(value)} characters that are not base64"


def signed_bytes(timestamp: str, body: bytes) -> bytes:
    """Returns the bytes that Telnyx signs."""
    return timestamp.encode() + b"|" + body


def verify_webhook(request: WebhookRequest, public_key: str, now: float) -> None:
    """Verifies that Telnyx sent a webhook, and not long ago.

    Args:
        request: with the body exactly as received.
        public_key: the account's, in base64.
        now: the wall clock, Unix s.

    Raises:
        WebhookRefused: the signature is missing, wrong or too old.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above

    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    presented = request.headers.get(SIGNATURE_HEADER, "")
    if not timestamp or not presented:
        raise WebhookRefused(
            "The request is not signed.", expected=f"{SIGNATURE_HEADER} and {TIMESTAMP_HEADER}", got="no such header"
        )
    if not _is_fresh(timestamp, now):
        raise WebhookRefused(
            "The webhook's timestamp is too old, or in the future.",
            expected=f"a timestamp within {TOLERANCE:.0f} s of this machine's clock",
            remedy="If every webhook is refused, set the clock.",
        )
    try:
        signature = base64.b64decode(presented, validate=True)
        verify_key(public_key).verify(signature, signed_bytes(timestamp, request.body))
    except (InvalidSignature, ValueError, TypeError):
        raise WebhookRefused(
            "The signature is not Telnyx's for this account.",
            remedy="Check public_key, and that no proxy rewrites the body.",
        ) from None


def _is_fresh(timestamp: str, now: float) -> bool:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE
