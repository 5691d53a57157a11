"""JSON from outside, and JSON strings."""

from __future__ import annotations

import msgspec

__all__ = ["UNREADABLE", "json_string"]

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What a decoder raises for JSON from outside: lone surrogates are not UTF-8, and deep nesting exhausts the stack."""


def json_string(text: str) -> str:
    """Returns a text as a JSON string, with its quotes."""
    return msgspec.json.encode(text).decode()
