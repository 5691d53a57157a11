"""One direction of one call: what is on its way, what arrives, and whether that is what it should be."""

from __future__ import annotations

import time
from array import array
from collections import deque

from patter_core.audio import AudioFormat
from tests.bench.voice import fidelity

__all__ = ["Direction", "Flow"]

LONGEST_TAIL = 5
"""Milliseconds that a converter may hold back, and give in a message of their own at the end of a turn."""
LEAST_SNR_DB = 20.0
"""μ-law alone leaves 38 dB; one frame that is lost or out of place, below 5 dB from there on."""


class Direction:
    """What all calls together see in one direction: `to_engine` or `to_caller`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.measuring = False
        self.latencies = array("d")
        """Of each frame that arrived while measuring, in s."""
        self.sent = 0
        self.arrived = 0
        self.void = 0
        """Overtaken by an interruption, and rightly dropped."""
        self.faults: deque[str] = deque(maxlen=20)
        self.fault_count = 0

    def fault(self, what: str) -> None:
        self.fault_count += 1
        self.faults.append(f"{self.name}: {what}")


class Flow:
    """Of one call. Audio that crosses unconverted must arrive letter by letter; other audio is kept for `finish`."""

    __slots__ = ("_direction", "_format", "_heard", "_waiting", "call", "place", "sent", "sent_ms")

    def __init__(self, direction: Direction, call: int, *, heard_as: AudioFormat | None, place: int) -> None:
        """Of the call of that number.

        Args:
            heard_as: the format at the other end, if audio is converted on the way.
            place: the frame of the sound with which this flow begins.
        """
        self.call = call
        self.sent = 0
        self.sent_ms = 0
        self._direction = direction
        self._format = heard_as
        self.place = place
        self._heard: list[str] | None = None if heard_as is None else []
        self._waiting: deque[tuple[str, float]] = deque()

    def send(self, text: str, duration_ms: int) -> None:
        """Note what goes out now."""
        self.sent += 1
        self.sent_ms += duration_ms
        self._direction.sent += 1
        self._waiting.append((text, time.perf_counter()))

    def arrive(self, text: str) -> None:
        """Check what came."""
        now = time.perf_counter()
        direction = self._direction
        if not self._waiting:
            self._unexpected(text)
            return
        expected, sent_at = self._waiting.popleft()
        direction.arrived += 1
        if direction.measuring:
            direction.latencies.append(now - sent_at)
        if self._heard is not None:
            self._heard.append(text)
        elif text != expected:
            direction.fault(f"call {self.call} heard something else than was said")

    def overtaken(self, before: int) -> None:
        """An interruption came through: what was sent before number `before` and is not here yet must not come."""
        waiting = self._waiting
        while waiting and self.sent - len(waiting) < before:
            waiting.popleft()
            self._direction.void += 1

    def settle(self) -> None:
        """Everything has had its time to arrive: check the whole."""
        direction = self._direction
        if self._waiting:
            direction.fault(f"call {self.call} lost {len(self._waiting)} of {self.sent}")
        if self._heard is None or self._format is None:
            return
        found = fidelity(self._heard, self._format, self.place)
        missing = self.sent_ms - found.heard_ms
        if not -0.1 <= missing <= LONGEST_TAIL:
            direction.fault(f"call {self.call} heard {found.heard_ms:.1f} ms of {self.sent_ms} ms")
        if found.snr_db < LEAST_SNR_DB:
            direction.fault(f"call {self.call} heard another sound: {found.snr_db:.1f} dB from the one that was said")
        self._heard = None

    def _unexpected(self, text: str) -> None:
        if self._heard is not None and self._format is not None:
            size = len(text) * 3 / 4
            if size * 1000 / self._format.byte_rate <= LONGEST_TAIL:
                self._heard.append(text)
                return
        self._direction.fault(f"call {self.call} heard what nobody said")
