"""One call from the first ring to the end, over real sockets, with each carrier: what was heard is what was said.

The call is placed once a carrier, with a caller who listens, speaks, talks over the answer and says goodbye; each test
looks at its recordings.
"""

from __future__ import annotations

import time

import anyio
import msgspec
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.events import CallEnded, Record, ResponseHeard
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Say, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording
from patter_elevenlabs.testing import Conversation, ElevenLabsEmulator
from patter_plivo.testing import PlivoCall, PlivoEmulator
from patter_telnyx.testing import TelnyxCall, TelnyxEmulator
from patter_twilio.testing import TwilioCall, TwilioEmulator

SILENCE = 0xFF
FRAME = 160
AnyEmulator = TwilioEmulator | TelnyxEmulator | PlivoEmulator
EMULATORS: list[type[AnyEmulator]] = [TwilioEmulator, TelnyxEmulator, PlivoEmulator]


class Story(msgspec.Struct):
    call: TwilioCall | TelnyxCall | PlivoCall
    conversation: Conversation
    records: list[Record]
    took_ms: float
    """From before the first webhook until the end was recorded."""

    @property
    def recording(self) -> CallRecording:
        return self.call.recording


@pytest.fixture(scope="module", params=EMULATORS, ids=lambda emulator: emulator.__name__)
def story(request: pytest.FixtureRequest) -> Story:
    return anyio.run(place_call, request.param)


async def place_call(emulator: type[AnyEmulator]) -> Story:
    sink = MemorySink()
    with anyio.fail_after(60):
        async with emulator() as carrier, ElevenLabsEmulator() as elevenlabs:
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = phone.agent(engine=elevenlabs.engine())
            booking, correction, *_, goodbye = (line.audio(ULAW_8000) for line in CALLER_LINES)
            caller = Caller(
                [
                    WaitForSilence(),
                    Say(booking),
                    WaitForAgent(heard=1.0),
                    Say(correction),
                    WaitForSilence(),
                    Say(goodbye),
                    WaitForSilence(),
                ],
                ULAW_8000,
            )
            async with serve_app(phone.asgi(agent)) as url:
                began = time.monotonic()
                await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
                took_ms = (time.monotonic() - began) * 1000
            return Story(carrier.calls[-1], elevenlabs.conversations[-1], sink.records, took_ms)


def test_what_the_caller_heard_is_what_the_agent_said_sample_for_sample(story: Story) -> None:
    played = bytes(story.recording.played)
    for event_id, said in story.conversation.said.items():
        played = past_padding(played, bytes(said))
        heard = len(said)
        if event_id == list(story.conversation.said)[1]:  # the answer that the caller talked over
            heard = next(n for n in range(len(said), -1, -1) if played.startswith(bytes(said[:n])))
            assert 8_000 <= heard < len(said)
        assert played[:heard] == said[:heard]
        played = played[heard:]
    assert set(played) <= {SILENCE}
    assert len(played) < FRAME


def past_padding(played: bytes, said: bytes) -> bytes:
    """Without the silence by which a carrier's shortest message was filled up at the end of the turn before."""
    padding = next(n for n in range(FRAME) if played[n:].startswith(said[:8_000]))
    assert played[:padding] == bytes([SILENCE]) * padding
    return played[padding:]


def test_the_agent_heard_every_frame_of_the_caller_in_order(story: Story) -> None:
    assert bytes(story.conversation.heard) == bytes(story.recording.caller)
    assert set(story.conversation.heard_sizes) == {FRAME}
    assert len(story.conversation.heard_sizes) == story.call.stream.frames_sent


def test_talking_over_the_agent_clears_its_audio(story: Story) -> None:
    (clearing,) = story.call.stream.clears
    assert clearing.dropped_ms > 500
    agent = bytes(story.recording.agent)
    cleared_at = int(clearing.at * 8_000)
    before, after = agent[cleared_at - 1_600 : cleared_at - 320], agent[cleared_at + 480 : cleared_at + 8_000]
    assert before.count(SILENCE) < len(before) / 2  # it was speaking,
    assert after == bytes([SILENCE]) * len(after)  # and fell silent within two frames and a half
    assert all(mark.cleared for mark in story.call.stream.marks if mark.name in clearing.marks)


def test_the_events_tell_the_same_story(story: Story) -> None:
    heard = [record.event for record in story.records if isinstance(record.event, ResponseHeard)]
    assert [event.interrupted for event in heard] == [False, True, False, False]
    assert sum(event.heard_ms for event in heard) == pytest.approx(len(story.recording.played) / 8, abs=60)
    assert [record.event.kind for record in story.records if "transcript" in record.event.kind] == [
        "transcript_output",
        *["transcript_input", "transcript_output"] * 3,
    ]
    assert [record.sequence for record in story.records] == list(range(1, len(story.records) + 1))


def test_the_end_is_told_once_with_true_figures(story: Story) -> None:
    (end,) = (record.event for record in story.records if isinstance(record.event, CallEnded))
    assert (end.reason, end.by) == ("caller_hung_up", "caller")
    assert len(story.recording.caller) / 8 - 2 * FRAME / 8 <= end.duration_ms <= story.took_ms
    metrics = end.metrics
    assert metrics.frames_in == story.call.stream.frames_sent
    assert (metrics.frames_dropped, metrics.frames_early, metrics.faults) == (0, 0, 0)
    assert metrics.interruptions == 1
    assert metrics.passthrough
    assert metrics.first_audio_ms is not None
    assert len(metrics.reply_ms) == 3


def test_the_peers_have_nothing_to_complain_about(story: Story) -> None:
    assert story.call.stream.problems == []
    assert story.conversation.pings.keys() == story.conversation.pongs.keys()
    assert (story.conversation.closed_by, story.conversation.close_code) == ("client", 1000)
