"""The texts in an event, and how long each may be."""

from __future__ import annotations

import functools
from typing import TypeVar

import msgspec

__all__ = ["LONGEST_TEXT", "TextBudget", "bounded", "shortened", "text_fields"]

LONGEST_TEXT = 20_000
"""Characters of one text in a record: some 25 minutes of speech. Engines and tools may send megabytes."""
_SHORT_TEXT = 500
"""Characters of one text in a record, once the call has spent its budget."""
_CHARACTERS_AT_ONCE = 100_000
_CHARACTERS_PER_SECOND = 2_000
"""The budget of a call. Speech is some 15 characters a second; the results of tools come in bursts."""
_JSON = frozenset({"arguments"})
"""Fields that hold JSON: a text that is cut is a string there."""

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


@functools.cache
def text_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Returns the names of a struct's fields that hold text."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.type is str)


def shortened(text: str, limit: int = LONGEST_TEXT) -> str:
    """Returns the text, or its beginning and a mark that says how much was cut."""
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} characters cut]"


class TextBudget:
    """How long the texts in the records of one call may be. Sans-IO: time is an argument.

    To mask a text, to encode it and to store it costs the event loop some microseconds for each hundred characters. An
    engine that sends long texts without end would hold up the other calls.
    """

    def __init__(self) -> None:
        self._left = float(_CHARACTERS_AT_ONCE)
        self._at = 0.0

    def bound(self, event: _Struct, now: float) -> _Struct:
        """Returns the event with each of its texts shortened; the event itself if none is too long.

        Args:
            event: of the call.
            now: s, of a clock that only goes forward.
        """
        self._left = min(_CHARACTERS_AT_ONCE, self._left + (now - self._at) * _CHARACTERS_PER_SECOND)
        self._at = now
        event = bounded(event)
        size = _size(event)
        if size > self._left:
            event = bounded(event, _SHORT_TEXT)
            size = _size(event)
        self._left = max(0.0, self._left - size)
        return event


def bounded(event: _Struct, limit: int = LONGEST_TEXT) -> _Struct:
    """Returns the event with each of its texts shortened; the event itself if none is too long."""
    for field in text_fields(type(event)):
        if len(getattr(event, field)) > limit:
            return _bounded(event, limit)
    return event


def _size(event: msgspec.Struct) -> int:
    return sum(len(getattr(event, field)) for field in text_fields(type(event)))


def _bounded(event: _Struct, limit: int) -> _Struct:
    changes: dict[str, str] = {}
    for field in text_fields(type(event)):
        text: str = getattr(event, field)
        if len(text) > limit:
            short = shortened(text, limit)
            changes[field] = msgspec.json.encode(short).decode() if field in _JSON else short
    return msgspec.structs.replace(event, **changes)
