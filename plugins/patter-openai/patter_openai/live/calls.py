"""Function calls of the model to which a Live session delegates. Sans-IO.

Each delegated response may call several functions. It goes on once it is complete and all its calls are answered; if it
fails, its calls are void.
"""

from __future__ import annotations

import msgspec

from patter_core.events import EngineEvent, ToolCall, ToolCallsCancelled, ToolResult
from patter_openai.live import wire
from patter_openai.wire import output_item

__all__ = ["Calls"]

_LIMIT = 256
"""Calls that may be open at once."""


class _Open(msgspec.Struct):
    """A delegated response with calls."""

    calls: dict[str, bool] = {}
    """By call id: True if it is answered."""
    is_complete: bool = False


class Calls:
    """The function calls of one session."""

    def __init__(self) -> None:
        self._responses: dict[str, _Open] = {}
        """By delegation."""
        self._by_call: dict[str, str] = {}
        """The delegation of each call, also of those that are over: a call comes once."""

    def take(self, delegation: str, event: wire.StreamEvent) -> list[EngineEvent | wire.LiveClient]:
        """Takes an event of a delegated response."""
        match event.type:
            case "response.output_item.done":
                return self._called(delegation, event)
            case "response.completed":
                known = self._responses.get(delegation)
                if known is not None:
                    known.is_complete = True
                return self._go_on(delegation)
            case "response.failed" | "response.incomplete" | "response.cancelled":
                void = self._responses.pop(delegation, _Open())
                ids = tuple(call for call, answered in void.calls.items() if not answered)
                return [ToolCallsCancelled(ids)] if ids else []
            case _:
                return []

    def answer(self, result: ToolResult) -> list[EngineEvent | wire.LiveClient]:
        """Answers a call. Nothing if nothing waits for it."""
        delegation = self._by_call.get(result.id, "")
        known = self._responses.get(delegation)
        if known is None or known.calls.get(result.id, True):
            return []
        known.calls[result.id] = True
        item = output_item(result.id, result.result, failed=result.failed)
        return [wire.ItemCreate(item=item), *self._go_on(delegation)]

    def _called(self, delegation: str, event: wire.StreamEvent) -> list[EngineEvent | wire.LiveClient]:
        item = event.item
        if not isinstance(item, msgspec.Struct) or item.type != "function_call" or item.status != "completed":
            return []
        call_id, name, arguments = item.call_id, item.name, item.arguments
        if not (isinstance(call_id, str) and isinstance(name, str)) or call_id in self._by_call:
            return []
        if sum(len(known.calls) for known in self._responses.values()) >= _LIMIT:
            return []
        self._by_call[call_id] = delegation
        if len(self._by_call) > 4 * _LIMIT:
            self._by_call.pop(next(iter(self._by_call)))
        self._responses.setdefault(delegation, _Open()).calls[call_id] = False
        return [ToolCall(call_id, name, arguments if isinstance(arguments, str) and arguments else "{}")]

    def _go_on(self, delegation: str) -> list[EngineEvent | wire.LiveClient]:
        known = self._responses.get(delegation)
        if known is None or not known.is_complete or not all(known.calls.values()):
            return []
        del self._responses[delegation]
        return [wire.ResponseCreate()]
