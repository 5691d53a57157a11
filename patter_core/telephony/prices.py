"""What a call costs at its carrier: list prices with date and source, and the sum of what was used.

A sum from a price list is an estimate. What the carrier really charges comes later, if at all, and replaces it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from patter_core.telephony.leg import Direction

__all__ = ["CarrierRates", "Cost", "Usage", "cost_text", "costs_sign", "costs_text", "reported_cost", "sum_costs"]


class Cost(msgspec.Struct, frozen=True):
    """An amount of money; never negative."""

    amount: Decimal
    currency: str = "USD"
    """ISO 4217."""
    estimated: bool = True
    """From a price list; False if the carrier itself named the amount."""


def cost_text(cost: Cost) -> str:
    """Returns a cost in words, below 1 with four decimals or up to its first digit; an estimate begins with "about"."""
    decimals = max(4, -cost.amount.adjusted()) if 0 < cost.amount < 1 else 2
    return f"{'about ' if cost.estimated else ''}{cost.amount:.{decimals}f} {cost.currency}"


def costs_text(costs: Iterable[Cost], unpriced: str = "", *, of: str = "") -> str:
    """Returns a sum in words, by currency; "" for nothing. With parts of unknown price it is "at least" so much.

    Args:
        costs: one for each currency, as `sum_costs` returns them.
        unpriced: what is not in it, as its price is not known: parts, and carriers, such as `acme llm, fake`; "" for
            nothing.
        of: the parts that are in it, where they are to be named.
    """
    if unpriced:
        costs = [Cost(cost.amount, cost.currency, estimated=False) for cost in costs]
    text = " + ".join(map(cost_text, costs))
    if text and of:
        text = f"{text} for {of}"
    missing = f"{unpriced}: no price known"
    return text if not unpriced else f"at least {text} ({missing})" if text else missing


def costs_sign(costs: Iterable[Cost], unpriced: str = "") -> str:
    """Returns a sum for a cell of a table: ≈ before an estimate, ≥ before one without parts of unknown price.

    Args:
        costs: as for `costs_text`.
        unpriced: as for `costs_text`. They are not named.
    """
    parts = [(cost_text(msgspec.structs.replace(cost, estimated=False)), cost.estimated) for cost in costs]
    if not parts:
        return "unknown" if unpriced else ""
    sign = "≥ " if unpriced else "≈ " if any(estimated for _, estimated in parts) else ""
    return sign + " + ".join(text for text, _ in parts)


def sum_costs(costs: Iterable[Cost]) -> tuple[Cost, ...]:
    """Returns what costs come to, by currency. A sum with an estimate in it is one."""
    sums: dict[str, Cost] = {}
    for cost in costs:
        before = sums.get(cost.currency, Cost(Decimal(), cost.currency, estimated=False))
        is_estimated = before.estimated or cost.estimated
        sums[cost.currency] = Cost(before.amount + cost.amount, cost.currency, estimated=is_estimated)
    return tuple(sums.values())


def reported_cost(amount: str | None, currency: str | None) -> Cost | None:
    """Returns what a carrier says that a call cost; None if it is not an amount, because the carrier does not know yet.

    Args:
        amount: as the carrier writes it; not negative.
        currency: ISO 4217, in any case; US dollars if the carrier says nothing.
    """
    try:
        sum_ = Decimal(amount or "")
    except InvalidOperation:
        return None
    return Cost(sum_, (currency or "USD").upper(), estimated=False) if sum_.is_finite() and sum_ >= 0 else None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What of a call is paid for. Times in s."""

    direction: Direction = Direction.INBOUND
    connected: float = 0.0
    """From the answer to the end; 0 if the call was not answered."""
    streamed: float = 0.0
    """With a media stream."""
    recorded: float = 0.0
    machine_detection: bool = False


class CarrierRates(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier's list prices, for one kind of number. Per minute begun, but for machine detection: per call."""

    inbound: Decimal
    outbound: Decimal
    streaming: Decimal
    recording: Decimal
    machine_detection: Decimal
    currency: str = "USD"
    as_of: dt.date
    """When the prices were read."""
    source: str
    """Where, in words."""

    def estimate(self, usage: Usage) -> Cost:
        """The sum, with each part rounded up to whole minutes as it is billed."""
        connection = self.inbound if usage.direction is Direction.INBOUND else self.outbound
        amount = (
            connection * _minutes(usage.connected)
            + self.streaming * _minutes(usage.streamed)
            + self.recording * _minutes(usage.recorded)
            + (self.machine_detection if usage.machine_detection else 0)
        )
        return Cost(amount, self.currency)


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)
