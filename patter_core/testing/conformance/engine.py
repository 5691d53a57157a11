"""`check_engine`: an engine's conversations, tried against its emulator over real sockets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import anyio

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk
from patter_core.engine import ENGINE_API_VERSION, Engine, EngineSession
from patter_core.errors import EngineError
from patter_core.testing.conformance.check import Check, at_once
from patter_core.testing.conformance.fuzz import JUNK
from patter_core.testing.conformance.probe import Probe, open_talk, setup_for
from patter_core.testing.emulator import EngineEmulator
from patter_core.testing.speech import CALLER_LINES

__all__ = ["check_engine"]

_ANSWER_WITHIN = 10.0
_CANCELS = 40
"""At so many moments of its life is an open() cancelled."""
_QUIET = 0.8
"""Seconds without a word, after which a turn of the agent is over."""
_FLOOD_SECONDS = 2_400
"""Of audio at once: more than all sockets between here and the emulator can hold."""
_MOST_KEPT = 8 * 2**20
"""Bytes that a plugin may keep of such a flood."""


async def check_engine(make_emulator: Callable[[], EngineEmulator], *, patience: float = 1.0) -> None:
    """Try an engine against the whole of its contract. It takes some twenty seconds: speech is spoken in real time.

    Args:
        make_emulator: makes the emulator of `Engine.emulator`, whose `engine()` is what is tried.
        patience: what all bounds in time are multiplied by: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("engine", patience)
    with check.watching_logs():
        async with check.leaving_nothing("The engine, or its emulator,"):
            emulator = make_emulator()
            async with emulator:
                check.keep_secret(emulator.secrets)
                check.keep_secret([setup_for(ULAW_8000).leg.from_number, setup_for(ULAW_8000).leg.to_number])
                engine = emulator.engine()
                check.check_class(type(engine), ENGINE_API_VERSION)
                check.now("redaction of repr")
                check.shows_nothing("repr(engine)", f"{engine!r} {engine!s}")
                await _check_formats(check, engine)
                await _check_open_cancelled(check, engine)
                await _check_talks(check, engine, emulator)
                await _check_interruption(check, engine)
                await _check_flood(check, engine)
                await _check_closing(check, engine)
            await _check_unreachable(check, await _check_lost(check, make_emulator))


async def _check_formats(check: Check, engine: Engine) -> None:
    for preferred in (ULAW_8000, ALAW_8000, PCM16_16000):
        check.now(f"formats, for a carrier of {preferred}")
        async with open_talk(check, engine, preferred) as talk:
            session = talk.session
            formats = (session.input_format, session.output_format)
            await talk.while_listening(talk.greeted)
            check.require(
                formats == (session.input_format, session.output_format),
                "The formats change during a conversation.",
                expected="those that were known once open() returned",
            )


async def _check_open_cancelled(check: Check, engine: Engine) -> None:
    check.now("cancelling open()")
    took = 0.0
    for _ in range(3):  # what the first one loads would not be loaded again
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


async def _check_talks(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """Two at once: one speaks and is answered, though nonsense comes between; the other hears only its greeting."""
    async with open_talk(check, engine, ULAW_8000) as talk, open_talk(check, engine, ULAW_8000) as other:

        async def converse() -> None:
            check.now("the greeting")
            await talk.greeted()
            await talk.quiet(_QUIET)
            check.now("messages that nobody should send")
            for message in JUNK:
                await emulator.inject(message)
            await talk.quiet(0.1)
            check.require(
                not (talk.over or other.over),
                "One malformed message ends the conversation.",
                expected="that it is counted and passed over",
                got=repr(talk.error or other.error),
                mistake="an exception of the JSON decoder that is not caught",
            )
            await _speak_and_hear(check, talk)

        async def idle() -> None:
            await other.greeted()
            await other.be_silent(5.0)

        greeted = 0

        async def both() -> None:
            nonlocal greeted
            idling = anyio.CancelScope()

            async def first() -> None:
                await converse()
                idling.cancel()

            async def second() -> None:
                with idling:
                    await idle()

            await at_once(first, second)
            greeted = len(other.audio)

        await talk.while_listening(lambda: other.while_listening(both))
        check.now("two conversations at once")
        check.require(
            len(talk.audio) > greeted > 0,
            "Two conversations are mixed up.",
            expected="that only the one in which the caller spoke is answered",
            mistake="state that belongs to the engine instead of the session",
        )


async def _speak_and_hear(check: Check, talk: Probe) -> None:
    check.now("speech")
    before = len(talk.audio)
    said = CALLER_LINES[-1].audio(talk.session.input_format)
    with check.within(
        _ANSWER_WITHIN,
        "The agent does not answer speech.",
        mistake="send_audio() does not reach the engine, or in another format than input_format",
    ):
        await talk.speak(said)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.be_silent, _ANSWER_WITHIN)
            await talk.until(lambda: len(talk.audio) > before)
            tasks.cancel_scope.cancel()
    await talk.quiet(_QUIET)
    session = talk.session
    answered = session.output_format.duration_ms(len(talk.audio) - before)
    spoken = session.input_format.duration_ms(len(said))
    check.require(
        answered >= spoken / 2,
        "The agent, who repeats what it hears, did not hear all of it.",
        expected=f"about {spoken:.0f} ms of speech",
        got=f"{answered:.0f} ms",
        mistake="caller audio that is lost, or sent at another rate than its own",
    )


