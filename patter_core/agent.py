"""An agent: an engine, and how it behaves on a call."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from types import UnionType

import msgspec

from patter_core.config import LANGUAGE, ConfiguredStruct, Language, check_fields
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools.tool import Tool

__all__ = [
    "LONGEST_NOTICE",
    "Agent",
    "AgentForCall",
    "CallOptions",
    "Fallback",
    "Retry",
    "Scalar",
    "Variables",
    "check_notice",
    "check_options",
]


LONGEST_NOTICE = 1_500
"""Bytes in UTF-8: a text that each carrier says whole, in any script."""
Scalar = str | int | float | bool
"""The value of a variable."""
Variables = Mapping[str, Scalar] | Callable[[Leg], Mapping[str, Scalar] | Awaitable[Mapping[str, Scalar]]]
"""Values for placeholders in a prompt, or a function of the call that returns them: it may be a coroutine function, and
runs once for each session, on whatever worker has the call."""


class CallOptions(ConfiguredStruct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of one call. They belong to the call, and travel with it from worker to worker."""

    first_message: str = ""
    """In place of the agent's."""
    variables: dict[str, Scalar] = msgspec.field(default_factory=dict)
    """Beside the agent's; the call's own win."""
    machine_detection: bool = False
    voicemail_message: str = ""
    """Said to a machine after its beep; then the call is over."""
    language: str = ""
    """In place of the agent's."""
    voice: str = ""
    """In place of the agent's."""
    engine_options: dict[str, Scalar] = msgspec.field(default_factory=dict)
    """Of `Engine.call_options`, in place of what the engine has."""

    def __repr__(self) -> str:
        return "<CallOptions>"


def check_notice(notice: str) -> None:
    """Checks a text that is said at the start of calls.

    Raises:
        ConfigurationError: it is too long, or there is nothing in it to be said.
    """
    _check_value(notice, "`notice`", str, "a text")
    size = len(notice.encode())
    if size > LONGEST_NOTICE:
        raise ConfigurationError(
            "`notice` is too long.", expected=f"at most {LONGEST_NOTICE} bytes, in UTF-8", got=str(size)
        )
    if notice and not any(character.isalnum() for character in notice):
        raise ConfigurationError("`notice` has nothing to be said.", expected='words; or "" for no notice')


def check_options(options: CallOptions, engine: Engine) -> None:
    """Checks what a user has set for one call: it must survive the way to another worker, and the engine must take it.

    Raises:
        ConfigurationError: a value is of the wrong kind, or unknown to the engine; the error names the field.
    """
    for name in ("first_message", "voicemail_message", "language", "voice"):
        _check_value(getattr(options, name), f"`{name}`", str, "a text")
    LANGUAGE.check(options.language, "`language`")
    _check_mapping(options.variables, "variables")
    _check_mapping(options.engine_options, "engine_options")
    for name, value in options.variables.items():
        _check_value(name, "a name in `variables`", str, "a text")
        _check_value(value, f"`variables[{name!r}]`", str | int | float, "a text, a number or a boolean")
    for name, value in options.engine_options.items():
        kind = engine.call_options.get(name)
        if kind is None:
            raise ConfigurationError(
                f"The engine {engine.name} has no option {name!r} for one call.",
                expected=", ".join(sorted(engine.call_options)) or "none at all",
            )
        _check_value(value, f"`engine_options[{name!r}]`", kind, kind.__name__)


def _check_mapping(value: object, name: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"`{name}` of one call are no mapping.",
            expected="a mapping of names to texts, numbers or booleans",
            got=type(value).__name__,
            remedy="A function of the call belongs to the agent: phone.agent(variables=…).",
        )


def _check_value(value: object, name: str, kind: type | UnionType, expected: str) -> None:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} is of the wrong kind.", expected=expected, got=type(value).__name__)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{name} is not finite.", expected="a number that JSON has", got=str(value))
    try:
        msgspec.json.encode(value)
    except Exception as error:  # noqa: BLE001 - a lone surrogate, or a class of the user's that is a str to Python only
        raise ConfigurationError(f"{name} cannot be written as JSON.", got=type(error).__name__) from None


