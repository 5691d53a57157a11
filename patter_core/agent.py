"""An agent: an engine, and how it behaves on a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from patter_core.engine import Engine
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Agent", "CallOptions", "Fallback", "Retry", "Scalar", "Variables"]


Scalar = str | int | float | bool
"""The value of a variable."""
Variables = Mapping[str, Scalar] | Callable[[Leg], Mapping[str, Scalar] | Awaitable[Mapping[str, Scalar]]]
"""Values for placeholders in a prompt, or a function of the call that returns them: it may be a coroutine function, and
runs once for each session, on whatever worker has the call."""


class CallOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of one call. They belong to the call, and travel with it from worker to worker."""

    first_message: str = ""
    """In place of the agent's."""
    variables: dict[str, Scalar] = {}
    """Beside the agent's; the call's own win."""
    machine_detection: bool = False
    voicemail_message: str = ""
    """Said to a machine after its beep; then the call is over."""

    def __repr__(self) -> str:
        return "<CallOptions>"


class Retry(msgspec.Struct, frozen=True):
    """Start a new conversation with the same agent in place of one that failed, while the caller waits.

    The new one gets the history of the call. An agent that was refused for good is not tried again.
    """

    times: int = 1
    """Retries in one call."""
    then: HangUp | Transfer | Agent = HangUp()
    """What follows if the retries fail, too."""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, and how it behaves on a call. Made by `Patter.agent()`."""

    engine: Engine
    name: str = "agent"
    """In events and in the call's tokens, so that every worker finds the agent of a call."""
    system_prompt: str = ""
    first_message: str = ""
    resume_message: str = ""
    """What the agent says first where a conversation continues after it broke off; "" for `first_message`."""
    variables: Variables = {}
    fallback: HangUp | Transfer | Retry | Agent = HangUp()
    """What is done with the caller if the engine cannot be reached or is lost. Another agent takes over with the
    history of the call; its own fallback follows it."""

    def __repr__(self) -> str:
        return f"<Agent {self.name} on {self.engine.name}>"

    def on(self, options: CallOptions) -> Agent:
        """Returns this agent with the options of one call applied, apart from its variables."""
        return msgspec.structs.replace(self, first_message=options.first_message or self.first_message)


Fallback = HangUp | Transfer | Retry | Agent
"""What is done with the caller if the engine cannot be reached or is lost."""
