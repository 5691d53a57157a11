"""Verifies what Vonage signs: webhooks, and the upgrade of a media socket. Pure functions.

Both bring a token in `Authorization: Bearer …`, signed with the account's signature secret (Vonage's page "Signed
webhooks"). It names the account and the application, and the SHA-256 of a webhook's body. It has no end: how old it may
be is decided here. The URL is not signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_vonage.jwt import read_hs256

__all__ = ["LONGEST_AGE", "SKEW", "VonageClaims", "WebhookKey"]

LONGEST_AGE = 300.0
"""Seconds after which a token is too old."""
SKEW = 60.0
"""Seconds that the vendor's clock may be ahead of ours, or that ours is."""


class VonageClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token of Vonage's says."""

    iat: float
    """Unix s."""
    jti: str
    """The same for each delivery of one token."""
    iss: str = "Vonage"
    payload_hash: str = ""
    """Of a webhook's body: SHA-256, in hex."""
    api_key: str = ""
    application_id: str = ""


_CLAIMS = msgspec.json.Decoder(VonageClaims)


class WebhookKey(msgspec.Struct, frozen=True, kw_only=True):
    """What verifies the webhooks of one application."""

    secrets: Sequence[str]
    """Signature secrets: there are several while one is being rotated."""
    api_key: str
    application_id: str

    def __repr__(self) -> str:
        return "<WebhookKey>"

    def verify_webhook(self, request: WebhookRequest, now: float) -> VonageClaims:
        """Verifies that Vonage sent a webhook for this application, and not long ago.

        Args:
            request: with the body exactly as received.
            now: the wall clock, Unix s.

        Raises:
            WebhookRefused: its token is missing, of another account or application, too old, or of another body.
        """
        claims = self.verify_upgrade(request, now)
        digest = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(claims.payload_hash.lower().encode(), digest.encode()):
            raise WebhookRefused(
                "The body is not the one that was signed.",
                expected="its SHA-256 as payload_hash",
                remedy="Webhooks must be sent with POST, and no proxy may rewrite the body.",
            )
        return claims

    def verify_upgrade(self, request: WebhookRequest, now: float) -> VonageClaims:
        """Verifies that Vonage opens a media socket, as `verify_webhook`. There is no body."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise WebhookRefused(
                "The request is not signed.",
                expected="Authorization: Bearer, with Vonage's token",
                got="no such header",
                remedy="Let `patter vonage webhooks` switch on signed webhooks for the application.",
            )
        claims = read_hs256(token.strip(), self.secrets, _CLAIMS)
        if claims is None:
            raise WebhookRefused(
                "The signature is not Vonage's for this account.",
                expected="a token that is signed with the signature secret, by HS256",
                remedy="Check signature_secret (VONAGE_SIGNATURE_SECRET).",
            )
        if not -SKEW <= now - claims.iat <= LONGEST_AGE + SKEW:
            raise WebhookRefused(
                "The token is too old, or of the future.",
                expected=f"one that is at most {LONGEST_AGE:.0f} s old by this machine's clock",
                remedy="If every webhook is refused, set the clock.",
            )
        if (claims.api_key, claims.application_id) != (self.api_key, self.application_id):
            raise WebhookRefused(
                "The token is of another account or application.",
                expected="the api_key and application_id of Vonage(…)",
                remedy="An application has a carrier of its own.",
            )
        return claims
