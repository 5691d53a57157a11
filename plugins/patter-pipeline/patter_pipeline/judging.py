"""Guardrails: asked in their order about what the caller said, and about each sentence of the agent."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Literal

from patter_core.aio.foreign import as_exception
from patter_core.aio.functions import call_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ConfigurationError, ForeignHang
from patter_core.events import GuardrailActed
from patter_core.telephony.outcome import HangUp, Transfer
from patter_pipeline.parts import PASS, Act, Block, Guardrail, Pass, Replace, Verdict
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

__all__ = ["CALLER_WITHIN", "SENTENCE_WITHIN", "Judge", "Rule", "judges_agent", "judges_caller", "name_of"]

_log = logging.getLogger("patter.pipeline")

Rule = Guardrail | Callable[..., object]

CALLER_WITHIN = 0.3
"""Seconds for all guardrails on the caller's turn; then it passes."""
SENTENCE_WITHIN = 2.0
"""Seconds for all guardrails on a sentence; then it is not said."""
_THREADS = 16
"""Plain functions that run at once, of all calls."""

_Side = Literal["agent", "caller"]
_threads = DaemonThreads(_THREADS)


def name_of(rule: Rule) -> str:
    """Returns what a guardrail is called in events."""
    if isinstance(rule, Guardrail):
        return rule.name
    return str(getattr(rule, "__name__", type(rule).__name__))


def judges_caller(rules: Sequence[Rule]) -> bool:
    """True if one of them judges what the caller says."""
    return any(isinstance(rule, Guardrail) and _overrides(rule, "caller_said") for rule in rules)


def judges_agent(rules: Sequence[Rule]) -> bool:
    """True if one of them judges what the agent says."""
    return any(not isinstance(rule, Guardrail) or _overrides(rule, "agent_says") for rule in rules)


def _overrides(rule: Guardrail, method: str) -> bool:
    return getattr(type(rule), method) is not getattr(Guardrail, method)


class Judge:
    """Asks the guardrails of one session.

    Args:
        rules: in order.
        take: is told the verdicts.
        report: is told what did not pass as it was.
        work: runs the tasks.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        take: Callable[[inputs.Input], None],
        report: Callable[[GuardrailActed], None],
        work: Work,
    ) -> None:
        self._rules = rules
        self._take = take
        self._report = report
        self._work = work

    def caller(self, n: int, text: str) -> None:
        """Asks about the caller's turn."""
        self._work.start(functools.partial(self._judge, n, text, "caller"))

    def agent(self, n: int, text: str) -> None:
        """Asks about a sentence of the agent."""
        self._work.start(functools.partial(self._judge, n, text, "agent"))

    async def _judge(self, n: int, text: str, side: _Side) -> None:
        verdict: Verdict = PASS
        for rule in self._rules:
            function = _function(rule, side)
            if function is None:
                continue
            found = await self._ask(rule, function, text, side)
            if isinstance(found, Replace):
                verdict, text = found, found.text
            elif not isinstance(found, Pass):
                verdict = found
                break
        self._take(inputs.CallerJudged(n, verdict) if side == "caller" else inputs.AgentJudged(n, verdict))

    async def _ask(self, rule: Rule, function: Callable[..., object], text: str, side: _Side) -> Verdict:
        within = CALLER_WITHIN if side == "caller" else SENTENCE_WITHIN
        try:
            verdict = _verdict(await call_foreign(function, within, _threads.run, text))
        except BaseException as raised:  # noqa: BLE001 - the user's code
            error = as_exception(raised)
            self._tell(rule, side, "late" if isinstance(error, ForeignHang) else "failed", error)
            return PASS if side == "caller" else Block()
        match verdict:
            case Replace():
                self._tell(rule, side, "replace")
            case Block():
                self._tell(rule, side, "block")
            case Act():
                self._tell(rule, side, "act")
        return verdict

    def _tell(
        self,
        rule: Rule,
        side: _Side,
        decision: Literal["act", "block", "failed", "late", "replace"],
        error: Exception | None = None,
    ) -> None:
        if error is not None:
            _log.error("The guardrail %s gave no verdict.", name_of(rule), exc_info=error)
        self._report(GuardrailActed(guardrail=name_of(rule), side=side, decision=decision))


def _function(rule: Rule, side: _Side) -> Callable[..., object] | None:
    if not isinstance(rule, Guardrail):
        return rule if side == "agent" else None
    name = "caller_said" if side == "caller" else "agent_says"
    return getattr(rule, name) if _overrides(rule, name) else None


def _verdict(answer: object) -> Verdict:
    """Returns what a guardrail has decided.

    Raises:
        ConfigurationError: it returned something else.
    """
    match answer:
        case None:
            return PASS
        case str():
            return Replace(answer)
        case Pass() | Replace(text=str()) | Block(say=str()) | Act(action=HangUp() | Transfer(), say=str()):
            return answer
    raise ConfigurationError(
        "A guardrail returned no verdict.",
        expected="PASS, Replace, Block or Act, with fields of their types, a text, or None",
        got=type(answer).__name__,
    )
