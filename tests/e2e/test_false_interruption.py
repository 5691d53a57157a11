"""The caller coughs, murmurs and objects while the agent speaks, on carriers whose clear drops what they buffer.

Sounds and murmurs make the agent fall silent for a moment: it goes on at the word that it was saying. Only words end
its turn. The voice has real speech, of which no two stretches are alike: what was played tells what was said twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core import Patter
from patter_core.agent import Agent
from patter_core.audio import ULAW_8000
from patter_core.events import CallEnded, Interruption, ResponseHeard, SpeechStopped, TranscriptCorrection
from patter_core.testing.speech import AGENT_LINES
from patter_core.testing.stream import CarrierStream
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import LINE, Scene, calling
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # three answers of five seconds

ANSWER = next(line for line in AGENT_LINES if line.name == "offer")
AUDIO = ANSWER.audio(ULAW_8000)
SILENCE = 0xFF
MOST_LATE = 0.1
"""Seconds from the decision to the first audio at the carrier."""
CLOCK = 40
"""Bytes: 5 ms, by which the times of words may be off."""
LAG = 1_360
"""Bytes: 170 ms, by which less may be known to be heard than was played."""


def place(character: int) -> int:
    """Where that character of the answer begins in its speech."""
    return len(AUDIO) * character // len(ANSWER.text)


WORDS = [
    (place(at), place(at + len(word)))
    for at, word in zip(
        (0, *(at + 1 for at, character in enumerate(ANSWER.text) if character == " ")), ANSWER.text.split(), strict=True
    )
]
"""Where each word begins and ends in the speech."""


class Voiced(Scene):
    """A call whose agent has real speech."""

    def __init__(self, carrier: TwilioEmulator | TelnyxEmulator) -> None:
        super().__init__(carrier)
        self.voice = ElevenLabsTTSEmulator()
        self.voice.lines = AGENT_LINES
        self.late: list[tuple[float, float]] = []
        """When the machine kept this process waiting, by the wall clock, and for how long."""

    def make(self, phone: Patter) -> Agent:
        return phone.agent(stt=self.stt.part(), llm=self.llm.part(), tts=self.voice.part())

    @property
    def stream(self) -> CarrierStream:
        return self.call.streams[0]

    async def is_asked(self) -> int:
        """The caller asks, and hears 1.6 s of the answer; returns how much was played before it."""
        before = len(self.call.recording.played)
        self.llm.answer(ANSWER.text)
        await self.say("A table for two, please.")
        await until(lambda: len(self.call.recording.played) - before >= 12_800)
        return before

    async def makes_sound(self) -> None:
        """The caller makes a sound, until the agent is silent: after 0.3 s, or more on a busy machine."""
        clears = len(self.stream.clears)
        self.person.say(LINE)
        await until(lambda: len(self.stream.clears) > clears)
        self.person.frames.clear()

    async def goes_on(self, decisions: int) -> float:
        """Waits until the agent goes on, after so many ends of speech; returns how long that took since the last."""
        await until(lambda: len(self.of(SpeechStopped)) >= decisions)
        decided = [record for record in self.sink.records if isinstance(record.event, SpeechStopped)][-1].time
        cleared = self.stream.clears[-1].at
        await until(lambda: any(at > cleared for at in self.audio_at))
        at = next(at for at in self.audio_at if at > cleared)
        came = time.time() - (self.stream.elapsed - at)
        waited = sum(late for when, late in self.late if decided - late <= when <= came + late)
        return came - decided - waited

    @property
    def audio_at(self) -> list[float]:
        """When messages with audio came to the carrier, in s since the stream's start."""
        return [received.at for received in self.stream.received if type(received.message).__name__ == "PeerMedia"]


@contextlib.asynccontextmanager
async def talking(scene: Voiced) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            began = time.time()
            await anyio.sleep(0.005)
            if (late := time.time() - began - 0.005) > 0.005:
                scene.late.append((time.time(), late))

    async with scene.voice, anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        async with calling(scene, scene.make):
            yield
        tasks.cancel_scope.cancel()


def cut_of(played: bytes) -> int:
    """Returns how much of the answer was played before it was cut, or all of it."""
    return next((at for at, (one, other) in enumerate(zip(played, AUDIO, strict=False)) if one != other), len(AUDIO))


def from_start(played: bytes) -> bytes:
    """Without silence by which a frame was filled up before the answer."""
    begins = played.index(AUDIO[400:1_200]) - 400
    assert 0 <= begins < 320
    assert set(played[:begins]) <= {SILENCE}
    return played[begins:]


def require_whole(played: bytes) -> None:
    """Checks that no word is lost, and that one at most is heard twice."""
    played = from_start(played)
    cut = cut_of(played)
    assert 12_000 < cut < len(AUDIO) - 8_000
    resumed = AUDIO.index(played[cut : cut + 800])
    assert resumed <= cut
    rest = AUDIO[resumed:]
    assert played[cut : cut + len(rest)] == rest
    assert set(played[cut + len(rest) :]) <= {SILENCE}
    assert min(abs(resumed - begins) for begins, _ in WORDS) <= CLOCK
    twice = [word for word in WORDS if resumed - CLOCK <= word[0] and word[1] <= cut]
    assert len(twice) <= 1


@pytest.mark.parametrize("carrier", [TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])
async def test_a_cough_and_a_murmur_let_the_agent_go_on_and_an_objection_stops_it(
    carrier: type[TwilioEmulator | TelnyxEmulator],
) -> None:
    scene = Voiced(carrier())
    async with talking(scene):
        # A cough: no word is recognised.
        began = await scene.is_asked()
        await scene.makes_sound()
        assert await scene.goes_on(decisions=2) <= MOST_LATE
        await scene.hears(ANSWER.text)
        coughed = bytes(scene.call.recording.played[began:])
        # A murmur: its word is recognised once it is over.
        began = await scene.is_asked()
        await scene.makes_sound()
        await scene.stt.final("Mhm.")
        assert await scene.goes_on(decisions=4) <= MOST_LATE
        await until(lambda: len(scene.of(ResponseHeard)) == 2)
        murmured = bytes(scene.call.recording.played[began:])
        assert not scene.of(Interruption)
        assert not scene.of(TranscriptCorrection)
        # An objection.
        began = await scene.is_asked()
        await scene.makes_sound()
        await scene.stt.interim("No, wait")
        await scene.told(Interruption)
        scene.llm.answer("Yes?")
        await scene.stt.final("No, wait.")
        await until(lambda: len(scene.of(ResponseHeard)) == 4)
        objected = bytes(scene.call.recording.played[began:])
        correction = await scene.told(TranscriptCorrection)
    require_whole(coughed)
    require_whole(murmured)
    assert [heard.interrupted for heard in scene.of(ResponseHeard)] == [False, False, True, False]
    assert len(scene.of(Interruption)) == 1
    (end,) = scene.of(CallEnded)
    assert end.metrics.interruptions == 1
    # What is known to be heard ends with the word at which it was cut.
    objected = from_start(objected)
    cut = cut_of(objected)
    assert 12_000 < cut < len(AUDIO) - 8_000
    assert AUDIO[cut : cut + 800] not in objected  # none of the rest came
    assert ANSWER.text.startswith(correction.text)
    assert len(correction.text) in {0, *(len(" ".join(ANSWER.text.split()[:count])) for count in range(len(WORDS)))}
    known = place(len(correction.text))
    longest = max(ends - begins for begins, ends in WORDS)
    assert cut - LAG - longest <= known <= cut + longest
    assert not scene.problems
