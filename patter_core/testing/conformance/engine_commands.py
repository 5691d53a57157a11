"""An engine's capabilities: what is declared is written, and what it is given reaches the service."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import anyio

from patter_core.engine import Engine, EngineCapability, EngineSession
from patter_core.events import ToolResult
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.probe import QUIET, Probe, opened
from patter_core.testing.emulator import EngineEmulator, Told
from patter_core.testing.speech import CALLER_LINES

__all__ = ["check_capabilities", "commands_of"]

_ARRIVES_WITHIN = 5.0
_UNANSWERED = 2.0
"""Seconds in which what was said on hold would be answered."""
_TEXT = "Say: “it is 3 < 5 \\ & é”,\nplease."
"""What is easily written wrong into JSON, XML or a URL."""


@dataclasses.dataclass(frozen=True)
class EngineCommand:
    """One use of a capability."""

    capability: EngineCapability
    method: str
    give: Callable[[EngineSession], object]
    told: Told
    """What arrives; `say` may be put into other words around its text."""


_COMMANDS = (
    EngineCommand(EngineCapability.SAY, "say", lambda session: session.say(_TEXT), Told(EngineCapability.SAY, _TEXT)),
    EngineCommand(
        EngineCapability.PROMPT, "say", lambda session: session.say(_TEXT), Told(EngineCapability.PROMPT, _TEXT)
    ),
    EngineCommand(
        EngineCapability.USER_MESSAGE,
        "send_user_message",
        lambda session: session.send_user_message(_TEXT),
        Told(EngineCapability.USER_MESSAGE, _TEXT),
    ),
    EngineCommand(
        EngineCapability.ACTIVITY,
        "user_activity",
        lambda session: session.user_activity(),
        Told(EngineCapability.ACTIVITY),
    ),
    EngineCommand(
        EngineCapability.HOLD, "hold", lambda session: session.hold(True), Told(EngineCapability.HOLD, on=True)
    ),
    EngineCommand(
        EngineCapability.HOLD, "hold", lambda session: session.hold(False), Told(EngineCapability.HOLD, on=False)
    ),
)
_RESULT = ToolResult("call-1", "tool", _TEXT)
_REFUSED: dict[str, tuple[set[EngineCapability], str | ToolResult, str]] = {
    "say": ({EngineCapability.SAY, EngineCapability.PROMPT}, _TEXT, "a text"),
    "send_user_message": ({EngineCapability.USER_MESSAGE}, _TEXT, "a text"),
    "send_tool_result": ({EngineCapability.TOOLS, EngineCapability.OWN_TOOLS}, _RESULT, "a result"),
}
"""Methods that raise where none of these is declared: what they are given, and what that is called."""


def commands_of(engine: Engine) -> list[EngineCommand]:
    """Returns the uses of the capabilities that the engine declares."""
    return [command for command in _COMMANDS if command.capability in engine.capabilities]


async def check_capabilities(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """Checks that what is declared is written and arrives, and that what is not declared is refused."""
    check.now("the capabilities")
    declared: object = engine.capabilities
    if not isinstance(declared, frozenset) or not all(isinstance(one, EngineCapability) for one in declared):
        raise check.failed("`capabilities` is not a frozenset of EngineCapability.", got=repr(declared))
    async with opened(check, engine) as probe:
        _check_written(check, engine, probe.plugins_session)
        _check_refused(check, engine, probe.plugins_session)

        async def give() -> None:
            await probe.greeted()
            for command in commands_of(engine):
                if emulator.remembers or command.capability is not EngineCapability.HOLD:
                    await _check_arrives(check, command, probe, emulator)
            if not emulator.remembers and EngineCapability.HOLD in engine.capabilities:
                await _check_hold(check, probe)

        await probe.while_listening(give)


def _check_written(check: Check, engine: Engine, session: EngineSession) -> None:
    uses = [(command.capability, command.method) for command in commands_of(engine)]
    tools = {EngineCapability.TOOLS, EngineCapability.OWN_TOOLS} & engine.capabilities
    for capability, method in [*uses, *((capability, "send_tool_result") for capability in sorted(tools))]:
        check.require(
            getattr(type(session), method) is not getattr(EngineSession, method),
            f"The capability {capability.value} is declared, and {method}() is not written.",
            expected=f"a method {method}() of the session, or no EngineCapability.{capability.name} in `capabilities`",
        )


def _check_refused(check: Check, engine: Engine, session: EngineSession) -> None:
    for method, (capabilities, given, kind) in _REFUSED.items():
        if capabilities & engine.capabilities:
            continue
        names = " or ".join(sorted(one.name for one in capabilities))
        refused = False
        try:
            getattr(session, method)(given)
        except NotImplementedError:
            refused = True
        check.require(
            refused,
            f"{method}() takes {kind}, and {names} is not declared: no app can use it.",
            expected=f"{names} in `capabilities`, or no method {method}()",
        )


async def _check_arrives(check: Check, command: EngineCommand, probe: Probe, emulator: EngineEmulator) -> None:
    check.now(f"the capability {command.capability.value}")
    before = len(emulator.told)
    with check.raises_only(problem=f"{command.method}() raises.", mistake="it is declared, and not written to its end"):
        answer = command.give(probe.session)
    check.require(answer is None, f"{command.method}() is not synchronous.", got=repr(answer))
    probe.pace.require_quick()
    with check.within(
        _ARRIVES_WITHIN,
        f"The capability {command.capability.value} is declared, and nothing arrives.",
        mistake="a message that is not sent, or that the service does not take for it",
    ):
        while not any(map(functools.partial(_is, command.told), emulator.told[before:])):  # noqa: ASYNC110 - a list
            await anyio.sleep(0.01)
    check.require(
        not probe.over,
        f"{command.method}() ends the conversation.",
        expected="that it goes on",
        got=repr(probe.error),
    )


async def _check_hold(check: Check, probe: Probe) -> None:
    """A service that is asked anew each time knows no hold: what is said on one does not reach the agent."""
    await probe.quiet(QUIET)
    check.now("the capability hold")
    session = probe.session
    said = CALLER_LINES[-1].audio(session.input_format)
    with check.raises_only(problem="hold() raises.", mistake="it is declared, and not written to its end"):
        session.hold(True)
        before = len(probe.audio)
        await probe.speak(said)
        await probe.be_silent(_UNANSWERED)
        check.require(
            len(probe.audio) == before,
            "On hold, the agent answers.",
            expected="no audio",
            got=f"{session.output_format.duration_ms(len(probe.audio) - before):.0f} ms",
        )
        session.hold(False)
    await probe.speak_and_hear()


def _is(expected: Told, told: Told) -> bool:
    if told.capability is EngineCapability.PROMPT:
        return expected.capability is EngineCapability.PROMPT and expected.text in told.text
    return told == expected
