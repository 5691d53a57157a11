"""What was said and done on a call, for an agent that continues it, and for a model that answers in it."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

__all__ = ["AgentSaid", "HistoryItem", "ToolState", "ToolUsed", "UserSaid", "history_text"]


class UserSaid(msgspec.Struct, frozen=True, kw_only=True, tag="user"):
    """What the user said. Its `repr`, and so a log, does not show the text."""

    text: str
    started_ms: float
    """When they began, in Unix ms: items are in the order of their beginning."""

    def __repr__(self) -> str:
        return "<UserSaid>"


class AgentSaid(msgspec.Struct, frozen=True, kw_only=True, tag="agent"):
    """What the user heard of a turn of the agent; there is none of a turn of which they heard nothing."""

    text: str
    started_ms: float
    """As in `UserSaid`."""
    interrupted: bool = False
    """The user interrupted it: the text is the part that they heard."""

    def __repr__(self) -> str:
        return "<AgentSaid>"


class ToolState(enum.StrEnum):
    """How far the use of a tool is."""

    RUNNING = "running"
    """It has begun, and its outcome is not known: it may have been lost with its worker. It is never run again."""
    DONE = "done"
    FAILED = "failed"


class ToolUsed(msgspec.Struct, frozen=True, kw_only=True, tag="tool"):
    """The use of a tool by the agent."""

    id: str
    """The engine's id of this use."""
    name: str
    arguments: str
    """JSON, as the engine wrote it."""
    started_ms: float
    """As in `UserSaid`."""
    result: str = ""
    """What the agent got, or will get."""
    state: ToolState = ToolState.RUNNING

    def __repr__(self) -> str:
        return f"<ToolUsed {self.state.value}>"


HistoryItem = UserSaid | AgentSaid | ToolUsed
"""One thing in the history of a call."""


def history_text(items: Sequence[HistoryItem], limit: int = 8_000) -> str:
    """Returns the history as text, for an engine that takes one; the newest whole items are kept.

    Args:
        items: in order.
        limit: characters.
    """
    lines: list[str] = []
    room = limit
    for item in reversed(items):
        line = _line(item)
        room -= len(line) + 1
        if room < -1:  # the last line ends without a line break
            break
        lines.append(line)
    return "\n".join(reversed(lines))


def _line(item: HistoryItem) -> str:
    match item:
        case UserSaid():
            return f"User: {item.text}"
        case AgentSaid():
            return f"You: {item.text}" + (" [interrupted]" if item.interrupted else "")
        case ToolUsed():
            outcome = "outcome unknown" if item.state is ToolState.RUNNING else item.result
            failed = " failed" if item.state is ToolState.FAILED else ""
            return f"You used {item.name}({item.arguments}){failed}: {outcome}"
