"""From records to measurements over all calls of this worker. Sans-IO, and the same for every metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallMoved,
    CallPriced,
    ConversationStarted,
    Record,
    TurnTimings,
)
from patter_core.observe.metrics import CallMetrics
from patter_core.sink import LAG_BOUNDS, LoopLag, WorkerFigures

__all__ = ["BOUNDS", "INSTRUMENTS", "Instrument", "Instruments", "Measure"]

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper bounds of the latencies' buckets, in s: fine where a conversation notices."""
_DURATIONS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
_CALL = ("agent", "carrier", "direction", "engine")
_BILL = ("part", "vendor", "model")
_STAGES = frozenset({"end_of_turn", "first_token", "first_text", "first_audio", "sent"})
"""Those that are told apart; all others are `other`, so that names cannot fill the memory."""
_AGENTS_KEPT = 500
"""Names of agents that are told apart; all further ones are `other`, so that names cannot fill the memory."""
_CALLS_KEPT = 10_000
_Series = tuple[str, tuple[tuple[str, str], ...]]
"""The name of an instrument, and attributes."""


class Instrument(msgspec.Struct, frozen=True):
    """One metric: its name by OpenTelemetry's rules (dots, no unit), a UCUM unit, and all attributes it may have."""

    kind: Literal["counter", "up_down_counter", "histogram"]
    name: str
    unit: str
    description: str
    attributes: tuple[str, ...] = _CALL
    bounds: tuple[float, ...] = BOUNDS


Measure = Callable[[float, Mapping[str, str]], None]
"""Takes a value with its attributes: adds it to a counter, or records it in a histogram."""

INSTRUMENTS = (
    Instrument("counter", "patter.calls", "{call}", "Calls that ended", (*_CALL, "reason")),
    Instrument("up_down_counter", "patter.calls.active", "{call}", "Calls in progress", ()),
    Instrument("up_down_counter", "patter.calls.limit", "{call}", "The most calls that are taken at once", ()),
    Instrument("counter", "patter.calls.turned_away", "{call}", "Incoming calls that were not taken", ("reason",)),
    Instrument("up_down_counter", "patter.workers", "{worker}", "Workers that run", ()),
    Instrument("counter", "patter.webhooks.refused", "{request}", "Requests that were no good webhook", ("reason",)),
    Instrument("histogram", "patter.loop.lag", "s", "How late the event loop ran what was due", (), LAG_BOUNDS),
    Instrument("counter", "patter.queue.dropped", "{item}", "What found no room or no time, by queue", ("queue",)),
    Instrument("histogram", "patter.call.duration", "s", "Length of calls", _CALL, _DURATIONS),
    Instrument("histogram", "patter.call.answer", "s", "From the announcement to the answer"),
    Instrument("histogram", "patter.call.first_audio", "s", "From the carrier's media to the first agent audio"),
    Instrument("histogram", "patter.engine.connect", "s", "From the start of a conversation to a ready engine"),
    Instrument("histogram", "patter.reply", "s", "From the engine's report of the user's words to the agent's audio"),
    Instrument("histogram", "patter.speech_reply", "s", "From the end of the user's speech to the agent's audio"),
    Instrument(
        "histogram", "patter.turn.stage", "s", "From the end of the user's speech to each stage", (*_CALL, "stage")
    ),
    Instrument("histogram", "patter.barge_in", "s", "From the engine's report of a barge-in to the carrier's clear"),
    Instrument("counter", "patter.turns", "{turn}", "Turns, by who spoke", (*_CALL, "by")),
    Instrument("counter", "patter.interruptions", "{interruption}", "Times a caller interrupted the agent"),
    Instrument("counter", "patter.frames", "{frame}", "Audio messages, by direction and fate", (*_CALL, "fate")),
    Instrument("counter", "patter.audio", "By", "Audio that crossed, by direction", (*_CALL, "way")),
    Instrument("counter", "patter.errors", "{error}", "Errors, by who reported them", (*_CALL, "by")),
    Instrument("counter", "patter.engine.time", "s", "Length of the engines' conversations"),
    Instrument("counter", "patter.engine.used", "1", "What engines and parts bill, by unit", (*_CALL, *_BILL, "of")),
    Instrument("counter", "patter.engine.cost", "{currency}", "Its cost by list prices", (*_CALL, *_BILL, "currency")),
    Instrument("counter", "patter.engine.unpriced", "{call}", "Calls whose part has no known price", (*_CALL, *_BILL)),
    Instrument("counter", "patter.carrier.billed", "min", "Minutes that the carrier bills, begun ones whole"),
    Instrument("counter", "patter.carrier.cost", "{currency}", "Cost by list prices", (*_CALL, "currency")),
    Instrument("counter", "patter.carrier.charged", "{currency}", "What the carrier charges", (*_CALL, "currency")),
    Instrument("counter", "patter.sink.records", "{record}", "Records for sinks, by fate", ("sink", "fate")),
    Instrument("up_down_counter", "patter.sink.waiting", "{record}", "Records that wait for a sink", ("sink",)),
    Instrument(
        "up_down_counter", "patter.sink.held", "{record}", "Records that a sink could not deliver yet", ("sink",)
    ),
    Instrument("up_down_counter", "patter.sink.open", "1", "Workers where the sink's breaker is open", ("sink",)),
)
_LEVELS = frozenset(instrument.name for instrument in INSTRUMENTS if instrument.kind == "up_down_counter")


