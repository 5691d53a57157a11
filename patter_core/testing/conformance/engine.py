"""`check_engine`: what an engine must do, in the order in which it is tried.

The engine is the one that its emulator makes; conversations go over real sockets to the emulator.

1. **The class** has a usable name and implements this version of the contract. Its `repr` shows no secret.
2. **Formats** are known once `open()` returns, for carriers of each format, and do not change.
3. **A cancelled `open()`**, at any moment, leaves nothing open.
4. **Two conversations at once** are not mixed up: both greet, one caller speaks and is answered, and hears all of it.
   Malformed messages that come between are survived. Each turn of the agent has a beginning, audio and an end, each
   once, in this order (`turn_events.py`), and what was said is told once.
5. **An interruption** is reported, once, and no audio of what was interrupted follows it, also none that comes late
   (`interruptions.py`).
6. **The capabilities** are true: what is declared is written, and what it is given arrives (`engine_commands.py`).
   A tool that the agent calls is told once, and the service has the result of each call (`engine_tools.py`).
7. **A call that goes on** is not greeted again, and the history is there before the agent's first word
   (`engine_resumed.py`).
8. **More audio than the engine takes** is dropped, counted, and never waited for.
9. **Closing** ends `events()`, and can be repeated. A closed conversation takes commands without raising.
10. **Other ends** (`engine_ends.py`): if the agent ends the conversation, `events()` ends after its last words; if no
   agent of the service can (`EngineEmulator.agent_ends`), a failure comes after them. A
   failure of the service, and a lost engine, are an `EngineError` out of it. An engine that cannot be reached is one
   out of `open()`.

No method and no step of an asynchronous one holds the event loop (`pace.py`); but `open()` may load what it needs.

An engine that needs steady input gets silence wherever the caller says nothing.

At no time does a log line, an error or a `repr` show a secret or a phone number, and nothing is left open at the end.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import anyio

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk
from patter_core.engine import ENGINE_API_VERSION, Engine, EngineSession
from patter_core.testing.conformance.check import Check, at_once, beside
from patter_core.testing.conformance.engine_commands import check_capabilities, commands_of
from patter_core.testing.conformance.engine_ends import check_ends, check_lost, check_unreachable
from patter_core.testing.conformance.engine_options import check_call_options
from patter_core.testing.conformance.engine_resumed import check_resumed
from patter_core.testing.conformance.engine_tools import check_tools
from patter_core.testing.conformance.fuzz import MALFORMED
from patter_core.testing.conformance.interruptions import check_interruptions
from patter_core.testing.conformance.probe import QUIET, opened, setup_for
from patter_core.testing.emulator import EngineEmulator

__all__ = ["check_engine"]

_CANCELS = 40
"""At how many moments of its life an open() is cancelled."""
_FLOOD_SECONDS = 2_400
"""Of audio at once: more than all sockets between here and the emulator can hold."""
_MOST_KEPT = 8 * 2**20
"""Bytes that a plugin may keep of such a flood."""


async def check_engine(make_emulator: Callable[[], EngineEmulator], *, patience: float = 1.0) -> None:
    """Tries an engine against the whole of its contract. It takes some twenty seconds: speech is spoken in real time.

    Args:
        make_emulator: makes the emulator of `Engine.emulator`, whose `engine()` is what is tried.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("engine", patience)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("The engine, or its emulator,"):
            async with make_emulator() as emulator:
                await _check(check, emulator, emulator.engine())
            # 10. An engine that is lost, and is not there any more.
            await check_unreachable(check, await check_lost(check, make_emulator))


async def _check(check: Check, emulator: EngineEmulator, engine: Engine) -> None:
    leg = setup_for(ULAW_8000).leg
    check.keep_secret([*emulator.secrets, leg.from_number, leg.to_number])
    # 1. The class, and an instance of it.
    check.check_class(type(engine), ENGINE_API_VERSION)
    check.now("redaction of repr")
    check.shows_nothing("repr(engine)", f"{engine!r} {engine!s}")
    await check.check_own_checks(engine.check)
    check_call_options(check, engine)
    # 2. Formats.
    await _check_formats(check, engine)
    # 3. An open() that is cancelled.
    await _check_open_cancelled(check, engine)
    # 4. Two conversations at once.
    await _check_conversations(check, engine, emulator)
    # 5. Interruptions.
    await check_interruptions(check, engine, emulator)
    # 6. The capabilities.
    await check_capabilities(check, engine, emulator)
    await check_tools(check, engine, emulator)
    # 7. A call that goes on.
    await check_resumed(check, engine, emulator)
    # 8. More audio than the engine takes.
    await _check_flood(check, engine)
    # 9. Closing.
    await _check_closing(check, engine)
    # 10. Ends that are not ours.
    await check_ends(check, engine, emulator)


