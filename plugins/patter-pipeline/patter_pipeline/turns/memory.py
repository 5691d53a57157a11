"""What was said and done, as the model is told it: in the order in which each thing began, and as far as it was heard.

Each turn has its place from when it began, and may be completed later: a late final, the part of a speech that was
heard, the result of a tool. So nothing that arrives late reorders the history.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

import msgspec

from patter_core.events import ToolCall
from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid

__all__ = ["Memory"]

_LENGTH = 200
"""Entries that are kept: the oldest go."""


class _Entry(msgspec.Struct, order=True):
    at: float
    order: int
    key: str = ""
    item: HistoryItem | None = None
    """None: nothing of it is to be told, or not yet."""


class Memory:
    """The history of one conversation.

    Args:
        history: what was said and done before.
        epoch_ms: Unix time of the zero of the clock, in ms.
    """

    def __init__(self, history: Iterable[HistoryItem] = (), epoch_ms: float = 0.0) -> None:
        self._epoch_ms = epoch_ms
        self._entries: list[_Entry] = []
        self._by_key: dict[str, _Entry] = {}
        self._order = 0
        for item in history:
            self._put(f"before {self._order}", (item.started_ms - epoch_ms) / 1000, item)

    def items(self) -> tuple[HistoryItem, ...]:
        """Returns all that is to be told, in order."""
        return tuple(entry.item for entry in self._entries if entry.item is not None)

    def items_with(self, n: int, text: str, at: float) -> tuple[HistoryItem, ...]:
        """Returns the same as if the caller's turn with that number had this text, at its place."""
        key = f"user {n}"
        entries = [entry for entry in self._entries if entry.key != key]
        if text:
            insort(entries, _Entry(at, self._order + 1, key, self.user(text, at)))
        return tuple(entry.item for entry in entries if entry.item is not None)

    def user(self, text: str, at: float) -> UserSaid:
        """Returns an item for a turn of the caller that began then."""
        return UserSaid(text=text, started_ms=self._ms(at))

    def put_user(self, n: int, text: str, at: float) -> None:
        """The caller's turn with that number has this text; "" takes it out."""
        self._put(f"user {n}", at, self.user(text, at) if text else None)

    def put_agent(self, n: int, text: str, at: float, *, interrupted: bool = False) -> None:
        """The agent's speech with that number has this text, as far as is known: "" takes it out."""
        item = AgentSaid(text=text, started_ms=self._ms(at), interrupted=interrupted) if text else None
        self._put(f"agent {n}", at, item)

    def use_tool(self, call: ToolCall, at: float) -> None:
        """A tool begins."""
        item = ToolUsed(id=call.id, name=call.name, arguments=call.arguments, started_ms=self._ms(at))
        self._put(f"tool {call.id}", at, item)

    def answer_tool(self, call: ToolCall, result: str, *, failed: bool) -> None:
        """It has its result."""
        entry = self._by_key.get(f"tool {call.id}")
        if entry is not None and isinstance(entry.item, ToolUsed):
            state = ToolState.FAILED if failed else ToolState.DONE
            entry.item = msgspec.structs.replace(entry.item, result=result, state=state)

    def _ms(self, at: float) -> float:
        return self._epoch_ms + at * 1000

    def _put(self, key: str, at: float, item: HistoryItem | None) -> None:
        entry = self._by_key.get(key)
        if entry is not None and entry.at == at:
            entry.item = item
            return
        if entry is not None:
            self._entries.remove(entry)
        self._order += 1
        entry = self._by_key[key] = _Entry(at, entry.order if entry is not None else self._order, key, item)
        insort(self._entries, entry)
        if len(self._entries) > _LENGTH:
            del self._by_key[self._entries.pop(0).key]
