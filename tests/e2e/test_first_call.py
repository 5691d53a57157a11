"""One call from the first ring to the end, over real sockets, with each carrier: what was heard is what was said.

The call is placed once a carrier and engine, with a caller who listens, speaks, talks over the answer and says goodbye;
each test looks at its recordings.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import msgspec
import pytest

from patter_core import Patter
from patter_core.audio import AudioFormat
from patter_core.events import CallEnded, Record, ResponseHeard
from patter_core.server.serving import serve_app
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller, Say, WaitForAgent, WaitForSilence
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording
from tests.carriers import EMULATORS
from tests.e2e.first_call_engines import ElevenLabsServices, PipelineServices, Services

FRAME_MS = 20
SILENT = 1.5
"""Seconds after which the agent has said all: a busy machine is late with what follows."""
FILLER_MS = 100
"""Of the silence that the engine is given while there is no audio of the caller."""


class Story(msgspec.Struct):
    call: EmulatedCall
    services: Services
    records: list[Record]
    took_ms: float
    """From before the first webhook until the end was recorded."""

    @property
    def recording(self) -> CallRecording:
        return self.call.recording

    @property
    def format(self) -> AudioFormat:
        return self.recording.format

    @property
    def frame(self) -> int:
        """Bytes of a frame."""
        return self.format.size(FRAME_MS)

    def is_silent(self, audio: bytes) -> bool:
        return audio == self.format.silence * (len(audio) // self.format.sample_width)


MakeServices = Callable[[AudioFormat], Services]
CALLS: list[tuple[str, type[ElevenLabsServices | PipelineServices]]] = [
    *((carrier, ElevenLabsServices) for carrier in EMULATORS),
    *((carrier, PipelineServices) for carrier in ("twilio", "telnyx")),
]


@pytest.fixture(scope="module", params=CALLS, ids=lambda call: f"{call[0]}-{call[1].__name__}")
def story(request: pytest.FixtureRequest) -> Story:
    carrier, engine = request.param
    return anyio.run(place_call, EMULATORS[carrier], engine)


async def place_call(emulator: type[CarrierEmulator], engine: MakeServices) -> Story:
    sink = MemorySink()
    with anyio.fail_after(60):
        carrier = emulator()
        services = engine(carrier.format)
        async with carrier, services:
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = services.agent(phone)
            booking, correction, *_, goodbye = (line.audio(carrier.format) for line in CALLER_LINES)
            caller = Caller(
                [
                    WaitForSilence(SILENT),
                    Say(booking),
                    WaitForAgent(heard=1.0),
                    Say(correction),
                    WaitForSilence(SILENT),
                    Say(goodbye),
                    WaitForSilence(SILENT),
                ],
                carrier.format,
            )
            async with serve_app(phone.asgi(agent)) as url:
                began = time.monotonic()
                await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
                took_ms = (time.monotonic() - began) * 1000
        return Story(carrier.calls[-1], services, sink.records, took_ms)


def test_what_the_caller_heard_is_what_the_agent_said_sample_for_sample(story: Story) -> None:
    played = bytes(story.recording.played)
    for turn, said in enumerate(story.services.said):
        played = past_padding(story, played, said)
        heard = len(said)
        if turn == 1:  # the answer that the caller talked over
            heard = next(n for n in range(len(said), -1, -1) if played.startswith(said[:n]))
            assert story.format.size(1_000) <= heard < len(said)
        assert played[:heard] == said[:heard]
        played = played[heard:]
    assert story.is_silent(played)
    assert len(played) < story.frame


def past_padding(story: Story, played: bytes, said: bytes) -> bytes:
    """Without the silence by which a carrier's shortest message was filled up at the end of the turn before."""
    begin = said[: story.format.size(1_000)]
    padding = next(n for n in range(story.frame) if played[n:].startswith(begin))
    assert story.is_silent(played[:padding])
    return played[padding:]


def test_the_agent_heard_every_frame_of_the_caller_in_order(story: Story) -> None:
    frames: list[bytes] = []
    for message in story.services.heard:
        if len(message) == story.format.size(FILLER_MS):  # where a busy machine let the caller's audio wait
            assert story.is_silent(message)
        else:
            frames.append(message)
    assert {len(frame) for frame in frames} == {story.frame}
    assert len(frames) == story.call.stream.frames_sent
    assert b"".join(frames) == bytes(story.recording.caller)


def test_talking_over_the_agent_clears_its_audio(story: Story) -> None:
    clearing, *more = story.call.stream.clears
    assert clearing.dropped_ms > 500
    assert not any(one.dropped_ms for one in more)  # a pause that becomes an interruption
    agent, frame = bytes(story.recording.agent), story.frame
    cleared_at = story.format.size(clearing.at * 1_000)
    before, after = agent[cleared_at - 10 * frame : cleared_at - 2 * frame], agent[cleared_at + 3 * frame :]
    assert before.count(story.format.silence) < len(before) / story.format.sample_width / 2  # it was speaking,
    assert story.is_silent(after[: 47 * frame])  # and fell silent within three frames
    assert all(mark.cleared for mark in story.call.stream.marks if mark.name in clearing.marks)


def test_the_events_tell_the_same_story(story: Story) -> None:
    heard = [record.event for record in story.records if isinstance(record.event, ResponseHeard)]
    assert [event.interrupted for event in heard] == [False, True, False, False]
    assert sum(event.heard_ms for event in heard) == pytest.approx(
        story.format.duration_ms(len(story.recording.played)), abs=60
    )
    told = tuple(record.event.kind for record in story.records if "transcript" in record.event.kind)
    assert told == story.services.transcripts
    assert [record.sequence for record in story.records] == list(range(1, len(story.records) + 1))


def test_the_end_is_told_once_with_true_figures(story: Story) -> None:
    (end,) = (record.event for record in story.records if isinstance(record.event, CallEnded))
    assert (end.reason, end.by) == ("caller_hung_up", "caller")
    spoke_ms = story.format.duration_ms(len(story.recording.caller))
    assert spoke_ms - 500 <= end.duration_ms <= story.took_ms  # a busy machine is late at both ends
    metrics = end.metrics
    assert metrics.frames_in == story.call.stream.frames_sent
    assert (metrics.frames_dropped, metrics.frames_early, metrics.faults) == (0, 0, 0)
    assert metrics.interruptions == 1
    assert metrics.passthrough
    assert metrics.first_audio_ms is not None
    assert len(metrics.reply_ms) == 3


def test_the_peers_have_nothing_to_complain_about(story: Story) -> None:
    assert story.call.stream.problems == []
    story.services.complain()
