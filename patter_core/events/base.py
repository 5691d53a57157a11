"""The base of every event."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

__all__ = ["Event"]


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """The base of every event. `kind, payload = event` gives its tag and its payload."""

    @property
    def kind(self) -> str:
        """The event's name: its tag when it is written as JSON."""
        return str(self.__struct_config__.tag)

    @property
    def payload(self) -> object:
        """What goes with the name: by default nothing."""
        return None

    def __iter__(self) -> Iterator[object]:
        yield self.kind
        yield self.payload
