"""What a tool may be given beside its arguments."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from patter_core.agent import Scalar
from patter_core.call.call import Call
from patter_core.call.handle import PhoneCall
from patter_core.tools.filled_in import FilledIn

__all__ = ["ToolContext", "fill_in_tools"]


class ToolContext(FilledIn):
    """The call of a tool, and which use of the tool it is."""

    def __init__(self, call: PhoneCall, id: str, variables: Mapping[str, Scalar]) -> None:  # noqa: A002 - as told
        self.call = call
        """The call in which the agent uses the tool."""
        self.id = id
        """The same for the same use, and for no other: an idempotency key for what the tool has done elsewhere."""
        self.variables = variables
        """Of the agent and the call."""

    def __repr__(self) -> str:
        return f"<ToolContext {self.id}>"


def fill_in_tools(call: Call, handle: PhoneCall) -> None:
    """Gives the tools of a call their call."""
    call.tools.fill_in = functools.partial(_filled_in, call, handle)


def _filled_in(call: Call, handle: PhoneCall, key: str) -> tuple[FilledIn, ...]:
    return handle, ToolContext(handle, key, call.context.variables)
