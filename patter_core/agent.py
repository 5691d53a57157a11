"""An agent: an engine, and how it is to behave on a call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from patter_core.control import Farewell, Handover, TryAgain
from patter_core.engine import Engine

__all__ = ["Agent", "CallOptions"]


class CallOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call asks for beside its agent. It belongs to the call, and travels with it from worker to worker."""

    first_message: str = ""
    """In place of the agent's."""
    variables: dict[str, str | int | float | bool] = {}
    """Beside the agent's; the call's own win."""
    machine_detection: bool = False
    voicemail_message: str = ""
    """Said to a machine after its beep; then the call is over."""

    def __repr__(self) -> str:
        return "<CallOptions>"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, and how it is to behave on a call. Made by `Patter.agent()`."""

    engine: Engine
    name: str = "agent"
    """Told in events, and carried in the stream token, so that any worker finds the agent of a call."""
    system_prompt: str = ""
    first_message: str = ""
    variables: Mapping[str, str | int | float | bool] = {}
    fallback: Farewell | Handover | TryAgain = Farewell()
    """What becomes of the caller if the engine cannot be had or is lost."""

    def __repr__(self) -> str:
        return f"<Agent {self.name} on {self.engine.name}>"

    def on(self, options: CallOptions) -> Agent:
        """This agent as it is on one call."""
        return msgspec.structs.replace(
            self,
            first_message=options.first_message or self.first_message,
            variables={**self.variables, **options.variables},
        )