async def _check_interruption(check: Check, engine: Engine) -> None:
    """The caller talks over the greeting while its audio still waits to be taken."""
    check.now("an interruption")
    greeting = await _whole_greeting(check, engine)
    async with open_talk(check, engine, ULAW_8000) as talk:
        await talk.be_silent(0.3)
        await talk.speak(CALLER_LINES[-1].audio(talk.session.input_format))  # nobody takes events meanwhile

        async def listen() -> None:
            with check.within(
                _ANSWER_WITHIN,
                "An interruption is never told.",
                mistake="the engine's message for it is not read",
            ):
                await talk.until(lambda: bool(talk.audio_at_interruption))
            await talk.quiet(_QUIET)

        await talk.while_listening(listen)
        cut = talk.audio_at_interruption[0]
        after, window = bytes(talk.audio[cut:]), talk.session.output_format.size(100)
        rest = greeting[cut:]
        check.require(
            window > len(rest) or rest[:window] not in after,
            "After an interruption, audio of what was interrupted follows.",
            expected="none of it: it is void",
            mistake="an interruption that overtakes audio which is then given all the same",
            remedy="Drop what waits when the interruption comes, or keep it in order before it.",
        )


async def _whole_greeting(check: Check, engine: Engine) -> bytes:
    async with open_talk(check, engine, ULAW_8000) as talk:

        async def listen() -> None:
            await talk.greeted()
            await talk.quiet(_QUIET)

        await talk.while_listening(listen)
        return bytes(talk.audio)


async def _check_flood(check: Check, engine: Engine) -> None:
    """More caller audio than can be taken: it may not wait, raise, or be kept without bound; and it is counted."""
    check.now("more caller audio than the engine takes")
    async with open_talk(check, engine, ULAW_8000) as talk:
        session = talk.session
        format = session.input_format
        size = format.size(1_000)
        tracemalloc.start()
        try:
            began = anyio.current_time()
            before = tracemalloc.get_traced_memory()[0]
            with check.raises_only(problem="send_audio() raises.", mistake="a queue that is full"):
                for number in range(_FLOOD_SECONDS):
                    chunk = AudioChunk(bytes([number & 0xFF]) * size, format)
                    answer: object = session.send_audio(chunk)
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
            mistake="an unbounded queue, or a transport that is written to whatever it holds",
            remedy="patter_core.net.websocket.EngineSocket.send_audio keeps a bound, drops the oldest and counts it.",
        )
        check.require(
            session.dropped > 0,
            "Caller audio was dropped and is not counted.",
            expected="`dropped` of at least 1",
            got=str(session.dropped),
        )
        check.require(took < 20, "send_audio() waits.", expected="no waiting", got=f"{took:.1f} s")
        with check.raises_only(problem="send_dtmf() or add_context() raises.", mistake="a queue that is full"):
            session.send_dtmf("5")
            session.add_context("The caller waits.")


async def _check_closing(check: Check, engine: Engine) -> None:
    async with check.leaving_nothing("A closed conversation"), open_talk(check, engine, ULAW_8000) as talk:
        session = talk.session

        async def close() -> None:
            await talk.greeted()
            check.now("closing while events() is read")
            await at_once(session.aclose, session.aclose)
            with check.within(5, "events() goes on after aclose().", mistake="a reader that nobody wakes"):
                await talk.until(lambda: talk.over)

        await talk.while_listening(close)
        check.now("a conversation that is closed")
        with check.raises_only(problem="A closed conversation raises.", mistake="a closed socket that is written to"):
            session.send_audio(AudioChunk(session.input_format.silence * 160, session.input_format))
            session.send_dtmf("5")
            session.add_context("Too late.")
            await session.aclose()


async def _check_lost(check: Check, make_emulator: Callable[[], EngineEmulator]) -> Engine:
    """The emulator goes away in the middle of a conversation. Gives the engine that is left alone with it."""
    up, lose, engines = anyio.Event(), anyio.Event(), list[Engine]()

    async def serve() -> None:
        async with make_emulator() as emulator:
            engines.append(emulator.engine())
            check.keep_secret(emulator.secrets)
            up.set()
            await lose.wait()

    async def converse() -> None:
        await up.wait()
        check.now("an engine that is lost")
        async with open_talk(check, engines[0], ULAW_8000) as talk:
            await talk.while_listening(lambda: _lose(check, talk, lose))
            check.require(
                talk.error is not None,
                "The engine is gone, and events() ends as if the agent had ended the conversation.",
                expected="EngineLost, or another EngineError",
                mistake="every end of the socket is taken for a good one",
            )
            with check.raises_only(problem="A lost conversation raises.", mistake="a closed socket that is written to"):
                silence = talk.session.input_format.silence * 160
                talk.session.send_audio(AudioChunk(silence, talk.session.input_format))

    await at_once(serve, converse)
    return engines[0]


async def _lose(check: Check, talk: Probe, lose: anyio.Event) -> None:
    await talk.greeted()
    lose.set()
    with check.within(15, "The engine is gone, and events() waits for ever."):
        await talk.until(lambda: talk.over)


async def _check_unreachable(check: Check, engine: Engine) -> None:
    check.now("an engine that cannot be reached")
    opened = False
    with (
        check.within(20, "open() waits for ever for an engine that is not there."),
        check.raises_only(EngineError, problem="open() raises something else than an EngineError."),
    ):
        try:
            await (await engine.open(setup_for(ULAW_8000))).aclose()
            opened = True
        except EngineError as error:
            check.shows_nothing("the text of an error", f"{error!r} {error}")
    check.require(not opened, "open() succeeds where no engine is.", expected="EngineError")
