"""Ends of a conversation that the app does not cause: the agent's, a failure, and an engine that is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import Engine
from patter_core.errors import EngineError
from patter_core.testing.conformance.check import Check, at_once
from patter_core.testing.conformance.probe import Probe, opened, setup_for
from patter_core.testing.emulator import EngineEmulator

__all__ = ["check_ends", "check_lost", "check_unreachable"]

_END_WITHIN = 10.0
_HEARD = 0.5
"""Seconds for which the agent speaks before it ends the conversation."""


async def check_ends(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """The agent ends the conversation, if it can; then, in another one, the service fails."""
    if emulator.agent_ends:
        async with check.leaving_nothing("A conversation that the agent ended"):
            check.now("the agent ends the conversation")
            async with opened(check, engine) as probe:
                await _ends(check, probe, emulator.end)
                check.require(
                    probe.error is None,
                    "The agent ends the conversation, and events() raises.",
                    expected="that it ends",
                    got=repr(probe.error),
                    mistake="every end of the socket is taken for a loss",
                )
    await _check_last_words(check, engine, emulator)
    async with check.leaving_nothing("A conversation that failed"):
        check.now("a failure of the service")
        async with opened(check, engine) as probe:
            await _ends(check, probe, emulator.fail)
            check.require(
                probe.error is not None,
                "The service fails, and events() ends as if the agent had ended the conversation.",
                expected="EngineLost, or another EngineError",
                mistake="an error message, or a close code of the service, that is not looked at",
            )


async def _check_last_words(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    check.now("the agent's last words")
    async with opened(check, engine) as probe:
        await probe.be_silent(_HEARD)
        await (emulator.end() if emulator.agent_ends else emulator.fail())
        await probe.be_silent(_HEARD)  # events() is not read meanwhile

        async def listen() -> None:
            with check.within(_END_WITHIN, "The conversation is over, and events() never ends."):
                await probe.until(lambda: probe.over)

        await probe.while_listening(listen)
        check.require(
            len(probe.audio) > 0,
            "What the agent said before the conversation ended is lost.",
            expected="all that came before the end",
            got="no audio",
            mistake="an end that overtakes audio which has not been taken yet",
            remedy="Let events() give what it holds, and end after it.",
        )


async def _ends(check: Check, probe: Probe, end: Callable[[], Awaitable[None]]) -> None:
    async def listen() -> None:
        await probe.greeted()
        await end()
        with check.within(_END_WITHIN, "The conversation is over, and events() never ends."):
            await probe.until(lambda: probe.over)
        with check.raises_only(problem="A conversation that is over raises.", mistake="a closed socket is written to"):
            await probe.be_silent(0.1)
            probe.session.send_dtmf("5")
            probe.session.add_context("Too late.")

    await probe.while_listening(listen)


async def check_lost(check: Check, make_emulator: Callable[[], EngineEmulator]) -> Engine:
    """The emulator stops in the middle of a conversation. Returns the engine, which has no service any more."""
    up, stop, engines = anyio.Event(), anyio.Event(), list[Engine]()

    async def serve() -> None:
        async with make_emulator() as emulator:
            engines.append(emulator.engine())
            check.keep_secret(emulator.secrets)
            up.set()
            await stop.wait()

    async def converse() -> None:
        await up.wait()
        check.now("an engine that is lost")
        async with opened(check, engines[0]) as probe:

            async def lose() -> None:
                await probe.greeted()
                stop.set()
                with check.within(15, "The engine is lost, and events() never ends."):
                    await probe.until(lambda: probe.over)

            await probe.while_listening(lose)
            check.require(
                probe.error is not None,
                "The engine is lost, and events() ends as if the agent had ended the conversation.",
                expected="EngineLost, or another EngineError",
                mistake="every end of the socket is taken for a good one",
            )
            with check.raises_only(problem="A lost conversation raises.", mistake="a closed socket that is written to"):
                silence = probe.session.input_format.silence * 160
                probe.session.send_audio(AudioChunk(silence, probe.session.input_format))

    await at_once(serve, converse)
    return engines[0]


async def check_unreachable(check: Check, engine: Engine) -> None:
    """The service is away."""
    await check.check_own_checks(engine.check, " without the service")
    check.now("an engine that cannot be reached")
    was_opened = False
    with (
        check.within(20, "open() never returns if the engine cannot be reached."),
        check.raises_only(EngineError, problem="open() raises something else than an EngineError."),
    ):
        try:
            await (await engine.open(setup_for(ULAW_8000))).aclose()
            was_opened = True
        except EngineError as error:
            check.shows_nothing("the text of an error", f"{error!r} {error}")
    check.require(not was_opened, "open() succeeds where no engine is.", expected="EngineError")