class Instruments:
    """All instruments, which `make` makes in a metrics library, fed with records."""

    def __init__(self, make: Callable[[Instrument], Measure]) -> None:
        self._measure = {instrument.name: make(instrument) for instrument in INSTRUMENTS}
        self._known: dict[str, dict[str, str]] = {}
        """The attributes of calls in progress, and for a while of those that ended."""
        self._live: set[str] = set()
        self._agents: set[str] = set()
        self._seen = Counter[_Series]()
        self._lag = LoopLag()

    def feed(self, records: Iterable[Record]) -> None:
        """Counts what happened. A call's end counts once, however often it comes; every other record must come once."""
        for record in records:
            known = self._known.get(record.call_id, {})
            match record.event:
                case CallAnnounced(leg=leg, agent=agent):
                    known = {"agent": self._bounded(agent), "carrier": leg.carrier, "direction": leg.direction.value}
                    self._keep(record.call_id, known)
                    if record.call_id not in self._live:
                        self._live.add(record.call_id)
                        self._measure["patter.calls.active"](1, {})
                case ConversationStarted(engine=engine):
                    known["engine"] = engine
                case CallEnded(reason=reason) if record.call_id in self._live or record.call_id not in self._known:
                    self._keep(record.call_id, known)
                    self._leave(record.call_id)
                    self._measure["patter.calls"](1, {**known, "reason": reason})
                    for name, value, more in _measured(record.event.metrics):
                        self._measure[name](value, {**known, **more})
                case CallMoved():
                    self._leave(record.call_id)
                case TurnTimings(stages_ms=stages):
                    self._take_stages(stages, known)
                case CallPriced(cost=cost):
                    self._measure["patter.carrier.charged"](float(cost.amount), {**known, "currency": cost.currency})
                case _:
                    pass

    def _take_stages(self, stages: Mapping[str, float], known: Mapping[str, str]) -> None:
        for stage, ms in stages.items():
            named = {**known, "stage": stage if stage in _STAGES else "other"}
            self._measure["patter.turn.stage"](max(0.0, ms / 1000), named)

    def look_at(self, worker: WorkerFigures) -> None:
        """Takes over how the worker does: what changed since the last time. Another host begins at 0."""
        now = Counter[_Series]()
        now["patter.calls.limit", ()] = worker.calls_limit
        now["patter.workers", ()] = 1
        for name, attribute, by in (
            ("patter.calls.turned_away", "reason", worker.turned_away),
            ("patter.webhooks.refused", "reason", worker.webhooks_refused),
            ("patter.queue.dropped", "queue", worker.dropped),
        ):
            now.update({(name, ((attribute, key),)): count for key, count in by.items()})
        for figures in worker.sinks:
            of = ("sink", figures.sink)
            now["patter.sink.records", (of, ("fate", "written"))] += figures.written
            now["patter.sink.records", (of, ("fate", "dropped"))] += figures.dropped
            now["patter.sink.waiting", (of,)] += figures.waiting
            now["patter.sink.held", (of,)] += figures.held
            now["patter.sink.open", (of,)] += figures.open
        for (name, attributes), value in now.items():
            change = value - self._seen[name, attributes]
            self._measure[name](change if name in _LEVELS else max(0, change), dict(attributes))
        self._seen = now
        self._take_lag(worker.loop_lag)

    def _take_lag(self, lag: LoopLag) -> None:
        """Records as many measurements in each bucket as came since, each of their mean. Another host begins at 0."""
        before, self._lag = self._lag, lag
        for bucket, count in enumerate(lag.counts):
            new = count - before.counts[bucket]
            for _ in range(new):
                self._measure["patter.loop.lag"]((lag.seconds[bucket] - before.seconds[bucket]) / new, {})

    def _bounded(self, agent: str) -> str:
        if len(self._agents) < _AGENTS_KEPT:
            self._agents.add(agent)
        return agent if agent in self._agents else "other"

    def _keep(self, call_id: str, known: dict[str, str]) -> None:
        self._known[call_id] = known
        if len(self._known) > _CALLS_KEPT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._leave(oldest)

    def _leave(self, call_id: str) -> None:
        if call_id in self._live:
            self._live.remove(call_id)
            self._measure["patter.calls.active"](-1, {})


