"""Which models of OpenAI think, and what that means for tools in chat completions: by the vendor's pages of the models.

As of 2026-11-26. Models before these call tools in any case; those that are not known here are left as they are.
"""

from __future__ import annotations

import re

__all__ = ["calls_no_tools", "effort_for"]

_MAY_NOT_THINK = re.compile(r"gpt-5\.6(-(sol|terra|luna))?|gpt-6-(sol|luna)|gpt-6\.1-terra")
"""They think unless they are told not to, and while they think they refuse tools."""
_NO_TOOLS = re.compile(r"gpt-6-astra|gpt-6\.1-(sol|terra)|gpt-6\.2-(sol|astra)")
"""They cannot be told so, or call tools in the Responses API only."""


def effort_for(model: str) -> str:
    """Returns the `reasoning_effort` with which a model calls tools; "" if none need be sent."""
    return "none" if _MAY_NOT_THINK.fullmatch(model) else ""


def calls_no_tools(model: str) -> bool:
    """True for a model that calls no tools in chat completions, as far as is known."""
    return bool(_NO_TOOLS.fullmatch(model))
