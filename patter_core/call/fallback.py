"""Who talks when a conversation fails: the same agent again, another in its place, or nobody any more. Sans-IO."""

from __future__ import annotations

from patter_core.agent import Agent, CallOptions, Retry
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["FallbackChain"]


class FallbackChain:
    """The agents of one call, one conversation after the other, and what becomes of the caller when none is left."""

    def __init__(self, agent: Agent, options: CallOptions) -> None:
        self._options = options
        self._left: list[Agent] = []
        """The conversations that may still be begun."""
        step: Agent | HangUp | Transfer = agent
        while isinstance(step, Agent):
            fallback = step.fallback
            again = fallback.times if isinstance(fallback, Retry) else 0
            self._left += [step] * (1 + again)
            step = fallback.then if isinstance(fallback, Retry) else fallback
        self.verdict: HangUp | Transfer = step
        """What becomes of the caller then."""
        self._agent = self._left.pop(0)

    @property
    def agent(self) -> Agent:
        """Who talks now, as on this call."""
        return self._agent.on(self._options)

    def share(self, seconds: float) -> float:
        """The part of so many seconds that the present agent may take to get ready, so that the others have theirs."""
        return seconds / (1 + len(self._left))

    def advance(self, *, retry: bool) -> bool:
        """The conversation failed: go on to the next. `retry`: may the same agent succeed? False if nobody is left."""
        while self._left:
            before, self._agent = self._agent, self._left.pop(0)
            if retry or self._agent is not before:
                return True
        return False

    @property
    def is_last(self) -> bool:
        """Is nobody left after the present one?"""
        return not self._left
