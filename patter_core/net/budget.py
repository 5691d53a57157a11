"""How much a peer may send on a socket. Sans-IO: time is an argument.

A peer that floods a socket with tiny messages or control frames costs the event loop, and so every call of the worker,
some microseconds for each. What it may send is a burst, and a rate beyond it. Speech needs a small part of both.
"""

from __future__ import annotations

import math

__all__ = ["Budget"]

_LONGEST_PAUSE = 1.0
"""Seconds. After it a little is read, so that the end of the connection is noticed."""


class Budget:
    """What one peer may send: messages (frames, of any kind) and bytes.

    Args:
        messages: a second, on average. Speech in frames of 20 ms is 50.
        size: bytes a second, on average. Speech in PCM at 24 kHz, as base64 in JSON, is 65,000.
        burst: how many seconds' worth may come at once: an engine sends faster than its audio plays.
        patience: s, for which a peer that sends more is read more slowly before it is given up.
    """

    def __init__(
        self, *, messages: float = 200.0, size: float = 4 * 2**20, burst: float = 10.0, patience: float = 10.0
    ) -> None:
        self._messages_per_second = messages
        self._size_per_second = size
        self._burst = burst
        self._patience = patience
        self._messages = messages * burst
        self._size = size * burst
        self._at: float | None = None
        self._exceeded_at: float | None = None

    def spend(self, messages: int, size: int, now: float) -> float:
        """Counts what was read, and returns for how many seconds to read nothing.

        It is 0 within the budget, and infinite once the peer should be given up (close code 1008). To be called for
        some tens of messages together, or for some hundred kilobytes: the clock need not be read for each.

        Args:
            messages: read since the last call.
            size: bytes, likewise.
            now: s, of a clock that only goes forward.
        """
        elapsed = 0.0 if self._at is None else now - self._at
        self._at = now
        most_messages, most_size = self._messages_per_second * self._burst, self._size_per_second * self._burst
        self._messages = min(most_messages, self._messages + elapsed * self._messages_per_second)
        self._size = min(most_size, self._size + elapsed * self._size_per_second)
        if self._messages > most_messages / 2 and self._size > most_size / 2:
            self._exceeded_at = None
        self._messages -= messages
        self._size -= size
        debt = max(-self._messages / self._messages_per_second, -self._size / self._size_per_second)
        if debt <= 0:
            return 0.0
        if self._exceeded_at is None:
            self._exceeded_at = now
        elif now - self._exceeded_at >= self._patience:
            return math.inf
        return min(debt, _LONGEST_PAUSE)
