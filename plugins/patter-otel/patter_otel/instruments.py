"""From records to figures that only grow: counters and histograms over all calls of this worker. Sans-IO."""

from __future__ import annotations

import bisect
import enum
from collections.abc import Iterable, Sequence

import msgspec

from patter_core.events import CallAnnounced, CallEnded, CallPriced, ConversationStarted, Record
from patter_core.observe.metrics import CallMetrics
from patter_core.sink import SinkFigures

__all__ = ["BOUNDS", "Family", "FamilyKind", "Instruments", "Labels", "Point"]

Labels = tuple[tuple[str, str], ...]

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper bounds of the latencies' buckets, in s: fine where a conversation notices."""
_DURATIONS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
_POINTS_KEPT = 2_000
"""Sets of labels in a family; what comes beyond is counted without labels, so that a label cannot fill the memory."""
_CALLS_KEPT = 10_000


class FamilyKind(enum.Enum):
    """What the values of a family are."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Point(msgspec.Struct):
    """One set of labels: a sum, or for a histogram the sum with the count of each bucket, the last one unbounded."""

    value: float = 0.0
    counts: list[int] = []


class Family(msgspec.Struct):
    """All points of one name."""

    name: str
    """By OpenTelemetry's rules: dots, no unit."""
    kind: FamilyKind
    unit: str
    """UCUM: `s`, `By`, `{call}`."""
    description: str
    bounds: Sequence[float] = ()
    points: dict[Labels, Point] = msgspec.field(default_factory=dict)

    def point(self, labels: Labels) -> Point:
        """The point of these labels."""
        found = self.points.get(labels)
        if found is None:
            key = labels if len(self.points) < _POINTS_KEPT else ()
            found = self.points.setdefault(key, Point(counts=[0] * (len(self.bounds) + 1) if self.bounds else []))
        return found

    def add(self, labels: Labels, value: float) -> None:
        """Count so much more; nothing for nothing."""
        if value:
            self.point(labels).value += value

    def observe(self, labels: Labels, value: float) -> None:
        """Add a value to a histogram."""
        point = self.point(labels)
        point.value += value
        point.counts[bisect.bisect_left(self.bounds, value)] += 1


def _counter(name: str, unit: str, description: str) -> Family:
    return Family(name, FamilyKind.COUNTER, unit, description)


def _latency(name: str, description: str) -> Family:
    return Family(name, FamilyKind.HISTOGRAM, "s", description, BOUNDS)