def _measured(call: CallMetrics) -> Iterator[tuple[str, float, Mapping[str, str]]]:
    """Instrument, value and attributes of all that was measured in a call."""
    for name, times in (
        ("patter.call.duration", (call.duration_ms,)),
        ("patter.call.answer", (call.answer_ms,)),
        ("patter.call.first_audio", (call.first_audio_ms,)),
        ("patter.engine.connect", (call.engine_connect_ms,)),
        ("patter.reply", call.reply_ms),
        ("patter.speech_reply", call.speech_reply_ms),
        ("patter.barge_in", call.barge_in_ms),
    ):
        yield from ((name, time / 1000, {}) for time in times if time is not None)
    lost = {"dropped": call.frames_dropped, "unsent": call.frames_unsent}
    frames = {"in": call.frames_in, "out": call.frames_out, "early": call.frames_early, "late": call.frames_late}
    for name, attribute, counts in (
        ("patter.turns", "by", {"agent": call.turns, "user": call.user_turns}),
        ("patter.frames", "fate", {**frames, **lost}),
        ("patter.audio", "way", {"in": call.bytes_in, "out": call.bytes_out}),
        ("patter.errors", "by", {"engine": call.errors, "carrier": call.faults}),
    ):
        yield from ((name, count, {attribute: value}) for value, count in counts.items() if count)
    yield "patter.interruptions", call.interruptions, {}
    yield "patter.engine.time", call.engine_ms / 1000, {}
    for bill in call.engine_bills:
        of = {"part": bill.part, "vendor": bill.vendor, "model": bill.model}
        yield from (("patter.engine.used", amount, {**of, "of": unit}) for unit, amount in bill.amounts.items())
        if bill.cost is None:
            yield "patter.engine.unpriced", 1, of
        else:
            yield "patter.engine.cost", float(bill.cost.amount), {**of, "currency": bill.cost.currency}
    if call.carrier_bill is not None:
        cost = call.carrier_bill.cost
        yield "patter.carrier.billed", call.carrier_bill.minutes, {}
        yield "patter.carrier.cost", float(cost.amount), {"currency": cost.currency}
