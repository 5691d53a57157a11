"""How much one worker takes on, and the rate of new calls."""

from __future__ import annotations

import msgspec

from patter_core.config import check_no_negatives
from patter_core.server.serving import MAX_MESSAGE_BYTES
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Limits", "RateLimit"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one worker takes on. None of it depends on a peer's address."""

    calls: int = 500
    """Concurrent calls; the next one is rejected as busy. A live call that another worker lost is taken beyond it."""
    calls_per_second: float = 50.0
    """New ones, on average; as many may come at once after a quiet time."""
    prewarm: int = 50
    """Conversations that may be open before the caller's audio is here, so that the agent's first word is ready. 0 opens
    none ahead. Workers that share calls open none ahead."""
    message: int = MAX_MESSAGE_BYTES
    """Bytes of the longest message on a media socket; a longer one ends it. Held by `Patter.serve`; with a server of
    your own it is that server's setting."""
    drain: float = 30.0
    """Seconds that live calls get when the worker stops."""
    flush: float = 5.0
    """Seconds that sinks then get for what waits for them."""
    after_drain: HangUp | Transfer = HangUp()
    """What becomes of a call that is live even then, once the agent's last word is heard."""
    reconnects: int = 3
    """How often in one call the carrier may bring its media again after it was lost."""
    price_after: tuple[float, ...] = (30.0, 120.0, 600.0)
    """Seconds after a call's end when its carrier is asked what it charges, until it knows. Nothing waits for that."""
    callback: float = 10.0
    """Seconds for one call of one of the user's callbacks."""

    def __post_init__(self) -> None:
        check_no_negatives(self)


class RateLimit:
    """A token bucket: `per_second` on average, and as many (at least one) at once after a quiet time.

    Sans-IO: `now` is a monotonic clock, in s.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, per_second)
        self._tokens = self._size
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Takes one; False if none is left."""
        self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
