"""One use of a tool by an agent."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from patter_core.events import ToolCall
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools.tool import Tool

__all__ = ["ToolUse", "current_use"]


class ToolUse:
    """One use of a tool by an agent, until its function has ended: that may go on after the answer.

    Args:
        call: what the agent asked for.
        tool: None for a tool that there is not.
        session: whose agent it is.
        began: when, on the event loop's clock.
    """

    def __init__(self, call: ToolCall, tool: Tool | None, session: object, began: float) -> None:
        self.call = call
        self.tool = tool
        self.session = session
        self.began = began
        self.key = ""
        """What it is called in the history of the call, where no other use has this id; "" before it is there."""
        self.action: HangUp | Transfer | None = None
        """How the tool wants the call to end, once the agent has said what it says to that."""
        self.answered = False
        self.is_wanted = True
        """False once the agent no longer wants the result."""
        self.started_ms = 0.0
        """When, in Unix ms."""
        self.task: asyncio.Task[None] | None = None
        """Where it runs; None for one that is refused."""

    def __repr__(self) -> str:
        return f"<ToolUse of {self.call.name[:80]!r}>"


current_use: ContextVar[ToolUse | None] = ContextVar("current_use", default=None)
"""The use in which code runs, also in its threads and tasks; None outside of tools."""
