"""A carrier's media codec: its format, what it reads of malformed messages, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.audio import AudioChunk
from patter_core.audio.framer import Framer
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaOutput,
    MediaReply,
    MediaStopped,
    MediaUnusable,
)
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.fuzz import MALFORMED, mutations
from patter_core.testing.conformance.pace import Pace
from patter_core.testing.conformance.watched import WatchedCodec

__all__ = ["check_codec", "check_codec_with", "check_writing"]

_KEYS = frozenset("0123456789*#ABCD")
_MOST_PROBLEMS = 40
_LONGEST_PROBLEM = 100
_KINDS = (AudioChunk, MediaOpened, MediaMark, MediaDtmf, MediaReply, MediaStopped, MediaFault, MediaUnusable)

NewCodec = Callable[[], WatchedCodec]


def check_codec(check: Check, new_codec: NewCodec, pace: Pace) -> None:
    """Tries what needs no message of the vendor's: messages that are none of its protocol."""
    check.now("the codec's format")
    first, second = new_codec(), new_codec()
    check.require(
        first.codec is not second.codec,
        "Two media sockets share one codec.",
        expected="media_codec() makes a new one each time",
        mistake="a codec that is made once, with the carrier",
    )
    output: object = first.output
    check.require(
        isinstance(output, MediaOutput),
        "The codec does not say what it takes before its stream starts.",
        expected="a MediaOutput from `output`",
        got=repr(output),
    )
    check.require(
        first.output == second.output,
        "Two media sockets of one call take different audio.",
        expected="the same `output` for a leg, whichever its socket",
        got=f"{first.output!r} and {second.output!r}",
    )
    check.require(
        first.output.max_buffered >= 0.5,
        "The codec says that its carrier keeps next to nothing.",
        expected="max_buffered, in seconds",
        got=f"{first.output.max_buffered:g}",
        mistake="a number of ms or of messages",
    )
    problems: set[str] = set()
    for message in MALFORMED:
        events = _decode(check, new_codec(), message, problems)
        pace.require_quick()
        check.require(
            not any(isinstance(event, AudioChunk | MediaOpened) for event in events),
            "A malformed message opened a stream, or was taken for audio.",
            expected="a MediaFault, or nothing",
            got=repr(list(events)),
        )


def check_codec_with(check: Check, new_codec: NewCodec, pace: Pace, spoken: Sequence[str | bytes]) -> None:
    """Tries the vendor's real messages, broken in many ways.

    Args:
        check: the check.
        new_codec: makes a codec.
        pace: times it.
        spoken: all messages of one media socket, in order.
    """
    # Each is broken, and given to a codec that has read what came before; the codec must read on.
    problems: set[str] = set()
    shapes = _one_of_each(spoken)
    for number, message in enumerate(shapes):
        if isinstance(message, bytes):
            continue
        for broken in mutations(message):
            codec = new_codec()
            for earlier in shapes[:number]:
                codec.decode(earlier)
            _decode(check, codec, broken, problems)
            check.now("the codec after a broken message")
            with check.raises_only(problem="decode() raised for a sound message after a broken one."):
                codec.decode(message)
            pace.require_quick()
    # Faults have constant texts.
    check.now("the codec's words for faults")
    check.require(
        len(problems) <= _MOST_PROBLEMS,
        "MediaFault.problem is not of a small fixed set.",
        expected=f"at most {_MOST_PROBLEMS} different texts",
        got=f"{len(problems)}",
        mistake="a text that holds a part of the message, or the parser's own error",
        remedy="Give each kind of fault one constant text, which is reported once a call.",
    )


def check_writing(check: Check, new_codec: NewCodec, spoken: Sequence[str | bytes]) -> None:
    """Tries what is written: audio of every length that `output` allows, marks, clears, keys, the end."""
    check.now("the codec's writing")
    codec = new_codec()
    for message in _one_of_each(spoken)[:2]:
        codec.decode(message)
    output = codec.output
    format = output.format
    framer = Framer(format, frame_ms=output.frame_ms, shortest_ms=output.shortest_ms, longest_ms=output.longest_ms)
    with check.raises_only(problem="Writing raised.", mistake="audio of a length that `output` allows"):
        for size in (1, 7, 160, 4_000, 8_001):
            for chunk in (*framer.push(AudioChunk(format.silence * size, format)), *framer.finish()):
                written: object = codec.encode_audio(chunk)
                check.require(
                    isinstance(written, str | bytes) and bool(written),
                    "encode_audio() returns something else than a message.",
                    expected="str for a text message or bytes for a binary one, and not empty",
                    got=repr(written)[:80],
                    mistake="audio that the codec holds back: the core has cut it as `output` says",
                )
        sequences: dict[str, object] = {
            "encode_mark": codec.encode_mark('mark "1" ü'),
            "encode_clear": codec.encode_clear(),
            "encode_dtmf": codec.encode_dtmf("1w#"),
            "encode_hang_up": codec.encode_hang_up(),
        }
        for name, messages in sequences.items():
            check.require(
                isinstance(messages, Sequence)
                and not isinstance(messages, str | bytes)
                and all(isinstance(message, str | bytes) for message in messages),
                f"{name}() does not return a sequence of messages.",
                expected="a tuple of str or bytes; () if the carrier has no such thing",
                got=repr(messages)[:80],
                mistake="one message instead of a tuple of one",
            )


def _decode(check: Check, codec: MediaCodec, message: str | bytes, problems: set[str]) -> Sequence[MediaEvent]:
    check.now("a broken message on the media socket")
    with check.raises_only(
        problem="decode() raised: one malformed message would end the call.",
        mistake="an exception of the JSON or base64 decoder that is not caught (ValueError, RecursionError)",
    ):
        events: object = codec.decode(message)
    if isinstance(events, str | bytes) or not isinstance(events, Sequence):
        raise check.failed(
            "decode() returns something else than a sequence of media events.", got=type(events).__name__
        )
    check.require(
        all(isinstance(event, _KINDS) for event in events),
        "decode() returns something else than media events.",
        got=", ".join(sorted({type(event).__name__ for event in events})),
    )
    for event in events:
        if isinstance(event, MediaFault | MediaUnusable):
            check.shows_nothing("MediaFault.problem", event.problem)
            problems.add(event.problem)
            check.require(
                0 < len(event.problem) <= _LONGEST_PROBLEM,
                "MediaFault.problem is not a short text.",
                got=f"{len(event.problem)} characters",
            )
        elif isinstance(event, MediaDtmf):
            check.require(
                event.digit in _KEYS and len(event.digit) == 1,
                "MediaDtmf.digit is not a key of a telephone.",
                expected="one of 0-9, *, #, A-D; else a MediaFault",
                got=repr(event.digit),
            )
    return events


def _one_of_each(spoken: Sequence[str | bytes]) -> list[str | bytes]:
    """Returns the first message of each kind, in order. Kinds differ in their first characters, or their length."""
    seen: dict[tuple[str | bytes, int], str | bytes] = {}
    for message in spoken:
        seen.setdefault((message[:24], len(message) // 100), message)
    return list(seen.values())[:16]
