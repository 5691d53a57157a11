"""The figures of one call, as they are counted: plain attributes, since the hot path writes them."""

from __future__ import annotations

from patter_core.audio import AudioFormat
from patter_core.events import CallMetrics

__all__ = ["Meter"]

_REPLIES_KEPT = 1000


class Meter:
    """Counts while the call goes on; `metrics()` is the typed picture of it. Times are a monotonic clock's, in s."""

    def __init__(self) -> None:
        self.media_at: float | None = None
        self.first_audio_at: float | None = None
        self.engine_connect_ms: float | None = None
        self.frames_in = 0
        self.frames_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.frames_early = 0
        self.faults = 0
        self.interruptions = 0
        self.carrier_format: AudioFormat | None = None
        self.engine_input_format: AudioFormat | None = None
        self.engine_output_format: AudioFormat | None = None
        self._asked_at: float | None = None
        self._replies: list[float] = []

    def user_spoke(self, now: float) -> None:
        """The engine told what the user said: from here on he waits for an answer."""
        self._asked_at = now

    def agent_spoke(self, now: float) -> None:
        """The first audio of a turn goes out."""
        if self.first_audio_at is None:
            self.first_audio_at = now
        if self._asked_at is not None:
            if len(self._replies) < _REPLIES_KEPT:
                self._replies.append((now - self._asked_at) * 1000)
            self._asked_at = None

    def metrics(self, now: float, *, heard_ms: float, frames_dropped: int) -> CallMetrics:
        """The figures so far."""
        carrier, engine_in, engine_out = self.carrier_format, self.engine_input_format, self.engine_output_format
        return CallMetrics(
            duration_ms=_since(self.media_at, now) or 0.0,
            first_audio_ms=None if self.first_audio_at is None else _since(self.media_at, self.first_audio_at),
            engine_connect_ms=self.engine_connect_ms,
            reply_ms=tuple(self._replies),
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            frames_dropped=frames_dropped,
            frames_early=self.frames_early,
            faults=self.faults,
            interruptions=self.interruptions,
            heard_ms=heard_ms,
            carrier_format=_name(carrier),
            engine_input_format=_name(engine_in),
            engine_output_format=_name(engine_out),
            passthrough=carrier is not None and carrier == engine_in == engine_out,
        )


def _since(start: float | None, end: float) -> float | None:
    return None if start is None else (end - start) * 1000


def _name(format: AudioFormat | None) -> str:
    return "" if format is None else str(format)
