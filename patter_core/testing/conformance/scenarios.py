"""Scenarios of a carrier's audio: two conversations, a webhook that comes twice, an interruption, the agent's end."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.events import Interruption, ResponseDone, ResponseHeard
from patter_core.testing.caller import EndCall, Pause, PressKey, Say, WaitForAgent, WaitForSilence
from patter_core.testing.conformance.check import at_once
from patter_core.testing.conformance.scene import SOON, LiveCall, Scenario, Scene
from patter_core.testing.speech import CALLER_LINES, GREETING

__all__ = ["CONVERSATIONS", "ENDINGS"]

_SLACK_MS = 100.0
_AT_END_MS = 50.0
"""What is told so shortly before the end of a call is told because it ends."""
_SIZES = (1, 7, 160, 333, 2_000)
"""Samples in the pieces of the agent's audio: awkward ones."""


# --- two conversations at once -------------------------------------------------------------------------------------


async def _two_conversations(scene: Scene) -> None:
    """In each the caller speaks and presses keys, and the agent answers with words of that conversation alone."""
    await at_once(lambda: _conversation(scene, 0), lambda: _conversation(scene, 1))


async def _conversation(scene: Scene, number: int) -> None:
    check, format = scene.check, scene.harness.emulator.format
    check.now_here("two calls at once")  # the other one may be further
    said = CALLER_LINES[2 * number].audio(format)[: format.size(600)]
    live = await scene.live(Pause(0.1), Say(said), PressKey("5"), PressKey("#"), WaitForSilence(0.8), EndCall())
    with check.within(
        SOON, "The keys that the caller pressed do not arrive.", mistake="no MediaDtmf, or not in the order pressed"
    ):
        await live.session.until(lambda: live.session.digits == ["5", "#"])
    words = _words(live.session.output_format, number)
    for piece in _pieces(words, live.session.output_format):
        live.session.give(piece)
    live.session.give(ResponseDone())
    await scene.over(
        live.call,
        "The caller never hears the agent.",
        mistake="encode_audio() holds audio back that encode_mark() does not let go, or names no stream",
    )
    _check_heard(scene, live)
    _check_played(scene, live, words)
    await _check_reports(scene, live, words)


def _words(format: AudioFormat, number: int = 0) -> bytes:
    """Half a second of speech, which begins differently for each number."""
    start = format.size(100 * number)
    return GREETING.audio(format)[start : start + format.size(500)]


def _pieces(audio: bytes, format: AudioFormat) -> Iterator[AudioChunk]:
    at = number = 0
    while at < len(audio):
        size = _SIZES[number % len(_SIZES)] * format.sample_width
        yield AudioChunk(audio[at : at + size], format)
        at, number = at + size, number + 1


def _check_heard(scene: Scene, live: LiveCall) -> None:
    scene.check.now("the caller's audio")
    said, heard = bytes(live.call.recording.caller), b"".join(chunk.data for chunk in live.session.received)
    missing_ms = live.session.input_format.duration_ms(len(said) - len(heard))
    scene.check.require(
        said.startswith(heard) and missing_ms <= _SLACK_MS,
        "What the engine heard is not what the caller said.",
        expected=f"{_length(said, live.session.input_format)}, in order, untouched",
        got=_difference(said, heard, live.session.input_format),
        mistake="frames lost, repeated or reordered; or state that two codecs share",
    )


def _check_played(scene: Scene, live: LiveCall, said: bytes) -> None:
    """A carrier that fills its last message up may add silence. Where it converts, only lengths can be compared."""
    scene.check.now("the agent's audio")
    format, played = live.session.output_format, bytes(live.call.recording.played)
    if format != live.call.recording.format:
        length_ms = live.call.recording.format.duration_ms(len(played))
        ok = abs(format.duration_ms(len(said)) - length_ms) <= _SLACK_MS
    else:
        rest = played[len(said) :]
        ok = played.startswith(said) and not rest.strip(format.silence) and format.duration_ms(len(rest)) <= _SLACK_MS
    scene.check.require(
        ok,
        "What the caller heard is not what the agent said.",
        expected=f"{_length(said, format)}, in order, untouched",
        got=_difference(said, played, live.call.recording.format, is_converted=format != live.call.recording.format),
        mistake="encode_audio() writes something else than its chunk; or `output.format` is not what the carrier plays",
    )


def _length(audio: bytes, format: AudioFormat) -> str:
    return f"{format.duration_ms(len(audio)):.0f} ms of {format}"


def _difference(expected: bytes, got: bytes, format: AudioFormat, *, is_converted: bool = False) -> str:
    """Says in which way audio is not what was expected."""
    length = _length(got, format)
    if is_converted:
        return length
    place = next((place for place, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), None)
    return (
        f"{length}, which ends too early or too late"
        if place is None
        else f"{length}, other audio from byte {place} on"
    )


