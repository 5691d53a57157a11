"""The Standard Webhooks scheme, version 1, symmetric (specification on standardwebhooks.com). Sans-IO.

A message has an id, the time of the attempt, and a body; the signature is HMAC-SHA256 over the three, joined by dots,
with a secret that is written `whsec_` and base64. While a secret is being replaced, a message has a signature of each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from patter_core.errors import ConfigurationError, PatterError

__all__ = ["TOLERANCE", "Secret", "WebhookForged", "headers", "verify"]

TOLERANCE = 300.0
"""Seconds that a receiver allows between its clock and the time in a message."""
_PREFIX = "whsec_"


class WebhookForged(PatterError):
    """The signature of a message is wrong, or the message is too old."""


class Secret:
    """A signing secret. Its `repr` does not show it.

    Args:
        text: `whsec_` and 24 to 64 bytes in base64, as the specification requires.
        parameter: what has set it, for the error.

    Raises:
        ConfigurationError: `text` has another form.
    """

    __slots__ = ("_key",)

    def __init__(self, text: str, parameter: str = "Secret(…)") -> None:
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
            raise ConfigurationError(
                f"{parameter} is not the secret of a webhook.",
                expected="whsec_ and 24 to 64 bytes in base64",
                remedy=(
                    'Generate one: python -c "import base64, secrets; '
                    "print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
                ),
            )
        self._key = key

    def __repr__(self) -> str:
        return "<Secret>"

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Returns the signature with its version: `v1,…`."""
        signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
        return f"v1,{base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()}"


def headers(secrets: Sequence[Secret], message_id: str, now: float, body: bytes) -> dict[str, str]:
    """Returns the headers of a message that is sent at `now` (Unix s)."""
    timestamp = int(now)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(secret.sign(message_id, timestamp, body) for secret in secrets),
    }


def verify(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Checks a received message. Returns its id: receivers skip an id that they have seen.

    Args:
        secret: the shared secret.
        headers: of the request, with lower-case names.
        body: of the request, byte for byte.
        now: Unix s.

    Raises:
        WebhookForged: the message is not signed with the secret, or is too old.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not (timestamp.isascii() and timestamp.isdecimal()) or len(timestamp) > 12:
        raise WebhookForged("The message has no valid id or timestamp.", expected="webhook-id and webhook-timestamp")
    expected = secret.sign(message_id, int(timestamp), body).encode()
    signatures = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in signatures):
        raise WebhookForged("The message is not signed with this secret.")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise WebhookForged(
            "The message is too old, or from the future.", expected=f"at most {TOLERANCE:g} s of difference"
        )
    return message_id
