"""An agent: an engine, and how it is to behave on a call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from patter_core.engine import Engine

__all__ = ["Agent"]


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, and how it is to behave on a call. Made by `Patter.agent()`."""

    engine: Engine
    name: str = "agent"
    """Told in events, and carried in the stream token, so that any worker finds the agent of a call."""
    system_prompt: str = ""
    first_message: str = ""
    variables: Mapping[str, str | int | float | bool] = {}

    def __repr__(self) -> str:
        return f"<Agent {self.name} on {self.engine.name}>"
