"""The calls of the past, as a sink has kept them: what is asked, and what is returned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Protocol, runtime_checkable

import msgspec

from patter_core.events import Record
from patter_core.telephony.prices import Cost, sum_costs

__all__ = ["CallArchive", "CallFilter", "CallRow", "Latest", "SharedArchive", "amounts_of"]


_Time = Annotated[float, msgspec.Meta(ge=0, lt=100_000_000_000)]
_Ms = Annotated[float, msgspec.Meta(gt=-100_000_000_000, lt=100_000_000_000)]
_AMOUNT = r"[0-9]{1,12}(?:\.[0-9]{1,40})?(?:E(?:-[0-9]{1,2}|\+[0-9]))? [^\s+]{1,8}"
_Amounts = Annotated[str, msgspec.Meta(pattern=rf"^({_AMOUNT}( \+ {_AMOUNT})*)?\Z", max_length=1000)]


class CallRow(msgspec.Struct, frozen=True):
    """One call. Its numbers are masked, as sinks get them."""

    call_id: str
    started: _Time
    """Unix s; 0 if it is unknown."""
    carrier: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    ended: _Time | None
    """Unix s; None while the call lasts, or if its worker died."""
    reason: str
    ended_by: str
    duration_ms: _Ms
    reply_ms: _Ms | None
    """From the end of the caller's speech to the agent's first audio, the median of the call; None if not measured."""
    engine_cost: _Amounts
    """What the engine and its parts cost by list prices; "" if no price is known."""
    cost: _Amounts
    """The carrier's price; "" until it is known."""
    estimated_cost: _Amounts = ""
    """What the carrier bills by its list prices; "" if it has none, or the call was not answered."""
    unpriced: str = ""
    """What is not in `engine_cost`, as its price is not known: vendors and parts, such as `acme llm, acme tts`."""

    @property
    def missing(self) -> str:
        """What is not in `costs`, as its price is not known; sorted, such as `acme llm, fake`.

        It is all of `unpriced`, and the carrier of a call with audio, if it has no list prices and has named none yet.
        """
        is_carrier_missing = self.duration_ms > 0 and not self.cost and not self.estimated_cost
        names = [*self.unpriced.split(", "), self.carrier if is_carrier_missing else ""]
        return ", ".join(sorted(filter(None, names)))

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What the call costs, by currency: the carrier's part by its list prices until its own price is known.

        What is no amount, such as that of a plugin with a currency of two words, is left out.
        """
        carriers = (self.cost, False) if self.cost else (self.estimated_cost, True)
        return sum_costs(
            Cost(Decimal(amount), currency, estimated)
            for text, estimated in ((self.engine_cost, True), carriers)
            for amount, currency in (part.split(" ") for part in text.split(" + ") if re.fullmatch(_AMOUNT, part))
        )


def amounts_of(costs: Iterable[Cost]) -> str:
    """Returns costs as a `CallRow` has them: with six decimals at most, or more up to the third digit."""
    return " + ".join(f"{_amount(cost.amount)} {cost.currency}" for cost in costs)


def _amount(amount: Decimal) -> str:
    rounded = f"{amount:.{max(6, 2 - amount.adjusted())}f}"
    return min(f"{amount}", rounded, key=len)


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that a call must meet; "" and None are none."""

    since: float | None = None
    """The earliest start, in Unix s."""
    before: float | None = None
    """Only calls that started earlier, in Unix s: the start of the last call of one page leads to the next page."""
    before_id: str = ""
    """With `before`: of those that started at that time, only the calls whose ids come before this one in the alphabet:
    the id of the last call of one page."""
    agent: str = ""
    carrier: str = ""
    direction: str = ""
    reason: str = ""
    number: str = ""
    """Part of the caller's or the called number, as it was kept: masked numbers have two digits left."""
    text: str = ""
    """Part of what was said; case is ignored."""
    ended: bool | None = None
    """True: only calls whose end is known; False: only others."""
    active_since: float | None = None
    """Only calls with a record of that time or later, in Unix s."""
    limit: int = 50
    """The most calls to return."""


class CallArchive(Protocol):
    """Reads what a sink has kept, by whichever worker it was written. Safe from several tasks at once.

    Each method raises `ConfigurationError` if what was kept cannot be read.
    """

    async def calls(self, condition: CallFilter) -> Sequence[CallRow]:
        """Returns the calls that meet the condition, the latest start first; of one start, the last id first."""

    async def records(self, call_id: str) -> Sequence[Record]:
        """Returns the records of a call, in order; none if it is unknown."""

    async def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> Sequence[Record]:
        """Returns records of all calls by the tags of their events, from `since` (Unix s) on.

        They are in order of their time; of more than `limit`, the latest.
        """


class Latest(msgspec.Struct, frozen=True):
    """What was kept since a position."""

    position: str
    """Behind the last of the records."""
    records: Sequence[Record] = ()


@runtime_checkable
class SharedArchive(CallArchive, Protocol):
    """One that several workers write into, and that knows in which order."""

    async def latest(self, after: str, *, limit: int) -> Latest:
        """Returns the records that were kept behind a position, by whichever worker, the earliest first.

        With "", none, and the position behind all that there are.
        """
