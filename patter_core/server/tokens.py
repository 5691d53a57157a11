"""Tokens: what a call's media socket and webhooks bring back, so that any worker knows which call they are of.

Stateless: any worker that shares the secret can open them, whatever worker made them. They stand in URLs, and URLs
stand in logs; so what they hold is sealed, numbers and names included. Sans-IO: `now` is the wall clock, in Unix s,
since workers on other machines share no other.

The seal is encrypt-then-MAC from HMAC-SHA256 alone: a fresh nonce and a counter make the key stream (HMAC as a
pseudo-random function in counter mode), and a second key signs nonce and text.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import itertools
import secrets

import msgspec

from patter_core.agent import CallOptions
from patter_core.telephony.leg import Direction, Leg

__all__ = ["LONGEST_TOKEN", "CallToken", "Purpose", "TokenMaker"]

LONGEST_TOKEN = 3_000
"""Characters. Carriers take URLs of some 4,000, and ours hold more than the token."""

_CLOCK_SKEW = 10.0
"""Seconds by which the clocks of two workers may differ."""
_NONCE = 12
_MAC = 16
"""Bytes: 128 bits of the HMAC, as RFC 2104 allows."""


class Purpose(enum.StrEnum):
    """What a token is good for. One that is made for one is nothing for the other."""

    STREAM = "stream"
    """Opens one media socket."""
    CALLBACK = "callback"
    """Comes back with the carrier's webhooks of a call, as long as it lasts."""


_LIFETIME = {Purpose.STREAM: 60.0, Purpose.CALLBACK: 6 * 3600.0}
"""Seconds: a stream follows its webhook within a few; a call lasts hours at most."""


class CallToken(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a token says."""

    carrier: str
    leg_id: str = ""
    """The carrier's id of the call; "" before it has one."""
    call_id: str
    """Patter's own."""
    agent: str
    direction: Direction = Direction.INBOUND
    from_number: str = ""
    to_number: str = ""
    base: str = ""
    """The public address by which the carrier reaches us."""
    options: CallOptions = CallOptions()
    streams: int = 0
    """How many media streams were lost before."""
    issued_at: float

    def __repr__(self) -> str:
        return f"<CallToken {self.call_id}>"

    @property
    def leg(self) -> Leg:
        """The call, as far as the token knows it."""
        return Leg(
            carrier=self.carrier,
            call_id=self.leg_id,
            direction=self.direction,
            from_number=self.from_number,
            to_number=self.to_number,
        )


class TokenMaker:
    """Makes and opens tokens of one purpose with one secret."""

    def __init__(self, secret: bytes, purpose: Purpose) -> None:
        label = f"patter {purpose.value} token 2".encode()
        self._cipher_key = hmac.digest(secret, label + b" cipher", hashlib.sha256)
        self._mac_key = hmac.digest(secret, label + b" mac", hashlib.sha256)
        self._lifetime = _LIFETIME[purpose]

    def __repr__(self) -> str:
        return "<TokenMaker>"

    def mint(self, token: CallToken) -> str:
        """The token as text that fits into a path."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._crypt(nonce, msgspec.json.encode(token))
        return _text(sealed + self._mac(sealed))

    def check(self, text: str, now: float) -> CallToken | None:
        """What the token says; None if it is forged, malformed or too old. Compared in constant time."""
        try:
            data = _bytes(text) if len(text) <= LONGEST_TOKEN else b""
        except ValueError:
            return None
        sealed, mac = data[:-_MAC], data[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(sealed)):
            return None
        nonce = sealed[:_NONCE]
        try:
            token = msgspec.json.decode(self._crypt(nonce, sealed[_NONCE:]), type=CallToken)
        except msgspec.DecodeError:  # ours, but of another version
            return None
        return token if -_CLOCK_SKEW <= now - token.issued_at <= self._lifetime else None

    def _crypt(self, nonce: bytes, data: bytes) -> bytes:
        """Encrypt, or decrypt: the same, as for any key stream."""
        stream = bytearray()
        for block in itertools.takewhile(lambda block: block * 32 < len(data), itertools.count()):
            stream += hmac.digest(self._cipher_key, nonce + block.to_bytes(4, "big"), hashlib.sha256)
        return bytes(one ^ other for one, other in zip(data, stream, strict=False))

    def _mac(self, sealed: bytes) -> bytes:
        return hmac.digest(self._mac_key, sealed, hashlib.sha256)[:_MAC]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:  # one token has one spelling, or “used once” could be got round
        raise ValueError(text)
    return data