class Instruments:
    """All families, fed with records. The same record must not be fed twice."""

    def __init__(self) -> None:
        self.calls = _counter("patter.calls", "{call}", "Calls that ended")
        self.active = Family("patter.calls.active", FamilyKind.GAUGE, "{call}", "Calls that go on")
        self.duration = Family("patter.call.duration", FamilyKind.HISTOGRAM, "s", "Length of calls", _DURATIONS)
        self.answer = _latency("patter.call.answer", "From the announcement to the answer")
        self.first_audio = _latency("patter.call.first_audio", "From the carrier's media to the first agent audio")
        self.connect = _latency("patter.engine.connect", "From the wish for a conversation to a ready engine")
        self.reply = _latency("patter.reply", "From the user's end of speech to the agent's first audio")
        self.barge_in = _latency("patter.barge_in", "From the interruption to the carrier's silence")
        self.turns = _counter("patter.turns", "{turn}", "Turns, by who spoke")
        self.interruptions = _counter("patter.interruptions", "{interruption}", "Times a caller talked over the agent")
        self.frames = _counter("patter.frames", "{frame}", "Audio messages, by direction and fate")
        self.audio = _counter("patter.audio", "By", "Audio that crossed, by direction")
        self.errors = _counter("patter.errors", "{error}", "Errors, by who reported them")
        self.engine_time = _counter("patter.engine.time", "s", "Length of the engines' conversations")
        self.minutes = _counter("patter.carrier.billed", "min", "Minutes that the carrier bills, begun ones whole")
        self.cost = _counter("patter.carrier.cost", "{currency}", "Cost at the carrier by list prices, by currency")
        self.charged = _counter("patter.carrier.charged", "{currency}", "What the carrier said it charges, by currency")
        self.sink_records = _counter("patter.sink.records", "{record}", "Records for sinks, by sink and fate")
        self.sink_waiting = Family("patter.sink.waiting", FamilyKind.GAUGE, "{record}", "Records that wait, by sink")
        self.sink_open = Family("patter.sink.open", FamilyKind.GAUGE, "1", "1 while the sink's breaker is open")
        self._calls: dict[str, dict[str, str]] = {}
        """Carrier, direction, agent and engine of each call that goes on, and for a while of those that are over."""
        self._live: set[str] = set()

    def families(self) -> list[Family]:
        """All of them that have a point."""
        return [family for family in vars(self).values() if isinstance(family, Family) and family.points]

    def feed(self, records: Iterable[Record]) -> None:
        """Count what happened."""
        for record in records:
            known = self._calls.get(record.call_id, {})
            match record.event:
                case CallAnnounced(leg=leg, agent=agent):
                    self._calls[record.call_id] = {
                        "agent": agent,
                        "carrier": leg.carrier,
                        "direction": leg.direction.value,
                    }
                    self._live.add(record.call_id)
                    self._forget()
                case ConversationStarted(engine=engine):
                    self._calls.setdefault(record.call_id, known)["engine"] = engine
                case CallEnded(reason=reason, metrics=metrics):
                    self._live.discard(record.call_id)
                    self.calls.add(_labels(known, reason=reason), 1)
                    self._measure(metrics, known)
                case CallPriced(cost=cost):
                    self.charged.add(_labels(known, currency=cost.currency), float(cost.amount))
                case _:
                    pass
        self.active.point(()).value = float(len(self._live))

    def look_at(self, sinks: Iterable[SinkFigures]) -> None:
        """Take over how the sinks do."""
        for figures in sinks:
            labels = {"sink": figures.sink}
            for fate, count in (("written", figures.written), ("dropped", figures.dropped)):
                self.sink_records.point(_labels(labels, fate=fate)).value = float(count)
            self.sink_waiting.point(_labels(labels)).value = float(figures.waiting)
            self.sink_open.point(_labels(labels)).value = float(figures.open)

    def _measure(self, metrics: CallMetrics, known: dict[str, str]) -> None:
        labels = _labels(known)
        self.duration.observe(labels, metrics.duration_ms / 1000)
        for family, times in (
            (self.answer, (metrics.answer_ms,)),
            (self.first_audio, (metrics.first_audio_ms,)),
            (self.connect, (metrics.engine_connect_ms,)),
            (self.reply, metrics.reply_ms),
            (self.barge_in, metrics.barge_in_ms),
        ):
            for time in times:
                if time is not None:
                    family.observe(labels, time / 1000)
        self.turns.add(_labels(known, by="agent"), metrics.turns)
        self.turns.add(_labels(known, by="user"), metrics.user_turns)
        self.interruptions.add(labels, metrics.interruptions)
        for fate, count in (
            ("in", metrics.frames_in),
            ("out", metrics.frames_out),
            ("dropped", metrics.frames_dropped),
            ("early", metrics.frames_early),
            ("late", metrics.frames_late),
        ):
            self.frames.add(_labels(known, fate=fate), count)
        self.audio.add(_labels(known, way="in"), metrics.bytes_in)
        self.audio.add(_labels(known, way="out"), metrics.bytes_out)
        self.errors.add(_labels(known, by="engine"), metrics.errors)
        self.errors.add(_labels(known, by="carrier"), metrics.faults)
        self.engine_time.add(labels, metrics.engine_ms / 1000)
        bill = metrics.carrier_bill
        if bill is not None:
            self.minutes.add(labels, bill.minutes)
            self.cost.add(_labels(known, currency=bill.cost.currency), float(bill.cost.amount))

    def _forget(self) -> None:
        while len(self._calls) > _CALLS_KEPT:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._live.discard(oldest)


def _labels(known: dict[str, str], **more: str) -> Labels:
    return tuple(sorted({**known, **more}.items()))