async def _check_reports(scene: Scene, live: LiveCall, words: bytes) -> None:
    check, end = scene.check, await scene.ended(live.handle)
    check.now("marks")
    (over,) = scene.records(live.handle, "call_ended")
    told = [
        one for one in scene.records(live.handle, "response_heard") if over.elapsed_ms - one.elapsed_ms > _AT_END_MS
    ]
    heard = [one.event for one in told if isinstance(one.event, ResponseHeard)]
    whole_ms = live.session.output_format.duration_ms(len(words))
    check.require(
        heard and abs(sum(event.heard_ms for event in heard) - whole_ms) <= _SLACK_MS and not heard[-1].interrupted,
        "What the caller heard is not reported as it was.",
        expected=f"{whole_ms:.0f} ms, once the mark after them came back",
        got=f"{[round(event.heard_ms) for event in heard]}",
        mistake="encode_mark() does not reach the carrier, or decode() reads no MediaMark with the same name",
    )
    check.now("the vendor's own messages")
    check.require(
        end.metrics.faults == 0,
        "The codec finds fault with sound messages.",
        got=repr(scene.events(live.handle, "media_trouble")),
        mistake="a message that means nothing to us must be (), not a MediaFault",
    )
    check.now("the end of the stream")
    check.require(
        end.reason == "caller_hung_up",
        "The caller hung up, and it was taken for something else.",
        expected="caller_hung_up",
        got=end.reason,
        mistake="decode() gives no MediaStopped for the message by which the vendor ends a stream",
    )


async def _repeated_webhook(scene: Scene) -> None:
    """While calls are on, the first webhook comes again, as carriers do."""
    harness = scene.harness
    with scene.check.within(SOON, "The calls of the emulator do not bring their audio."):
        await harness.sink.wait_for("media_started", 2)
    before = harness.arrived
    async with httpx.AsyncClient(base_url=harness.worker.url) as client:
        status = await harness.worker.recorder.webhooks[0].again(client)
    scene.check.require(
        status < 400 and harness.arrived == before,
        "A repeated webhook is not taken as the same call.",
        expected="the same answer, and no second call",
        got=f"status {status}, {harness.arrived - before} more calls",
        mistake="a Leg whose call_id is not the vendor's own",
    )


# --- a conversation is interrupted, and ended ----------------------------------------------------------------------


async def _interruption(scene: Scene) -> None:
    """The agent talks without end, is interrupted, and says something else."""
    live = await scene.live(
        WaitForAgent(heard=0.3), PressKey("1"), Pause(0.4), PressKey("2"), WaitForAgent(), WaitForSilence(0.2)
    )
    session = live.session
    long, after = GREETING.audio(session.output_format), _words(session.output_format)
    for _ in range(5):
        session.give(AudioChunk(long, session.output_format))
    await session.until(lambda: session.digits == ["1"])
    session.give(Interruption())
    await session.until(lambda: session.digits == ["1", "2"])
    session.give(AudioChunk(after, session.output_format))
    session.give(ResponseDone())
    await scene.over(
        live.call,
        "After an interruption the caller goes on hearing the agent, or never hears it again.",
        mistake="encode_clear() does not empty the carrier's buffer, or does not name the stream",
    )
    await scene.ended(live.handle)
    heard = [one for one in scene.events(live.handle, "response_heard") if isinstance(one, ResponseHeard)]
    scene.check.require(
        any(event.interrupted for event in heard),
        "The interrupted turn is never reported.",
        mistake="the carrier's marks do not come back after a clear",
    )
    if live.call.recording.format != session.output_format:
        return
    played = bytes(live.call.recording.played)
    place = played.find(after, session.output_format.size(150))
    scene.check.require(
        place >= 0 and long.startswith(played[:place][: len(long)]),
        "What the caller heard around an interruption is not what the agent said.",
        expected="the beginning of the first turn, then all of the second",
        got=f"{len(played)} bytes",
        mistake="audio that was held back before a clear is sent after it",
    )


async def _agent_ends(scene: Scene) -> None:
    """The agent says a last word and ends the conversation. The caller would stay."""
    live = await scene.live()
    words = scene.says(live)
    live.session.give(ResponseDone())
    live.session.end()
    await scene.over(
        live.call,
        "The agent ended the conversation, and the call stays up.",
        mistake="hang_up() does not end the call at the vendor",
    )
    if scene.codec_of(live).encode_mark("mark"):  # else a clock reckons, and the carrier may be later
        _check_played(scene, live, words)


CONVERSATIONS = (
    Scenario("two calls at once", _two_conversations),
    Scenario("a webhook that is delivered twice", _repeated_webhook),
)
ENDINGS = (
    Scenario("an interruption", _interruption),
    Scenario("the agent ends the call", _agent_ends),
)
