"""The calls that a carrier is tried with: a talk, an interruption, an agent that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.events import Interruption, ResponseDone, ResponseHeard
from patter_core.testing.caller import EndCall, Pause, PressKey, Say, WaitForAgent, WaitForSilence
from patter_core.testing.conformance.check import at_once
from patter_core.testing.conformance.harness import Harness, PlacedCall
from patter_core.testing.fakes import FakeSession
from patter_core.testing.speech import CALLER_LINES, GREETING, Line

__all__ = ["agent_ends", "interruption", "two_talks"]

_SLACK_MS = 100.0


async def two_talks(harness: Harness) -> None:
    """Two calls at once, each with speech and keys one way and speech the other."""
    check = harness.check
    check.now("two calls at once")
    calls: list[PlacedCall] = []

    async def first() -> None:
        calls.append(await _talk(harness, CALLER_LINES[0]))

    async def second() -> None:
        calls.append(await _talk(harness, CALLER_LINES[2]))

    await at_once(first, second)
    legs = {call.session.setup.leg.call_id for call in calls}
    check.require(len(legs) == 2, "Two calls have one call id.", got=repr(legs))
    for call in calls:
        others = [other for other in calls if _is_of(call, other.session)]
        check.now("the caller's audio")
        check.require(
            others,
            "What the engine heard is not what the caller said.",
            expected=f"{len(call.recording.caller)} bytes, in order, untouched",
            got=f"{len(call.heard_by_engine)} bytes",
            mistake="frames lost, repeated or reordered; or state that two codecs share",
        )
        _check_talk(harness, PlacedCall(call.recording, others[0].session, []), others[0])


def _is_of(call: PlacedCall, session: FakeSession) -> bool:
    said, heard = bytes(call.recording.caller), b"".join(chunk.data for chunk in session.heard)
    return said.startswith(heard) and call.recording.format.duration_ms(len(said) - len(heard)) <= _SLACK_MS


async def _talk(harness: Harness, line: Line) -> PlacedCall:
    format = harness.emulator.format

    async def drive(session: FakeSession) -> None:
        check = harness.check
        with check.within(
            8, "The keys that the caller pressed do not arrive.", mistake="no MediaDtmf, or not in the order pressed"
        ):
            await session.until(lambda: session.digits == ["5", "#"])
        for chunk in _pieces(session):
            session.say(chunk)
        session.say(ResponseDone())

    said = line.audio(format)[: format.size(600)]
    return await harness.place(
        [Pause(0.1), Say(said), PressKey("5"), PressKey("#"), WaitForSilence(0.3), EndCall()],
        drive,
        too_long="The caller never hears the agent.",
        mistake="encode_audio() holds audio back that encode_mark() does not let go, or names no stream",
    )


def _pieces(session: FakeSession) -> Sequence[AudioChunk]:
    """The agent's words, in pieces of awkward lengths; each session's begin with other samples."""
    format = session.output_format
    whole = _words(session)
    samples = (1, 7, 160, 333, 2_000)
    pieces: list[AudioChunk] = []
    at = 0
    while at < len(whole):
        size = samples[len(pieces) % len(samples)] * format.sample_width
        pieces.append(AudioChunk(whole[at : at + size], format))
        at += size
    return pieces


def _words(session: FakeSession) -> bytes:
    format = session.output_format
    start = format.size(100) * (hash(session.setup.leg.call_id) % 5)
    return GREETING.audio(format)[start : start + format.size(500)]


def _check_talk(harness: Harness, sides: PlacedCall, told: PlacedCall) -> None:
    check = harness.check
    check.now("the agent's audio")
    said, played = _words(sides.session), bytes(sides.recording.played)
    _require_played(harness, said, played, sides.session.output_format)
    check.now("marks")
    heard = [event for event in told.events if isinstance(event, ResponseHeard)]
    whole = sides.session.output_format.duration_ms(len(said))
    check.require(
        heard and abs(sum(event.heard_ms for event in heard) - whole) <= _SLACK_MS and not heard[-1].interrupted,
        "What the caller heard is not told as it was.",
        expected=f"{whole:.0f} ms, once the mark after them came back",
        got=f"{[round(event.heard_ms) for event in heard]}",
        mistake="encode_mark() does not reach the carrier, or decode() reads no MediaMark with the same name",
    )
    check.now("the vendor's own messages")
    metrics = told.end.metrics
    check.require(
        metrics.faults == 0,
        "The codec finds fault with sound messages.",
        got=repr([event for event in told.events if event.kind == "media_trouble"]),
        mistake="a message that means nothing to us must be (), not a MediaFault",
    )
    check.now("the end of the stream")
    check.require(
        told.end.reason == "caller_hung_up",
        "The caller hung up, and it was taken for something else.",
        expected="caller_hung_up",
        got=told.end.reason,
        mistake="decode() gives no MediaStopped for the message by which the vendor ends a stream",
    )


def _require_played(harness: Harness, said: bytes, played: bytes, format: AudioFormat) -> None:
    """What was played is what was said; a carrier that fills its last message up may add silence."""
    if format != harness.emulator.format:  # the carrier converts: lengths are all that can be compared
        ok = abs(format.duration_ms(len(said)) - harness.emulator.format.duration_ms(len(played))) <= _SLACK_MS
    else:
        rest = played[len(said) :]
        ok = played.startswith(said) and not rest.strip(format.silence) and format.duration_ms(len(rest)) <= _SLACK_MS
    harness.check.require(
        ok,
        "What the caller heard is not what the agent said.",
        expected=f"{len(said)} bytes, in order, untouched",
        got=f"{len(played)} bytes, {_alike(said, played)} of them as they were",
        mistake="audio held back by encode_audio() that encode_mark() does not send first; or changed on its way",
    )


def _alike(one: bytes, other: bytes) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


async def interruption(harness: Harness) -> None:
    """The agent talks without end, is interrupted, and says something else."""
    check, format = harness.check, harness.emulator.format
    check.now("an interruption")

    async def drive(session: FakeSession) -> None:
        long = GREETING.audio(session.output_format)
        for _ in range(5):
            session.say(AudioChunk(long, session.output_format))
        await session.until(lambda: session.digits == ["1"])
        session.say(Interruption())
        await session.until(lambda: session.digits == ["1", "2"])
        session.say(AudioChunk(_words(session), session.output_format))
        session.say(ResponseDone())

    call = await harness.place(
        [
            WaitForAgent(heard=0.3),
            PressKey("1"),
            Pause(0.4),
            PressKey("2"),
            WaitForAgent(),
            WaitForSilence(0.2),
        ],
        drive,
        too_long="After an interruption the caller goes on hearing the agent, or never hears it again.",
        mistake="encode_clear() does not empty the carrier's buffer, or does not name the stream",
    )
    check.require(
        any(isinstance(event, ResponseHeard) and event.interrupted for event in call.events),
        "The interrupted turn is never told.",
        mistake="the carrier's marks do not come back after a clear",
    )
    if format == call.session.output_format:
        after, played = _words(call.session), bytes(call.recording.played)
        place = played.find(after, format.size(300) // 2)
        check.require(
            place >= 0 and GREETING.audio(format).startswith(played[:place][: len(GREETING.audio(format))]),
            "What the caller heard around an interruption is not what the agent said.",
            expected="the beginning of the first turn, then all of the second",
            got=f"{len(played)} bytes",
            mistake="audio that was held back before a clear is sent after it",
        )


async def agent_ends(harness: Harness) -> PlacedCall:
    """The agent says a last word and ends the conversation; the caller would stay for ever."""
    harness.check.now("the agent ends the call")

    async def drive(session: FakeSession) -> None:
        session.say(AudioChunk(_words(session), session.output_format))
        session.say(ResponseDone())
        session.end()

    call = await harness.place(
        [Pause(3_600)],
        drive,
        too_long="The agent ended the conversation, and the call stays up.",
        mistake="hang_up() does not end the call at the vendor",
    )
    _require_played(harness, _words(call.session), bytes(call.recording.played), call.session.output_format)
    return call
