"""Functions that an agent may call in a conversation."""

from __future__ import annotations

from patter_core.tools.spec import ToolSpec

__all__ = ["ToolSpec"]
