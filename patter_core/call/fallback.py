"""Which agent talks next when a conversation fails, and when. Sans-IO."""

from __future__ import annotations

import msgspec

from patter_core.agent import Agent, CallOptions, Retry
from patter_core.aio.tries import Tries
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["FallbackChain"]


class FallbackChain:
    """The agents of one call in order, each with its retries.

    An agent's retries come back with the time that its conversations last, one a minute.

    Args:
        agent: the first one.
        options: the call's own, which apply to each agent; but its voice and `engine_options` are known to the
            engine of their vendor only.
    """

    def __init__(self, agent: Agent, options: CallOptions) -> None:
        self._options = options
        self._vendor = agent.engine.name
        self._left: list[tuple[Agent, Tries]] = []
        """The agents that follow."""
        step: Agent | HangUp | Transfer = agent
        while isinstance(step, Agent):
            fallback = step.fallback
            self._left.append((step, Tries(fallback.times if isinstance(fallback, Retry) else 0)))
            step = fallback.then if isinstance(fallback, Retry) else fallback
        self.final_action: HangUp | Transfer = step
        """What is done with the caller when no agent is left."""
        self._agent, self._tries = self._left.pop(0)

    @property
    def agent(self) -> Agent:
        """The present agent, with the call's options applied."""
        options = self._options
        if self._agent.engine.name != self._vendor:
            options = msgspec.structs.replace(options, voice="", engine_options={})
        return self._agent.on(options)

    def share(self, seconds: float) -> float:
        """Returns the part of `seconds` that the present attempt may use, so that the remaining ones have theirs."""
        return seconds / (1 + self._attempts_left)

    def advance(self, *, retry: bool, retry_after: float = 0.0, worked_for: float = 0.0, within: float) -> float | None:
        """Goes on to the next attempt. Returns the pause before it in s; None if there is none left.

        Args:
            retry: True if the same agent may succeed; otherwise its retries are skipped.
            retry_after: s that the engine asks to wait.
            worked_for: s that the conversation lasted.
            within: s in which the caller must hear an agent.
        """
        if retry:
            # The agents that follow keep their share of the time, however long this one's engine asks to wait.
            own = self._tries.left + 1
            share = within * own / (own + self._attempts_after)
            pause = self._tries.failed(worked_for=worked_for, asked_for=retry_after, within=share)
            if pause is not None:
                return pause
        if not self._left:
            return None
        self._agent, self._tries = self._left.pop(0)
        return 0.0

    def about_failure(self, error: Exception, failed: Agent) -> str:
        """Returns who failed and why, in words; with the present agent, if that is another one."""
        goes_on = f", and agent {self._agent.name} goes on" if self._agent.name != failed.name else ""
        return f"Agent {failed.name} on {failed.engine.name} failed{goes_on}: {error}"

    @property
    def has_reserve(self) -> bool:
        """True if another agent follows."""
        return bool(self._left)

    @property
    def is_last(self) -> bool:
        """True if no attempt is left after the present one."""
        return not self._attempts_left

    @property
    def _attempts_left(self) -> int:
        return self._tries.left + self._attempts_after

    @property
    def _attempts_after(self) -> int:
        """The attempts of the agents that follow."""
        return sum(1 + tries.left for _, tries in self._left)
