"""A carrier's media codec: its format, what it reads of malformed messages, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.fuzz import MALFORMED, mutations

__all__ = ["check_codec", "check_codec_with"]

_KEYS = frozenset("0123456789*#ABCD")
_MOST_PROBLEMS = 40
_LONGEST_PROBLEM = 100
_KINDS = (AudioChunk, MediaOpened, MediaMark, MediaDtmf, MediaStopped, MediaFault, MediaUnusable)

NewCodec = Callable[[], MediaCodec]


def check_codec(check: Check, new_codec: NewCodec) -> None:
    """Tries what needs no message of the vendor's: messages that are none of its protocol."""
    check.now("the codec's format")
    first, second = new_codec(), new_codec()
    check.require(
        first is not second,
        "Two media sockets share one codec.",
        expected="media_codec() makes a new one each time",
        mistake="a codec that is made once, with the carrier",
    )
    check.require(
        isinstance(first.output_format, AudioFormat),
        "The codec has no output_format before its stream starts.",
        expected="an AudioFormat",
        got=repr(first.output_format),
    )
    problems: set[str] = set()
    for message in MALFORMED:
        events = _decode(check, new_codec(), message, problems)
        check.require(
            not any(isinstance(event, AudioChunk | MediaOpened) for event in events),
            "A malformed message opened a stream, or was taken for audio.",
            expected="a MediaFault, or nothing",
            got=repr(list(events)),
        )


def check_codec_with(check: Check, new_codec: NewCodec, spoken: Sequence[str | bytes]) -> None:
    """Tries the vendor's real messages, broken in many ways.

    Args:
        check: the check.
        new_codec: makes a codec.
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
    # Audio of any length, marks and clears are written as texts.
    _check_writing(check, new_codec, shapes)


def _check_writing(check: Check, new_codec: NewCodec, shapes: Sequence[str | bytes]) -> None:
    check.now("the codec's writing")
    codec = new_codec()
    for message in shapes[:2]:
        codec.decode(message)
    format = codec.output_format
    with check.raises_only(problem="Writing raised.", mistake="audio that is shorter or longer than a frame"):
        for size in (0, 1, 7, 160, 4_000, 8_001):
            chunk = AudioChunk(format.silence * size, format)
            text = codec.encode_audio(chunk)
            check.require(
                isinstance(text, str),
                "encode_audio() returns something else than a text.",
                expected="str",
                got=type(text).__name__,
            )
        for texts in (codec.encode_mark('mark "1" ü'), codec.encode_clear()):
            check.require(
                not isinstance(texts, str) and all(isinstance(text, str) for text in texts),
                "encode_mark() and encode_clear() return sequences of texts.",
                got=repr(texts),
                mistake="one str instead of a tuple of one",
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
