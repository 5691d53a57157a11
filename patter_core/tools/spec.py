"""What an engine is told of a tool."""

from __future__ import annotations

import msgspec

__all__ = ["ToolSpec"]


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the agent may call, as its model sees it."""

    name: str
    description: str = ""
    parameters: dict[str, object]
    """A JSON Schema of an object: the arguments by name."""
