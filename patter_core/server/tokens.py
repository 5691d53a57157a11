"""The stream token: what binds a media socket to the call that a verified webhook announced.

Stateless: any worker that shares the secret can check it. It holds what a worker needs that has not seen the webhook,
and no phone number. Sans-IO: `now` is the wall clock, in Unix s, since workers on other machines share no other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from patter_core.leg import Direction

__all__ = ["StreamToken", "TokenMaker"]

_LIFETIME = 60.0
"""Seconds: a stream follows its webhook within a few."""
_CLOCK_SKEW = 10.0
"""Seconds by which the clocks of two workers may differ."""
_LABEL = b"patter stream token 1\0"


class StreamToken(msgspec.Struct, frozen=True, array_like=True):
    """What a token says."""

    carrier: str
    leg_id: str
    """The carrier's id of the call."""
    call_id: str
    """Patter's own."""
    agent: str
    direction: Direction
    issued_at: float


class TokenMaker:
    """Makes and checks tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, _LABEL, hashlib.sha256)

    def __repr__(self) -> str:
        return "<TokenMaker>"

    def mint(self, token: StreamToken) -> str:
        """The token as text that fits into a path."""
        payload = msgspec.json.encode(token)
        return f"{_text(payload)}.{_text(self._signature(payload))}"

    def check(self, text: str, now: float) -> StreamToken | None:
        """What the token says; None if it is forged, malformed or too old. Compared in constant time."""
        payload_text, dot, signature_text = text.partition(".")
        try:
            payload, signature = _bytes(payload_text), _bytes(signature_text)
        except ValueError:
            return None
        if not dot or not hmac.compare_digest(signature, self._signature(payload)):
            return None
        try:
            token = msgspec.json.decode(payload, type=StreamToken)
        except msgspec.DecodeError:  # ours, but of another version
            return None
        return token if -_CLOCK_SKEW <= now - token.issued_at <= _LIFETIME else None

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:  # one token has one spelling, or “used once” could be got round
        raise ValueError(text)
    return data
