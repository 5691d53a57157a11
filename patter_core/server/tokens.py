"""Tokens: what a call's media socket and webhooks bring back, so that any worker knows which call they are of.

Stateless: any worker that shares the secret can open them, whatever worker made them. They stand in URLs, and URLs
stand in logs; so what they hold is sealed, numbers and names included. Sans-IO: `now` is the wall clock, in Unix s,
since workers on other machines share no other.

The seal is PyNaCl's `SecretBox` (XSalsa20-Poly1305) with a random nonce of 24 bytes for each token, and a key for each
purpose that is derived from the carrier's secret. As long as that secret is one, a token

* tells nothing but its length to those who read it;
* cannot be made or changed by others: a try succeeds with a probability below 2**-90;
* does not open under another secret or for another purpose;
* has one spelling, and ends with its lifetime.

What is not promised here: that a token is used once (see `passes`), and that tokens stay sealed when the secret becomes
known later.
"""

from __future__ import annotations

import base64
import enum
import hashlib

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from patter_core.agent import CallOptions
from patter_core.leg import Direction, Leg

__all__ = ["LONGEST_TOKEN", "CallToken", "Purpose", "TokenMaker"]

LONGEST_TOKEN = 3_000
"""Characters. Carriers take URLs of some 4,000, and ours hold more than the token."""

_CLOCK_SKEW = 10.0
"""Seconds by which the clocks of two workers may differ."""


class Purpose(enum.StrEnum):
    """What a token is good for. One that is made for one is nothing for the other."""

    STREAM = "stream"
    """Opens one media socket."""
    TICKET = "ticket"
    """Comes back with the carrier's webhooks of a call, as long as it lasts."""


_LIFETIME = {Purpose.STREAM: 60.0, Purpose.TICKET: 6 * 3600.0}
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
        self._box = SecretBox(_key(secret, purpose))
        self._lifetime = _LIFETIME[purpose]

    def __repr__(self) -> str:
        return "<TokenMaker>"

    def mint(self, token: CallToken) -> str:
        """The token as text that fits into a path."""
        return _text(self._box.encrypt(msgspec.json.encode(token)))

    def check(self, text: str, now: float) -> CallToken | None:
        """What the token says; None if it is forged, malformed, of another purpose or too old."""
        if len(text) > LONGEST_TOKEN:
            return None
        try:
            token = msgspec.json.decode(self._box.decrypt(_bytes(text)), type=CallToken)
        except (ValueError, CryptoError):  # another spelling; not ours, or not whole; ours, but of another version
            return None
        return token if -_CLOCK_SKEW <= now - token.issued_at <= self._lifetime else None


def _key(secret: bytes, purpose: Purpose) -> bytes:
    """The key for a purpose: BLAKE2b of the secret, personalised by the purpose.

    BLAKE2b with its `person` is made for that, takes secrets of any length, and is one call with nothing to compose, as
    HKDF's two steps would have.
    """
    return hashlib.blake2b(secret, digest_size=SecretBox.KEY_SIZE, person=f"patter {purpose}".encode()).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:  # one token has one spelling, or “used once” could be got round
        raise ValueError(text)
    return data
