"""What a worker remembers of calls that are over, and of tokens and events that it has seen: a bounded number."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["BoundedDict", "EndedCall"]

_T = TypeVar("_T")


class EndedCall(msgspec.Struct):
    """A call that is over, for what the carrier says or asks of it afterwards."""

    call_id: str
    verdict: HangUp | Transfer = HangUp()
    sequence: int = 0
    announced_at: float = 0.0
    trace: str = ""
    """The call's `traceparent`."""
    elsewhere: bool = False
    """It is over for this worker only: another one may have it, and may lose it too."""


class BoundedDict(Generic[_T]):
    """A mapping that forgets the oldest beyond its limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[str, _T] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def get(self, key: str) -> _T | None:
        """What is remembered under that key."""
        return self._items.get(key)

    def put(self, key: str, value: _T) -> None:
        """Remember it; the oldest goes if there is no room."""
        self._items[key] = value
        if len(self._items) > self._limit:
            self._items.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget it, if it is remembered."""
        self._items.pop(key, None)
