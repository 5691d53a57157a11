"""What the outcomes of all cases come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import msgspec

from tests.turns.cases import Case, Kind
from tests.turns.phone import Outcome

__all__ = ["Figures", "Result", "fault", "figures_of"]


class Result(msgspec.Struct, frozen=True):
    """A case, and what happened in it."""

    case: Case
    outcome: Outcome

    @property
    def early(self) -> int:
        """How often the caller's turn was taken to be complete before it was."""
        return sum(at < self.case.until_ms for at in self.outcome.decided) if self.case.kind is Kind.TURN else 0

    @property
    def cut_in(self) -> int:
        """How often the agent began to speak before the caller's turn was complete."""
        return sum(at < self.case.until_ms for at in self.outcome.spoke) if self.case.kind is Kind.TURN else 0

    @property
    def delay_ms(self) -> float | None:
        """From the end of the caller's turn to the decision; None if there was none."""
        later = [at for at in self.outcome.decided if at >= self.case.until_ms]
        return later[0] - self.case.until_ms if self.case.kind is Kind.TURN and later else None

    @property
    def is_answered(self) -> bool:
        """True if the agent spoke after the caller's turn was complete."""
        return any(at >= self.case.until_ms for at in self.outcome.spoke[self.case.agent_speaks :])

    @property
    def stop_ms(self) -> float | None:
        """From the beginning of an interruption to the agent's silence; None if it spoke on."""
        stops = [at - self.case.pieces[-1].at_ms for at in (*self.outcome.paused, *self.outcome.interrupted)]
        if self.case.kind is not Kind.STOP or not self.outcome.interrupted:
            return None
        return max(0.0, min(stops))

    @property
    def silent_ms(self) -> float:
        """For how long the agent was silent in its speech, for nothing."""
        pauses, ends = self.outcome.paused, sorted([*self.outcome.resumed, *self.outcome.interrupted])
        return sum(end - at for at, end in zip(pauses, ends, strict=False))


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of some cases."""

    turns: int
    early: int
    """Turns that were taken to be complete too early, at least once."""
    cut_in: int
    """Those of them in which the caller heard it."""
    delays_ms: tuple[float, float]
    """From the end of the turn to the decision: median, and 90th percentile."""
    unanswered: int
    nothings: int
    false_answers: int
    """Answers to noise alone."""
    go_ons: int
    false_interruptions: int
    false_pauses: int
    """Of these, the agent went on."""
    pause_ms: float
    """How long such a pause was, median."""
    stops: int
    missed: int
    stop_ms: tuple[float, float]
    """From the beginning of an interruption to the agent's silence: median, and 90th percentile."""


def figures_of(results: Iterable[Result]) -> Figures:
    """Returns the figures of some cases."""
    by_kind: dict[Kind, list[Result]] = {kind: [] for kind in Kind}
    for result in results:
        by_kind[result.case.kind].append(result)
    turns, go_ons, stops = by_kind[Kind.TURN], by_kind[Kind.GO_ON], by_kind[Kind.STOP]
    nothings = by_kind[Kind.NOTHING]
    silent = [result for result in go_ons if result.outcome.paused and not result.outcome.interrupted]
    return Figures(
        turns=len(turns),
        early=sum(result.early > 0 for result in turns),
        cut_in=sum(result.cut_in > 0 for result in turns),
        delays_ms=_spread(result.delay_ms for result in turns),
        unanswered=sum(not result.is_answered for result in turns),
        nothings=len(nothings),
        false_answers=sum(bool(result.outcome.spoke) for result in nothings),
        go_ons=len(go_ons),
        false_interruptions=sum(bool(result.outcome.interrupted) for result in go_ons),
        false_pauses=len(silent),
        pause_ms=_spread(result.silent_ms for result in silent)[0],
        stops=len(stops),
        missed=sum(not result.outcome.interrupted for result in stops),
        stop_ms=_spread(result.stop_ms for result in stops),
    )


def _spread(values: Iterable[float | None]) -> tuple[float, float]:
    known = sorted(value for value in values if value is not None)
    if len(known) < 2:
        return (known[0], known[0]) if known else (0.0, 0.0)
    return statistics.median(known), statistics.quantiles(known, n=10, method="inclusive")[-1]


def fault(result: Result) -> str:
    """Returns what went wrong in a case, in words and ms; "" if nothing did."""
    outcome = result.outcome
    match result.case.kind:
        case Kind.TURN:
            wrong = {"cut in": result.cut_in, "early": result.early, "not answered": not result.is_answered}
        case Kind.NOTHING:
            wrong = {"answered": bool(outcome.spoke)}
        case Kind.GO_ON:
            wrong = {"interrupted": bool(outcome.interrupted), "paused": bool(outcome.paused)}
        case _:
            wrong = {"not interrupted": not outcome.interrupted}
    what = next((what for what, is_so in wrong.items() if is_so), "")
    if not what:
        return ""
    times = {"decided": outcome.decided, "spoke": outcome.spoke, "paused": outcome.paused, "resumed": outcome.resumed}
    times["interrupted"] = outcome.interrupted
    told = [f"{name} {', '.join(f'{at:.0f}' for at in ats)}" for name, ats in times.items() if ats]
    return "; ".join([what, *told, f"the caller's last sound {result.case.until_ms:.0f}"])
