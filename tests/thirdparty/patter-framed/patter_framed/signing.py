"""Signatures of Framed's requests: HMAC-SHA256 over the time and the body. They prove no URL."""

from __future__ import annotations

import hmac
import time

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest

__all__ = ["HEADER", "signature", "verify"]

HEADER = "x-framed-signature"
_MOST_OFF = 300
"""Seconds between the time of a request and ours."""


def signature(secret: str, body: bytes, at: int | None = None) -> str:
    """Returns the header of a request that is made at that time (s since 1970), by default now."""
    moment = str(int(time.time()) if at is None else at)
    return f"{moment},{hmac.digest(secret.encode(), moment.encode() + b'.' + body, 'sha256').hex()}"


def verify(request: WebhookRequest, secret: str) -> None:
    """Checks that Framed made the request, and lately.

    Raises:
        WebhookRefused: it is not proved.
    """
    presented = request.headers.get(HEADER, "")
    moment = presented.partition(",")[0]
    at = int(moment) if moment.isascii() and moment.isdigit() and len(moment) < 12 else 0
    if not hmac.compare_digest(presented.encode(), signature(secret, request.body, at).encode()):
        raise WebhookRefused("The signature is not Framed's for this account.")
    if abs(time.time() - at) > _MOST_OFF:
        raise WebhookRefused("The request is too old, or a clock is wrong.")
