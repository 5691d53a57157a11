"""What is looked at after all calls: how their media sockets were used. It is the reason of many another failure."""

from __future__ import annotations

from patter_core.events import MediaTrouble
from patter_core.testing.call import EmulatedCall
from patter_core.testing.conformance.harness import Harness
from patter_core.testing.stream import StreamEnd

__all__ = ["check_media"]

_SLACK_MS = 0.5
"""By which a message may differ in length after a conversion."""
_EARLY_MARK = "came back before its audio"


def check_media(harness: Harness) -> None:
    """Checks the media sockets of all calls so far.

    Raises:
        ConformanceError: one was not used as the contract says.
    """
    harness.pace.require_quick()
    _check_subprotocols(harness)
    _check_starts(harness)
    for call in harness.emulator.calls:
        _check_lengths(harness, call)
    _check_marks(harness)
    _check_problems(harness)


def _check_subprotocols(harness: Harness) -> None:
    harness.check.now("the subprotocol of the media socket")
    spoken = harness.carrier.subprotocols
    for upgrade in harness.worker.recorder.upgrades:
        offered = dict(upgrade.headers).get("sec-websocket-protocol", "")
        harness.check.require(
            upgrade.status != 101 or upgrade.subprotocol or not (spoken or offered),
            "No subprotocol is agreed on for a media socket.",
            expected=f"one of {', '.join(spoken)}" if spoken else "`subprotocols` with one that the carrier offers",
            got=f"offered: {offered or 'none'}",
            mistake="another name in `subprotocols` than the vendor's; or the emulator offers less than the vendor",
        )


def _check_starts(harness: Harness) -> None:
    harness.check.now("the start of the stream")
    for codecs in harness.watched.codecs.values():
        harness.check.require(
            all(codec.opened <= 1 for codec in codecs),
            "A media stream starts more than once.",
            expected="one MediaOpened from each codec",
            got=f"{max((codec.opened for codec in codecs), default=0)}",
            mistake="MediaOpened for a message that comes more than once",
        )


def _check_lengths(harness: Harness, call: EmulatedCall) -> None:
    """Each message of agent audio has the length of the chunk that the codec was given."""
    harness.check.now("the length of audio messages")
    written = harness.watched.written.get(call.call_id, [])
    if len(call.streams) != 1 or not written:
        return  # what was on its way to a stream that broke is not known
    format = harness.watched.codecs[call.call_id][-1].output.format
    given_ms = [format.duration_ms(size) for size in written]
    got_ms = [call.recording.format.duration_ms(size) for size in call.stream.pieces]
    for given, got in zip(given_ms, got_ms, strict=False):
        harness.check.require(
            abs(given - got) <= _SLACK_MS,
            "A message of agent audio has another length than what encode_audio() was given.",
            expected=f"{given:.1f} ms",
            got=f"{got:.1f} ms",
            mistake="a codec that cuts audio anew, keeps some of it for later, or pads it",
            remedy="Write each chunk as one message, and say in `output` how the core is to cut and pad.",
        )


def _check_marks(harness: Harness) -> None:
    harness.check.now("marks")
    troubles = [record.event for record in harness.sink.of("media_trouble")]
    harness.check.require(
        not any(isinstance(event, MediaTrouble) and _EARLY_MARK in event.problem for event in troubles),
        "A mark came back before its audio can have been played.",
        expected="MediaMark once all audio before encode_mark() was played",
        mistake="MediaMark for a message that only says that the mark was taken, or a mark that overtakes audio",
    )


def _check_problems(harness: Harness) -> None:
    harness.check.now("what the vendor complains of")
    streams = [stream for call in harness.emulator.calls for stream in call.streams]
    problems = [one for stream in streams if stream.end is not StreamEnd.BROKEN for one in stream.problems]
    harness.check.require(
        not problems,
        "The vendor complains of what comes on a media socket.",
        expected="messages as it documents them",
        got="; ".join(f"{problem.code} {problem.text}" for problem in problems[:3]),
    )
