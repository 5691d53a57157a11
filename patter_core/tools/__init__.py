"""Functions that an agent may call in a conversation."""

from __future__ import annotations

from patter_core.tools.filled_in import FilledIn
from patter_core.tools.spec import ToolSpec
from patter_core.tools.tool import Tool, Tools, as_tools

__all__ = ["FilledIn", "Tool", "ToolSpec", "Tools", "as_tools"]
