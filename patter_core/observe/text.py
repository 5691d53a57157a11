"""The texts in an event, and how long each may be."""

from __future__ import annotations

import functools
from typing import TypeVar

import msgspec

__all__ = ["LONGEST_TEXT", "bounded", "shortened", "text_fields"]

LONGEST_TEXT = 20_000
"""Characters of one text in a record: some 25 minutes of speech. Engines and tools may send megabytes."""
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


def bounded(event: _Struct) -> _Struct:
    """Returns the event with each of its texts shortened; the event itself if none is too long."""
    for field in text_fields(type(event)):
        if len(getattr(event, field)) > LONGEST_TEXT:
            return _bounded(event)
    return event


def _bounded(event: _Struct) -> _Struct:
    changes: dict[str, str] = {}
    for field in text_fields(type(event)):
        text: str = getattr(event, field)
        if len(text) > LONGEST_TEXT:
            short = shortened(text)
            changes[field] = msgspec.json.encode(short).decode() if field in _JSON else short
    return msgspec.structs.replace(event, **changes)
