"""A mapping for what a worker remembers: its memory is bounded, and the oldest item goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["BoundedDict"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class BoundedDict(Generic[K, T]):
    """A mapping that drops its oldest item beyond its limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, T] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def get(self, key: K) -> T | None:
        """Returns the item; None if there is none."""
        return self._items.get(key)

    def put(self, key: K, value: T) -> None:
        """Adds an item; the oldest one is dropped if there is no room."""
        self._items[key] = value
        if len(self._items) > self._limit:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Removes an item, if it is there."""
        self._items.pop(key, None)