def _refuse_text(fallback: object, where: str) -> None:
    if isinstance(fallback, str):
        raise ConfigurationError(
            f"{where} is of the wrong type.",
            expected='Transfer("+15550001234") for a number, HangUp("Please call again later.") for words, or an agent',
            got="str",
        )


class Retry(ConfiguredStruct, frozen=True):
    """Start a new conversation with the same agent in place of one that failed, while the caller waits.

    The new one gets the history of the call. An agent that was refused for good is not tried again.
    """

    times: int = 1
    """Retries in one call."""
    then: HangUp | Transfer | Agent = HangUp()
    """What follows if the retries fail, too."""

    def __post_init__(self) -> None:
        _refuse_text(self.then, "Retry(then=…)")
        check_fields(self)


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, and how it behaves on a call. Made by `Patter.agent()`."""

    engine: Engine
    name: str = "agent"
    """In events and in the call's tokens, so that every worker finds the agent of a call."""
    system_prompt: str = ""
    first_message: str = ""
    notice: str = ""
    """What the caller of a call that this agent begins hears before anything else; "" for nothing."""
    tools: tuple[Tool, ...] = ()
    """What it may call; for an engine with `TOOLS`."""
    resume_message: str = ""
    """What the agent says first where a conversation continues after it broke off; "" for nothing. The greeting is not
    said twice."""
    variables: Variables = {}
    language: Language = ""
    """A code such as `it` or `pt-br`; "" for the engine's own."""
    voice: str = ""
    """The vendor's id of a voice; "" for the engine's own."""
    engine_options: Mapping[str, Scalar] = {}
    """What the call sets of `Engine.call_options`: never set by `Patter.agent()`."""
    idle_after: float = 10.0
    """Seconds of silence after which the agent says `idle_message`."""
    idle_message: str = ""
    """"" for none. Said twice in a row at most; after as much silence again the call is hung up."""
    fallback: HangUp | Transfer | Retry | Agent = HangUp()
    """What is done with the caller if the engine cannot be reached or is lost. Another agent takes over with the
    history of the call; its own fallback follows it."""

    def __post_init__(self) -> None:
        _refuse_text(self.fallback, "agent(fallback=…)")
        check_fields(self, "agent")
        check_notice(self.notice)

    def __repr__(self) -> str:
        return f"<Agent {self.name} on {self.engine.name}>"

    def with_options(
        self,
        *,
        first_message: str = "",
        variables: Mapping[str, Scalar] | None = None,
        language: str = "",
        voice: str = "",
        engine_options: Mapping[str, Scalar] | None = None,
    ) -> AgentForCall:
        """Returns this agent with options for one call: for a route.

        They travel in the call's token to any worker that continues the call.

        Args:
            first_message: what the agent says first in this call, in place of its own.
            variables: for this call, beside the agent's. They win over the agent's.
            language: in place of the agent's. It holds for the agents that follow by a fallback, too.
            voice: in place of the agent's, and of those that follow on an engine of the same vendor.
            engine_options: options of the engine's own, as its documentation names them (`Engine.call_options`); for
                engines of the same vendor, too.

        Raises:
            ConfigurationError: a value is of the wrong kind, or the engine has no such option.
        """
        _check_mapping({} if variables is None else variables, "variables")
        _check_mapping({} if engine_options is None else engine_options, "engine_options")
        options = CallOptions(
            first_message=first_message,
            variables=dict(variables or {}),
            language=language,
            voice=voice,
            engine_options=dict(engine_options or {}),
        )
        check_options(options, self.engine)
        return AgentForCall(self, options)

    def on(self, options: CallOptions) -> Agent:
        """Returns this agent with the options of one call applied, apart from its variables."""
        return msgspec.structs.replace(
            self,
            first_message=options.first_message or self.first_message,
            language=options.language or self.language,
            voice=options.voice or self.voice,
            engine_options=options.engine_options,
        )


class AgentForCall(msgspec.Struct, frozen=True):
    """An agent and the options of the one call that it takes. Made by `Agent.with_options()`."""

    agent: Agent
    options: CallOptions = CallOptions()


Fallback = HangUp | Transfer | Retry | Agent
"""What is done with the caller if the engine cannot be reached or is lost."""
