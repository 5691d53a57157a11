"""An agent: an engine, and how it is to behave on a call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from patter_core.engine import Engine
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Agent", "CallOptions", "Fallback", "Retry"]


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


class Retry(msgspec.Struct, frozen=True):
    """Begin a new conversation with the same agent in place of one that failed, while the caller waits.

    The new one is told what was said so far. An agent that was refused, and would be again, is not tried again.
    """

    times: int = 1
    """In one call."""
    then: HangUp | Transfer | Agent = HangUp()
    """If that does not help either."""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, and how it is to behave on a call. Made by `Patter.agent()`."""

    engine: Engine
    name: str = "agent"
    """Told in events, and carried in the stream token, so that any worker finds the agent of a call."""
    system_prompt: str = ""
    first_message: str = ""
    resume_message: str = ""
    """What the agent says first where a conversation goes on after it broke off; "" for `first_message`."""
    variables: Mapping[str, str | int | float | bool] = {}
    fallback: HangUp | Transfer | Retry | Agent = HangUp()
    """What becomes of the caller if the engine cannot be had or is lost. Another agent takes over, told what was said
    so far; its own fallback comes after it."""

    def __repr__(self) -> str:
        return f"<Agent {self.name} on {self.engine.name}>"

    def on(self, options: CallOptions) -> Agent:
        """This agent as it is on one call."""
        return msgspec.structs.replace(
            self,
            first_message=options.first_message or self.first_message,
            variables={**self.variables, **options.variables},
        )


Fallback = HangUp | Transfer | Retry | Agent
"""What becomes of the caller if the engine cannot be had or is lost."""
