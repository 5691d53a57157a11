"""What the page shows of what is said and done in its call. Sans-IO."""

from __future__ import annotations

from typing import Literal

import msgspec

from patter_core.events import (
    CallEnded,
    Error,
    Record,
    ResponseHeard,
    ToolCall,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferStarted,
)

__all__ = ["Line", "line_of"]

_REASONS = {
    "agent_hung_up": "The agent has hung up.",
    "caller_hung_up": "You have hung up.",
    "engine_failed": "The agent could not go on.",
    "engine_slow": "The agent did not answer.",
    "media_lost": "The connection was lost.",
    "too_long": "The call has lasted as long as a call may.",
}


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the transcript, or a change of one."""

    kind: Literal["caller", "agent", "heard", "cut", "note", "end"]
    """Who says it; `heard`: what was heard of the agent's line of that key, which was interrupted; `cut`: the agent's
    turn of that key was interrupted; `end`: the last one."""
    text: str = ""
    key: str = ""
    """A line of a key replaces the one before it; "" never does."""


def line_of(record: Record) -> Line | None:
    """Returns what the page shows of a record; None for nothing."""
    match record.event:
        case TranscriptInput(text=text, item=item):
            return Line(kind="caller", text=text, key=item) if text else None
        case TranscriptOutput(text=text, turn=turn, item=item):
            return Line(kind="agent", text=text, key=f"{turn} {item}".strip()) if text else None
        case TranscriptCorrection(text=text, turn=turn, item=item):
            return Line(kind="heard", text=text, key=f"{turn} {item}".strip())
        case ResponseHeard(interrupted=True, turn=turn):
            return Line(kind="cut", key=turn)
        case ToolCall(name=name):
            return Line(kind="note", text=f"The agent uses {name}.")
        case TransferStarted():
            return Line(kind="note", text="The agent transfers the call.")
        case Error():
            return Line(kind="note", text="The agent has reported an error.")
        case CallEnded(reason=reason):
            return Line(kind="end", text=_REASONS.get(reason, "The call is over."))
        case _:
            return None
