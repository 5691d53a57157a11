"""How the agent ends the call: it says what it has to say, the caller hears it, and then the call ends.

A tool, a guardrail or the agent itself asks for it. To do it at once would cut the agent short; to have a tool wait for
it would have the tool wait for itself.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["LastWord"]

_log = logging.getLogger("patter.call")

_ANSWER_WITHIN = 5.0
"""Seconds for the agent to begin its answer to the result of a tool: some say nothing more."""


class LastWord:
    """Waits for the agent's last word, up to `Deadlines.last_word`, and has the call end then.

    Args:
        call: what the parts of the call share.
        downlink: carries the agent's audio to the caller.
    """

    def __init__(self, call: CallContext, downlink: Downlink) -> None:
        self.act: Callable[[HangUp | Transfer], Awaitable[None]] = _nothing
        """Ends the call. If it returns and the call is not over, the call goes on."""
        self._call = call
        self._downlink = downlink
        self._action: HangUp | Transfer | None = None
        self._turns = 0
        """How many turns of the agent began."""
        self._is_open = False
        """True while a turn of the agent is not complete."""
        self._has_agent = True

    @property
    def is_awaited(self) -> bool:
        """True while the call is about to end by the agent's wish: no other session follows the present one."""
        return self._action is not None

    def request(self, action: HangUp | Transfer, *, answer_follows: bool) -> None:
        """Has the call end once the caller has heard the agent. The first request counts.

        Args:
            action: how.
            answer_follows: the agent is going to say something, such as to the result of a tool.
        """
        if not self._call.is_over and self._claim(action):
            self._call.start(self._act_after_last_word, action, answer_follows)

    def now(self, action: HangUp | Transfer) -> None:
        """Has the call end at once, whatever there is to be heard. It overtakes a request."""
        if not self._call.is_over:
            self._action = action
            self._call.start(self._act, action)

    # --- what the agent does -----------------------------------------------------------------------------------------

    def turn_began(self) -> None:
        """A turn of the agent begins."""
        self._turns += 1
        self._is_open = True
        self._notify()

    def turn_ended(self) -> None:
        """It is complete, or void."""
        self._is_open = False
        self._notify()

    def session_began(self) -> None:
        """A session talks."""
        self._has_agent = True

    def session_over(self) -> None:
        """It says no more."""
        self._has_agent = self._is_open = False
        self._notify()

    # -----------------------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        if self._action is not None:
            self._call.changes.notify()

    def _claim(self, action: HangUp | Transfer) -> bool:
        if self._action is not None:
            _log.warning("Call %s: its agent asked for two ends; the first is carried out.", self._call.call_id)
            return False
        self._action = action
        return True

    async def _act_after_last_word(self, action: HangUp | Transfer, answer_follows: bool) -> None:
        with anyio.move_on_after(self._call.config.deadlines.last_word):
            if answer_follows:
                before = self._turns
                with anyio.move_on_after(_ANSWER_WITHIN):
                    await self._until(lambda: self._turns > before or not self._has_agent)
            while not self._call.is_over and (self._is_open or self._downlink.audible):
                await self._until(lambda: not self._is_open)
                await self._downlink.wait_until_heard()
        if self._action is action:
            await self._act(action)

    async def _act(self, action: HangUp | Transfer) -> None:
        try:
            if not self._call.is_over:
                await self.act(action)
        finally:
            if self._action is action:
                self._action = None

    async def _until(self, condition: Callable[[], bool]) -> None:
        call = self._call
        await call.changes.wait_until(lambda: call.is_over or condition())


async def _nothing(_: object) -> None:
    """The call has no way to end yet."""
