"""Counts the metrics of one call: plain attributes, since the hot path writes them."""

from __future__ import annotations

import msgspec

from patter_core.audio import AudioFormat
from patter_core.events import TurnTimings
from patter_core.events import Usage as EngineUsage
from patter_core.observe.metrics import CallMetrics, CarrierBill, EngineBill, Latency
from patter_core.telephony.leg import Direction
from patter_core.telephony.prices import Usage

__all__ = ["Meter"]

_TIMES_KEPT = 1000
"""Of each latency: a call of many hours stays small."""
_STAGES_KEPT = 20
"""Names of stages, which a plugin chooses."""


class Meter(msgspec.Struct, eq=False):
    """The counters of one call; `metrics()` returns them as a struct. Times are of a monotonic clock, in s."""

    began_at: float | None = None
    """When the call's media first came, if that was at another worker."""
    announced_at: float | None = None
    answered_at: float | None = None
    media_at: float | None = None
    first_audio_at: float | None = None
    over_at: float | None = None
    """When the call was over at its carrier, if that was found out later."""
    engine_connect_ms: float | None = None
    machine_detection: bool = False
    """True if the carrier was asked who answers."""
    _recorded: float = 0.0
    _recording_at: float | None = None
    _engine_at: float | None = None
    _engine_ms: float = 0.0
    turns: int = 0
    user_turns: int = 0
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    frames_early: int = 0
    frames_unsent: int = 0
    messages_early: int = 0
    faults: int = 0
    errors: int = 0
    interruptions: int = 0
    carrier_format: AudioFormat | None = None
    engine_input_format: AudioFormat | None = None
    engine_output_format: AudioFormat | None = None
    _asked_at: float | None = None
    _replies: list[float] = []
    _silent_since: float | None = None
    _speech_replies: list[float] = []
    _barge_ins: list[float] = []
    _stages: dict[str, list[float]] = {}
    _bills: dict[tuple[str, str, str], EngineBill] = {}

    def engine_began(self, now: float) -> None:
        """A session was opened."""
        self._engine_at = now

    def engine_ended(self, now: float) -> None:
        """The session is over; another may follow."""
        self._engine_ms += _since(self._engine_at, now) or 0.0
        self._engine_at = None

    def engine_ms(self, now: float) -> float:
        """Returns how long the sessions lasted so far, in ms."""
        return self._engine_ms + (_since(self._engine_at, now) or 0.0)

    def speech_stopped(self, at: float) -> None:
        """The user fell silent then, as the engine tells: `speech_reply_ms` counts from there."""
        self._silent_since = at

    def used(self, usage: EngineUsage) -> None:
        """The engine reports what its vendor bills, beyond its last report."""
        key = (usage.part, usage.vendor, usage.model)
        bill = EngineBill(part=usage.part, vendor=usage.vendor, model=usage.model)
        self._bills[key] = self._bills.get(key, bill).plus(usage.amounts, usage.cost)

    def timed(self, timings: TurnTimings) -> None:
        """The engine tells where the time of an answer went."""
        for stage, ms in timings.stages_ms.items():
            if stage in self._stages or len(self._stages) < _STAGES_KEPT:
                _keep(self._stages.setdefault(stage, []), ms)

    def recording_changed(self, status: str, now: float) -> None:
        """The carrier's recording was started, resumed, paused or stopped, as `RecordingStatus.status` has it."""
        if status in {"started", "resumed"}:
            self._recording_at = now if self._recording_at is None else self._recording_at
        elif self._recording_at is not None:
            self._recorded += now - self._recording_at
            self._recording_at = None

    def user_spoke(self, now: float, *, is_late: bool = False) -> None:
        """The engine reported what the caller said: `reply_ms` counts from here.

        Args:
            now: the time.
            is_late: the agent may have begun to answer before.
        """
        self.user_turns += 1
        if not is_late or self._silent_since is not None:
            self._asked_at = now

    def agent_spoke(self, now: float, *, goes_on: bool = False) -> None:
        """The first audio of a turn was sent.

        Args:
            now: the time.
            goes_on: the turn was paused before, and has been counted.
        """
        self.turns += not goes_on
        if self.first_audio_at is None:
            self.first_audio_at = now
        if self._asked_at is not None:
            _keep(self._replies, (now - self._asked_at) * 1000)
            self._asked_at = None
        if self._silent_since is not None:
            _keep(self._speech_replies, (now - self._silent_since) * 1000)
            self._silent_since = None

    def interrupted(self, at: float, now: float) -> None:
        """The caller interrupted at `at`, and the carrier has taken the clear at `now`."""
        self.interruptions += 1
        _keep(self._barge_ins, (now - at) * 1000)

    def usage(self, now: float, direction: Direction) -> Usage:
        """Returns what the carrier bills so far."""
        now = self._over_by(now)
        connected, streamed, recording = (
            (_since(start, now) or 0.0) / 1000
            for start in (self._first_of(self.answered_at), self._first_of(self.media_at), self._recording_at)
        )
        return Usage(
            direction=direction,
            connected=connected,
            streamed=streamed,
            recorded=self._recorded + recording,
            machine_detection=self.machine_detection,
        )

    def _over_by(self, now: float) -> float:
        return now if self.over_at is None else self.over_at

    def _first_of(self, here: float | None) -> float | None:
        """Returns when something happened for the first time, if it did at this worker at `here`."""
        return here if self.began_at is None else self.began_at

    def metrics(
        self,
        now: float,
        *,
        heard_ms: float,
        frames_dropped: int,
        frames_late: int = 0,
        carrier_bill: CarrierBill | None = None,
    ) -> CallMetrics:
        """Returns the metrics so far."""
        carrier, engine_in, engine_out = self.carrier_format, self.engine_input_format, self.engine_output_format
        answered_here = self.answered_at if self.began_at is None else None
        return CallMetrics(
            duration_ms=_since(self._first_of(self.media_at), self._over_by(now)) or 0.0,
            answer_ms=None if answered_here is None else _since(self.announced_at, answered_here),
            first_audio_ms=None if self.first_audio_at is None else _since(self.media_at, self.first_audio_at),
            engine_connect_ms=self.engine_connect_ms,
            carrier_bill=carrier_bill,
            engine_bills=tuple(self._bills.values()),
            engine_ms=self.engine_ms(now),
            turns=self.turns,
            user_turns=self.user_turns,
            reply_ms=tuple(self._replies),
            reply=Latency.of(self._replies),
            speech_reply_ms=tuple(self._speech_replies),
            speech_reply=Latency.of(self._speech_replies),
            stages={stage: latency for stage, times in self._stages.items() if (latency := Latency.of(times))},
            barge_in_ms=tuple(self._barge_ins),
            barge_in=Latency.of(self._barge_ins),
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            frames_dropped=frames_dropped,
            frames_early=self.frames_early,
            frames_unsent=self.frames_unsent,
            messages_early=self.messages_early,
            frames_late=frames_late,
            faults=self.faults,
            errors=self.errors,
            interruptions=self.interruptions,
            heard_ms=heard_ms,
            carrier_format=_name(carrier),
            engine_input_format=_name(engine_in),
            engine_output_format=_name(engine_out),
            passthrough=carrier is not None and carrier == engine_in == engine_out,
        )


def _keep(times: list[float], value: float) -> None:
    if len(times) < _TIMES_KEPT:
        times.append(value)


def _since(start: float | None, end: float) -> float | None:
    return None if start is None else (end - start) * 1000


def _name(format: AudioFormat | None) -> str:
    return "" if format is None else str(format)
