"""What was said and done, as Parley's items. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from patter_core.events import ToolResult
from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_parley import wire

__all__ = ["items_of", "output_of"]


def items_of(history: Sequence[HistoryItem]) -> Iterator[wire.Message | wire.FunctionCall | wire.CallOutput]:
    """Returns the items of a history. Each call of a function has an output, or the model would wait for it."""
    for item in history:
        match item:
            case UserSaid(text=text):
                yield wire.Message("user", text)
            case AgentSaid(text=text):
                yield wire.Message("assistant", text)
            case ToolUsed(id=id, name=name, arguments=arguments, state=state):
                yield wire.FunctionCall(id, name, arguments)
                is_over = state is not ToolState.RUNNING
                result = item.result if is_over else "Its outcome is not known."
                yield output_of(ToolResult(id, name, result, failed=state is not ToolState.DONE))


def output_of(result: ToolResult) -> wire.CallOutput:
    """Returns the item of a result."""
    failure = msgspec.json.encode(wire.Failure(result.result)).decode()
    return wire.CallOutput(result.id, failure if result.failed else result.result)
