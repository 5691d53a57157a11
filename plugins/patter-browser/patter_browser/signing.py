"""Signs and verifies the requests that bring calls from a web server of the user's own. Pure functions.

The header `X-Patter-Signature` is `t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256, by the carrier's secret, of
`<t>.<url>`, a line feed and the body. The URL is the whole one, with its query.
"""

from __future__ import annotations

import hmac
import re

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest

__all__ = ["HEADER", "TOLERANCE", "sign", "verify"]

HEADER = "x-patter-signature"
TOLERANCE = 300.0
"""Seconds by which the time of a signature may differ from ours."""
_FORM = re.compile(r"t=(?P<time>[0-9]{1,12}),v1=(?P<digest>[0-9a-f]{64})")


def sign(secret: str, url: str, body: bytes, now: float) -> str:
    """Returns the value of the header.

    Args:
        secret: `Browser.secret`.
        url: that is requested, as a whole.
        body: of the request.
        now: seconds since 1970.
    """
    return f"t={int(now)},v1={_digest(secret, str(int(now)), url, body)}"


def verify(request: WebhookRequest, secret: str, now: float) -> str:
    """Returns the URL that the signature proves.

    Args:
        request: signed or not.
        secret: `Browser.secret`.
        now: seconds since 1970.

    Raises:
        WebhookRefused: it is not signed by the secret, or not now.
    """
    found = _FORM.fullmatch(request.headers.get(HEADER, ""))
    if found is None:
        raise WebhookRefused(
            "The request has no signature.", remedy="Sign it as the how-to about the browser phone says."
        )
    if abs(now - int(found["time"])) > TOLERANCE:
        raise WebhookRefused("The signature is too old, or from the future.", remedy="Set the clocks of both servers.")
    for url in request.candidate_urls:
        if hmac.compare_digest(found["digest"], _digest(secret, found["time"], url, request.body)):
            return url
    raise WebhookRefused(
        "The signature is not by this secret, for this address and body.",
        remedy="Use the secret of Browser(secret=…), and sign the URL as the server sees it.",
    )


def _digest(secret: str, time: str, url: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{time}.{url}\n".encode() + body, "sha256").hex()
