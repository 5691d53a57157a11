"""Which agent talks next when a conversation fails. Sans-IO."""

from __future__ import annotations

from patter_core.agent import Agent, CallOptions, Retry
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["FallbackChain"]


class FallbackChain:
    """The agents of one call in order: the agent, its retries, its fallback agents.

    Args:
        agent: the first one.
        options: the call's own, which apply to each agent.
    """

    def __init__(self, agent: Agent, options: CallOptions) -> None:
        self._options = options
        self._left: list[Agent] = []
        """The agents of the conversations that may still be started."""
        step: Agent | HangUp | Transfer = agent
        while isinstance(step, Agent):
            fallback = step.fallback
            retries = fallback.times if isinstance(fallback, Retry) else 0
            self._left += [step] * (1 + retries)
            step = fallback.then if isinstance(fallback, Retry) else fallback
        self.final_action: HangUp | Transfer = step
        """What is done with the caller when no agent is left."""
        self._agent = self._left.pop(0)

    @property
    def agent(self) -> Agent:
        """The present agent, with the call's options applied."""
        return self._agent.on(self._options)

    def share(self, seconds: float) -> float:
        """Returns the part of `seconds` that the present agent may use, so that the remaining ones have theirs."""
        return seconds / (1 + len(self._left))

    def advance(self, *, retry: bool) -> bool:
        """Goes on to the next agent. False if none is left.

        Args:
            retry: True if the same agent may succeed; otherwise its retries are skipped.
        """
        while self._left:
            before, self._agent = self._agent, self._left.pop(0)
            if retry or self._agent is not before:
                return True
        return False

    @property
    def is_last(self) -> bool:
        """True if no agent is left after the present one."""
        return not self._left
