"""How a browser is let in: a link that works once, or a password; then a cookie. Sans-IO, but for random bytes.

A cookie is signed, and nothing is kept for it: a worker that replaces another one, with the same key, takes it too.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import secrets
from typing import Literal

import msgspec

from patter_core.server.bounded import BoundedDict

__all__ = ["Links", "PasswordGate", "Session", "Sessions", "Tried"]

_TRIES = 5
"""Passwords that may be tried at once."""
_PER_SECOND = 1 / 6
"""And how many further ones, on average: ten a minute, of everyone together."""
_LONGEST = 1024
"""Characters of a cookie's value, a token or a password."""
_CLOCK_SKEW = 10.0
_ENDED = 10_000
"""Sessions that are remembered as ended."""


class Session(msgspec.Struct, frozen=True):
    """What a cookie says. Fields are only added."""

    way: Literal["link", "password"]
    """How the browser was let in. One that came by a link is taken on this machine only."""
    issued: float
    """Unix s."""
    id: str


class Sessions:
    """Makes and reads the values of cookies.

    Args:
        key: for the signature, 32 bytes. Workers that share it take each other's cookies.
        lifetime: s.
    """

    def __init__(self, key: bytes, lifetime: float) -> None:
        self._key = key
        self._lifetime = lifetime
        self._ended: BoundedDict[str, bool] = BoundedDict(_ENDED)

    def __repr__(self) -> str:
        return "<Sessions>"

    def begin(self, way: Literal["link", "password"], now: float) -> str:
        """Returns the value of a new cookie; `now` is in Unix s."""
        body = _text(msgspec.json.encode(Session(way, now, secrets.token_hex(8))))
        return f"{body}.{self._signature(body)}"

    def read(self, value: str, now: float) -> Session | None:
        """Returns the session of a cookie; None if it is forged, malformed, too old or ended."""
        body, dot, signature = value.partition(".")
        if not dot or len(value) > _LONGEST or not value.isascii():
            return None
        if not hmac.compare_digest(self._signature(body), signature):
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Session)
        except ValueError:
            return None
        is_valid = -_CLOCK_SKEW <= now - session.issued <= self._lifetime and session.id not in self._ended
        return session if is_valid else None

    def end(self, session: Session) -> None:
        """Takes no more cookies of that session, as long as this process lives."""
        self._ended.put(session.id, True)

    def _signature(self, body: str) -> str:
        return _text(hmac.digest(self._key, body.encode(), "sha256"))


class Links:
    """The token of the link that is valid now. Using it makes another one."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)

    def __repr__(self) -> str:
        return "<Links>"

    def use(self, token: str) -> bool:
        """True if that is the token, which then is no longer valid."""
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass")[:_LONGEST], self.token.encode()):
            return False
        self.token = secrets.token_urlsafe(24)
        return True


class Tried(enum.Enum):
    """What came of a try with a password."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_SOON = "too soon"
    """It was not looked at: too many were tried."""


class PasswordGate:
    """Compares passwords, at a bounded rate for all together: whose request it is cannot be told behind a proxy.

    Args:
        password: the right one; "" if there is none.
        now: s, monotonic, as in `tried`.
    """

    def __init__(self, password: str, now: float) -> None:
        self._salt = secrets.token_bytes(16)
        self._digest = self._hash(password) if password else b""
        self._tries = float(_TRIES)
        self._at = now

    def __repr__(self) -> str:
        return "<PasswordGate>"

    def tried(self, password: str, now: float) -> Tried:
        """Returns what comes of a try. The time that it takes does not depend on what is wrong."""
        self._tries = min(_TRIES, self._tries + (now - self._at) * _PER_SECOND)
        self._at = now
        if self._tries < 1:
            return Tried.TOO_SOON
        if self._digest and hmac.compare_digest(self._hash(password[:_LONGEST]), self._digest):
            return Tried.RIGHT
        self._tries -= 1
        return Tried.WRONG

    def _hash(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode("utf-8", "surrogatepass"), key=self._salt).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