async def _check_formats(check: Check, engine: Engine) -> None:
    for preferred in (ULAW_8000, ALAW_8000, PCM16_16000):
        check.now(f"formats, for a carrier of {preferred}")
        async with opened(check, engine, setup_for(preferred)) as probe:
            session = probe.session
            formats = (session.input_format, session.output_format)
            await probe.while_listening(probe.greeted)
            check.require(
                formats == (session.input_format, session.output_format),
                "The formats change during a conversation.",
                expected="those that were known once open() returned",
            )


async def _check_open_cancelled(check: Check, engine: Engine) -> None:
    check.now("cancelling open()")
    took = 0.0
    for _ in range(3):  # the first one loads what the others need not load
        began = anyio.current_time()
        await (await engine.open(setup_for(ULAW_8000))).aclose()
        took = anyio.current_time() - began
    async with check.leaving_nothing("A cancelled open()"):
        for part in range(_CANCELS):
            session: EngineSession | None = None
            with anyio.move_on_after(took * part / _CANCELS):
                session = await engine.open(setup_for(ULAW_8000))
            if session is not None:
                await session.aclose()


async def _check_conversations(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    async with opened(check, engine) as probe, opened(check, engine) as other:

        async def converse() -> None:
            check.now("the greeting")
            await probe.greeted()
            await probe.quiet(QUIET)
            probe.turns.require_done()
            # Malformed messages come on both sockets.
            check.now("malformed messages")
            for message in MALFORMED:
                await emulator.inject(message)
            await probe.quiet(0.1)
            check.require(
                not (probe.over or other.over),
                "One malformed message ends the conversation.",
                expected="that it is counted and passed over",
                got=repr(probe.error or other.error),
                mistake="an exception of the JSON decoder that is not caught",
            )
            # The caller of one conversation speaks.
            await probe.speak_and_hear()

        async def listen() -> None:
            await other.greeted()
            await other.be_silent(5.0)

        async with beside() as start:
            for function in (probe.listen, other.listen, listen):
                start(function)
            await converse()
        check.now("two conversations at once")
        check.require(
            len(probe.audio) > len(other.audio) > 0,
            "Two conversations are mixed up.",
            expected="that only the one in which the caller spoke is answered",
            mistake="state that belongs to the engine instead of the session",
        )


async def _check_flood(check: Check, engine: Engine) -> None:
    check.now("more caller audio than the engine takes")
    async with opened(check, engine) as probe:
        session = probe.session
        format = session.input_format
        size = format.size(1_000)
        # send_audio() neither waits, nor raises, nor keeps what it is given.
        tracemalloc.start()
        try:
            began = anyio.current_time()
            before = tracemalloc.get_traced_memory()[0]
            with check.raises_only(problem="send_audio() raises.", mistake="a queue that is full"):
                for number in range(_FLOOD_SECONDS):
                    chunk = AudioChunk(bytes([number & 0xFF]) * size, format)
                    answer: object = session.send_audio(chunk)
                    probe.pace.require_quick()
                    check.require(answer is None, "send_audio() is not synchronous.", got=repr(answer))
            kept = tracemalloc.get_traced_memory()[0] - before
            took = anyio.current_time() - began
        finally:
            tracemalloc.stop()
        check.require(
            kept <= _MOST_KEPT,
            "Caller audio that the engine does not take is kept without bound.",
            expected=f"at most {_MOST_KEPT >> 20} MiB of {_FLOOD_SECONDS * size >> 20}",
            got=f"{kept >> 20} MiB",
            mistake="an unbounded queue, or a transport that is written to without a bound",
            remedy="patter_core.net.websocket.EngineSocket.send_audio keeps a bound, drops the oldest and counts it.",
        )
        # What it drops is counted.
        check.require(
            session.dropped > 0,
            "Caller audio was dropped and is not counted.",
            expected="`dropped` of at least 1",
            got=str(session.dropped),
        )
        check.require(took < 120, "send_audio() waits.", expected="no waiting", got=f"{took:.1f} s")
        # Commands are still taken.
        with check.raises_only(problem="send_dtmf() or add_context() raises.", mistake="a queue that is full"):
            session.send_dtmf("5")
            session.add_context("The caller waits.")


async def _check_closing(check: Check, engine: Engine) -> None:
    async with check.leaving_nothing("A closed conversation"), opened(check, engine) as probe:
        session = probe.session

        async def close() -> None:
            await probe.greeted()
            check.now("closing while events() is read")
            with check.raises_only(problem="aclose() raises.", mistake="it does what can be done only once"):
                await at_once(session.aclose, session.aclose)
            with check.within(5, "events() goes on after aclose().", mistake="a reader that is not woken"):
                await probe.until(lambda: probe.over)

        await probe.while_listening(close)
        check.now("a conversation that is closed")
        with check.raises_only(problem="A closed conversation raises.", mistake="a closed socket that is written to"):
            session.send_audio(AudioChunk(session.input_format.silence * 160, session.input_format))
            session.send_dtmf("5")
            session.add_context("Too late.")
            for command in commands_of(engine):
                command.give(session)
            await session.aclose()
