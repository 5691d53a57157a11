"""The metrics of a call: typed, frozen, and the same live and at the end."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from patter_core.telephony.prices import CarrierRates, Cost, Usage, sum_costs

__all__ = ["CallMetrics", "CarrierBill", "EngineBill", "Latency", "costs_of", "unpriced_of"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, over all the times it happened. Each percentile is a value that was measured."""

    count: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    longest_ms: float

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> Self | None:
        """Of these times, by nearest rank; None if there are none."""
        ordered = sorted(values_ms)
        if not ordered:
            return None

        def percentile(percent: int) -> float:
            return ordered[math.ceil(percent * len(ordered) / 100) - 1]

        return cls(
            count=len(ordered),
            p50_ms=percentile(50),
            p90_ms=percentile(90),
            p95_ms=percentile(95),
            p99_ms=percentile(99),
            longest_ms=ordered[-1],
        )


class CarrierBill(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier will bill by its list prices. `CallPriced` reports later what it really charges."""

    minutes: int
    """Of the connection, each begun minute counted."""
    cost: Cost
    as_of: dt.date
    """When the prices were read."""
    source: str
    """Where, in words."""

    @classmethod
    def of(cls, usage: Usage, rates: CarrierRates | None) -> Self | None:
        """Returns the bill by these rates; None without rates, or for a call that was not answered."""
        if rates is None or not usage.connected:
            return None
        return cls(
            minutes=math.ceil(usage.connected / 60),
            cost=rates.estimate(usage),
            as_of=rates.as_of,
            source=rates.source,
        )


class EngineBill(msgspec.Struct, frozen=True, kw_only=True):
    """What one vendor of the engine bills for the call, as the engine reported it (`Usage`)."""

    part: str
    """`engine`, or a part of a pipeline: `stt`, `llm`, `tts`."""
    vendor: str
    model: str = ""
    amounts: dict[str, float] = {}
    """By the vendor's unit, such as `seconds` or `output_audio_tokens`."""
    cost: Cost | None = None
    """By the plugin's price list; None if the price of any of it is not listed."""
    is_priced: bool = True
    """False once something was reported without a price."""

    def plus(self, amounts: Mapping[str, float], cost: Cost | None) -> Self:
        """Returns the bill with another report on it."""
        totals = dict(self.amounts)
        for unit, amount in amounts.items():
            totals[unit] = totals.get(unit, 0.0) + amount
        if cost is None or not self.is_priced:
            return msgspec.structs.replace(self, amounts=totals, is_priced=False, cost=None)
        if self.cost is not None:
            cost = msgspec.structs.replace(cost, amount=self.cost.amount + cost.amount)
        return msgspec.structs.replace(self, amounts=totals, cost=cost)


def costs_of(bills: Iterable[EngineBill]) -> tuple[Cost, ...]:
    """Returns what these bills come to, by currency. What has no known price is not in it."""
    return sum_costs(bill.cost for bill in bills if bill.cost is not None)


def unpriced_of(bills: Iterable[EngineBill]) -> str:
    """Returns the vendors and parts whose price is not known, sorted: `acme llm, acme tts`; "" if all are known."""
    return ", ".join(sorted({f"{bill.vendor} {bill.part}" for bill in bills if bill.cost is None}))


class CallMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of a call. Times in ms; a time that was not measured is None.

    Of a call that a worker took over from one that is gone, `duration_ms` and `carrier_bill` are of the whole call, as
    far as is known. All else is of the worker that tells it.
    """

    duration_ms: float = 0.0
    """From the start of the carrier's media to the end."""
    answer_ms: float | None = None
    """From the arrival of the call to the answer: ours to a caller, the callee's to us."""
    first_audio_ms: float | None = None
    """From the start of the carrier's media to the first agent audio sent to it."""
    engine_connect_ms: float | None = None
    carrier_bill: CarrierBill | None = None
    """None if the carrier has no list prices, or the call was not answered."""
    engine_ms: float = 0.0
    """How long the engine's sessions lasted."""
    engine_bills: tuple[EngineBill, ...] = ()
    """By part, vendor and model; empty with engines that do not report what they use."""
    turns: int = 0
    """Turns of the agent of which the carrier got audio. One that was paused and has gone on is one."""
    user_turns: int = 0
    """Times the engine reported what the user said."""
    reply_ms: tuple[float, ...] = ()
    """For each turn: from the engine's report of what the user said, which comes after they fell silent, to the agent's
    first audio."""
    reply: Latency | None = None
    """The percentiles of `reply_ms`."""
    speech_reply_ms: tuple[float, ...] = ()
    """For each turn: from the end of the user's speech to the agent's first audio, which is what a caller waits, apart
    from the network. Empty with engines that do not tell when speech ends (`SpeechStopped`)."""
    speech_reply: Latency | None = None
    """The percentiles of `speech_reply_ms`."""
    stages: dict[str, Latency] = {}
    """The percentiles of each stage of `TurnTimings`: from the end of the user's speech; empty with other engines."""
    barge_in_ms: tuple[float, ...] = ()
    """For each interruption: from the engine's report of it until the order to clear was written to the carrier."""
    barge_in: Latency | None = None
    """The percentiles of `barge_in_ms`."""
    frames_in: int = 0
    """Messages with caller audio that reached the engine."""
    frames_out: int = 0
    """Messages with agent audio sent to the carrier."""
    bytes_in: int = 0
    bytes_out: int = 0
    frames_dropped: int = 0
    """Caller audio that the engine could not take in time: the oldest went."""
    frames_unsent: int = 0
    """Chunks of the agent that were dropped, since it was minutes ahead of what the caller heard."""
    frames_early: int = 0
    """Caller audio that came before the engine was ready and was too old by then."""
    messages_early: int = 0
    """Keys and pieces of context of which too many came before the engine was ready: the oldest went."""
    frames_late: int = 0
    """Agent audio that came when what was before it in its turn had been played: the caller heard a gap."""
    faults: int = 0
    """Messages on the carrier's socket that were passed over."""
    errors: int = 0
    """Errors that the engine reported, or that ended its conversation."""
    interruptions: int = 0
    heard_ms: float = 0.0
    """How much agent audio was played to the caller, by the carrier's marks."""
    carrier_format: str = ""
    engine_input_format: str = ""
    engine_output_format: str = ""
    passthrough: bool = False
    """Audio crossed untouched, both ways."""
