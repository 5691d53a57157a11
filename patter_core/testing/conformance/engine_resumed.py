"""A call that goes on with another conversation: nothing is said twice, and the history is known."""

from __future__ import annotations

import msgspec

from patter_core.audio import ULAW_8000
from patter_core.engine import ConversationSetup, Engine, EngineCapability
from patter_core.events import TranscriptOutput
from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.probe import QUIET, Probe, opened, setup_for
from patter_core.testing.emulator import EngineEmulator

__all__ = ["check_resumed"]

_FIRST = "Welcome to the conformance check."
_RESUME = "We were cut off. Where were we?"
_USER, _AGENT, _RESULT, _REASON = (
    "My order is “4711” & late.",
    "I will look\nfor",
    "It left on Monday.",
    "No table is free.",
)
_HISTORY: tuple[HistoryItem, ...] = (
    UserSaid(text=_USER, started_ms=1_000.0),
    AgentSaid(text=_AGENT, started_ms=2_000.0, interrupted=True),
    ToolUsed(
        id="use-1",
        name="find_order",
        arguments='{"number":"4711"}',
        started_ms=3_000.0,
        result=_RESULT,
        state=ToolState.DONE,
    ),
    ToolUsed(
        id="use-2",
        name="book_table",
        arguments='{"day":"Sunday"}',
        started_ms=4_000.0,
        result=_REASON,
        state=ToolState.FAILED,
    ),
    ToolUsed(id="use-3", name="send_letter", arguments='{"to":"Turin"}', started_ms=5_000.0),
)
_KNOWN = (_USER, _AGENT, "find_order", "4711", _RESULT, "book_table", "Sunday", _REASON, "send_letter", "Turin")
"""What the service has to have of it, in this order."""


async def check_resumed(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """Opens conversations that continue a call."""
    takes_history = EngineCapability.HISTORY in engine.capabilities
    setup = msgspec.structs.replace(setup_for(ULAW_8000), system_prompt="Speak of nothing but orders.")
    resumed = msgspec.structs.replace(setup, resumed=True, history=_HISTORY if takes_history else ())
    if takes_history or await _says(check, engine, msgspec.structs.replace(setup, first_message=_FIRST)):
        await _check_silent(check, engine, emulator, resumed)
    if takes_history:
        await _check_history(check, engine, emulator, msgspec.structs.replace(resumed, first_message=_RESUME))


async def _says(check: Check, engine: Engine, setup: ConversationSetup) -> bool:
    """Returns True if the agent begins with the first message: then the emulator can tell that there is none, too."""
    check.now("the first message")
    async with opened(check, engine, setup) as probe:

        async def listen() -> None:
            await probe.greeted()
            await probe.quiet(QUIET)

        await probe.while_listening(listen)
        return any(isinstance(event, TranscriptOutput) and _FIRST in event.text for event in probe.events)


async def _check_silent(check: Check, engine: Engine, emulator: EngineEmulator, setup: ConversationSetup) -> None:
    check.now("a call that goes on, with nothing to say")
    before = len(emulator.told) if setup.history else 0
    async with opened(check, engine, setup) as probe:

        async def wait() -> None:
            await probe.be_silent(QUIET)
            check.require(not probe.over, "A conversation that continues a call ends.", got=repr(probe.error))
            _require_silence(check, probe)
            await probe.speak_and_hear()

        await probe.while_listening(wait)
    if setup.history:
        _require_history(check, emulator, before)


async def _check_history(check: Check, engine: Engine, emulator: EngineEmulator, setup: ConversationSetup) -> None:
    check.now("the capability history")
    before = len(emulator.told)
    async with opened(check, engine, setup) as probe:

        async def listen() -> None:
            await probe.greeted()
            if not emulator.remembers:
                await probe.quiet(QUIET)
                await probe.speak_and_hear()
            _require_history(check, emulator, before)

        await probe.while_listening(listen)


def _require_silence(check: Check, probe: Probe) -> None:
    said = [event.text for event in probe.events if isinstance(event, TranscriptOutput)]
    check.require(
        not (said or probe.audio),
        "The agent greets on a call that goes on.",
        expected="that it waits for the caller where `resumed` is true and `first_message` is empty",
        got=" ".join(said) or "audio",
        mistake="the service's own greeting, the first message of the configuration or the prompt in place of none",
    )


def _require_history(check: Check, emulator: EngineEmulator, before: int) -> None:
    given = [told.text for told in emulator.told[before:] if told.capability is EngineCapability.HISTORY]
    check.require(
        given,
        "The capability history is declared, and no history arrives before the agent's first word.",
        expected=", ".join(_KNOWN),
        mistake="history that is sent after the agent was asked to begin, or not on a call that goes on",
    )
    text, at = "\n".join(given), 0
    for known in _KNOWN:
        found = text.find(known, at)
        check.require(
            found >= 0,
            "The history that arrives is not whole, or not in order.",
            expected=", ".join(_KNOWN),
            got=text,
            mistake="a kind of item that is left out: UserSaid, AgentSaid, ToolUsed in each ToolState",
        )
        at = found + len(known)
