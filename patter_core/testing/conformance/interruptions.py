"""Interruptions of an engine's agent: by the caller, and by the service itself."""

from __future__ import annotations

from patter_core.engine import Engine, EngineCapability
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.probe import ANSWER_WITHIN, QUIET, Probe, opened
from patter_core.testing.emulator import EngineEmulator
from patter_core.testing.speech import CALLER_LINES

__all__ = ["check_interruptions"]

_LATE = 0.5
"""Seconds in which late audio of an interrupted turn would be given."""


async def check_interruptions(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """Both kinds, each in a conversation of its own. An agent whose output never stops falls silent by itself."""
    if EngineCapability.CONTINUOUS_OUTPUT in engine.capabilities:
        return
    await _check_interruption(check, engine)
    await _check_late_audio(check, engine, emulator)


async def _check_interruption(check: Check, engine: Engine) -> None:
    """The caller talks over the greeting while its audio still waits to be taken."""
    check.now("an interruption")
    greeting = await _whole_greeting(check, engine)
    async with opened(check, engine) as probe:
        await probe.be_silent(0.3)
        await probe.speak(CALLER_LINES[-1].audio(probe.session.input_format))  # events() is not read meanwhile

        async def listen() -> None:
            with check.within(
                ANSWER_WITHIN,
                "An interruption is never reported.",
                mistake="the engine's message for it is not read",
            ):
                await probe.until(lambda: bool(probe.audio_at_interruption))
            await probe.quiet(QUIET)

        await probe.while_listening(listen)
        cut = probe.audio_at_interruption[0]
        after, window = bytes(probe.audio[cut:]), probe.session.output_format.size(100)
        rest = greeting[cut:]
        check.require(
            window > len(rest) or rest[:window] not in after,
            "After an interruption, audio of what was interrupted follows.",
            expected="none of it: it is void",
            mistake="an interruption that overtakes audio which is then given all the same",
            remedy="Drop what waits when the interruption comes, or keep it in order before it.",
        )


async def _whole_greeting(check: Check, engine: Engine) -> bytes:
    async with opened(check, engine) as probe:

        async def listen() -> None:
            await probe.greeted()
            await probe.quiet(QUIET)

        await probe.while_listening(listen)
        return bytes(probe.audio)


async def _check_late_audio(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """The service interrupts the agent, and then sends audio of that turn, which was on its way."""
    check.now("audio that comes after an interruption")
    async with opened(check, engine) as probe:

        async def listen() -> None:
            await probe.greeted()
            await emulator.interrupt()
            with check.within(
                ANSWER_WITHIN,
                "An interruption is never reported.",
                mistake="the engine's message for it is not read",
            ):
                await probe.until(lambda: bool(probe.audio_at_interruption) or probe.over)
            await probe.be_silent(_LATE)
            _require_once(check, probe)

        await probe.while_listening(listen)


def _require_once(check: Check, probe: Probe) -> None:
    check.require(
        not probe.over,
        "An interruption ends the conversation.",
        expected="that it goes on",
        got=repr(probe.error),
    )
    count = len(probe.audio_at_interruption)
    check.require(
        count == 1,
        "An interruption is reported more than once.",
        expected="one Interruption",
        got=str(count),
        mistake="a message for each of the turn's parts, each taken for an interruption",
    )
    late_ms = probe.session.output_format.duration_ms(len(probe.audio) - probe.audio_at_interruption[0])
    check.require(
        late_ms == 0,
        "After an interruption, late audio of what was interrupted follows.",
        expected="none of it: the caller would hear it",
        got=f"{late_ms:.0f} ms",
        mistake="audio that was on its way, and is given as if it belonged to the next turn",
        remedy="Remember which turn is void, and drop audio that has its id.",
    )
