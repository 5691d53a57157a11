"""The load of a pipeline: callers and the three services, in one process, so that all times are of one clock.

Started by `tests.bench.pipeline` as `python -m tests.bench.pipeline_load CORE CARRIER`.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import random
import sys
import time
from collections.abc import Sequence

import httpx
import msgspec
import uvloop

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline import WebRtcActivity
from tests.bench.control import Ready, pin, serve
from tests.bench.lean import LeanSocket, listen
from tests.bench.pacer import Pacer
from tests.bench.pipeline_services import Model, PipelineService, Recognition, VoiceSocket
from tests.bench.vendor import Placed, Said, Vendor
from tests.bench.vendors import VENDORS

__all__ = ["Dial", "Figures", "HangUp", "Phase", "Run"]

END_OF_TURN_MS = 600.0
"""After the caller's last sound: `TurnTaking.end`."""
_FRAME, _FRAME_S = ULAW_8000.size(20), 0.02
_CYCLE = 450
"""Frames from the beginning of a question to that of the next: 9 s."""
_LATE_MS = 20.0
_S_A_BYTE = 1 / 8_000


class Phase(enum.StrEnum):
    """What the callers do."""

    SILENCE = "silence"
    """They say nothing: the noise of a line."""
    SPEECH = "speech"
    """They speak without a pause."""
    TURNS = "turns"
    """They ask a question every 9 s, and hear the answer."""


class Command(msgspec.Struct, frozen=True, tag=True):
    """The base of what is asked of the load."""


class Dial(Command, frozen=True):
    """Place the calls, one after the other; the callers say nothing."""

    voice_url: str
    calls: int


class Run(Command, frozen=True):
    """Do that for a while, and tell what was seen."""

    phase: Phase
    warm_up: float
    seconds: float


class HangUp(Command, frozen=True):
    """End the calls."""


class Figures(msgspec.Struct, frozen=True):
    """What was seen in a phase."""

    to_stt_ms: list[float] = []
    """Of each frame of a caller, from its sending to its arrival."""
    first_audio_ms: list[float] = []
    """Of each answer: its first audio at the carrier, counted from the end of the wait that ends the caller's turn."""
    late: int = 0
    """Frames of callers that took more than 20 ms, and pauses inside an answer."""
    faults: int = 0
    """Frames that were lost, altered or out of order, and questions without an answer."""
    own_cpu: float = 0.0
    """What the load itself used of its core: 1 is all of it."""


_commands: msgspec.json.Decoder[Dial | Run | HangUp] = msgspec.json.Decoder(Dial | Run | HangUp)


class Sounds:
    """What callers say, in frames of base64."""

    def __init__(self) -> None:
        rng = random.Random(16)
        noise = bytes(rng.choice((0x7E, 0x7D, 0xFE, 0xFD, 0xFF, 0x7F)) for _ in range(50 * _FRAME))
        said = CALLER_LINES[0].audio(ULAW_8000)
        said = said[: len(said) - len(said) % _FRAME]
        self.noise, self.said = _frames(noise), _frames(said)
        self.speech = frozenset(self.said)
        self.ends_at = self._heard(noise + said + noise) - 50
        """Of the line, the frame after the last that voice activity takes for speech."""

    def _heard(self, audio: bytes) -> int:
        hear = WebRtcActivity().start(ULAW_8000)
        pieces = [audio[at : at + _FRAME] for at in range(0, len(audio), _FRAME)]
        voiced = [hear(AudioChunk(piece, ULAW_8000)) > 0.5 for piece in pieces]
        return max(place for place, is_voice in enumerate(voiced) if is_voice) + 1


def _frames(audio: bytes) -> Sequence[str]:
    return [AudioChunk(audio[at : at + _FRAME], ULAW_8000).base64 for at in range(0, len(audio), _FRAME)]


class CallerSide:
    """One call: says what its phase asks for, and hears the agent."""

    heard: Recognition
    """What hears it: once it is open."""

    def __init__(self, number: int, placed: Placed, sounds: Sounds) -> None:
        self.phase = Phase.SILENCE
        self.first_audio_ms: list[float] = []
        self.gaps = 0
        self.unanswered = 0
        self.closed = placed.socket.closed
        self._stream, self._socket, self._sounds = placed.stream, placed.socket, sounds
        self._place = number * 37
        self._frames = 0
        self._due: float | None = None
        """When the answer to the last question is due."""
        self._played_until = 0.0
        self._socket.on_text = self._take
        for message in self._stream.opening():
            self._say(message)

    def tick(self) -> None:
        """Says the next 20 ms."""
        self._frames += 1
        self._place += 1
        frame = self._frame()
        self.heard.said(frame)
        self._socket.send(self._stream.media(self._frames, frame))
        if self.phase is Phase.TURNS and self._place % _CYCLE == self._sounds.ends_at:
            self.unanswered += self._due is not None
            self._due = time.perf_counter() - _FRAME_S + END_OF_TURN_MS / 1000

    def begin(self, phase: Phase) -> None:
        """Does that from now on."""
        self.phase, self._due = phase, None

    def forget(self) -> None:
        """What was seen so far is not counted, but for frames that were wrong."""
        self.unanswered, self._due = 0, None  # the first question may have been the end of other speech
        self.first_audio_ms.clear()
        self.heard.latencies_ms.clear()
        self.gaps = 0

    def stop(self) -> None:
        """Hangs up."""
        if (stopping := self._stream.stop()) is not None:
            self._say(stopping)
        self._socket.close()

    def _frame(self) -> str:
        said, noise = self._sounds.said, self._sounds.noise
        if self.phase is Phase.SPEECH:
            return said[self._place % len(said)]
        at = self._place % _CYCLE
        if self.phase is Phase.SILENCE or at >= len(said):
            return noise[at % len(noise)]
        return said[at]

    def _take(self, message: bytes) -> None:
        said, text = self._stream.read(message)
        now = time.perf_counter()
        if said is Said.AUDIO:
            if self._due is not None:
                self.first_audio_ms.append((now - self._due) * 1000)
                self._due = None
            elif 0 < now - self._played_until < 1.0:
                self.gaps += 1
            self._played_until = max(self._played_until, now) + len(text) * 3 / 4 * _S_A_BYTE
        elif said is Said.MARK:
            wait = max(0.0, self._played_until - now)
            asyncio.get_running_loop().call_later(wait, self._say, self._stream.mark(text))

    def _say(self, message: msgspec.Struct) -> None:
        if not self._socket.closed.is_set():
            self._socket.send(msgspec.json.encode(message))


class Load:
    """All calls of a run."""

    def __init__(self, vendor: Vendor) -> None:
        self.sounds = Sounds()
        loud = (8_000).to_bytes(2, "little", signed=True) * 20 + (-8_000).to_bytes(2, "little", signed=True) * 20
        self.tone = transcode(loud * 400, PCM16_16000, ULAW_8000)
        self._vendor = vendor
        self._sessions: asyncio.Queue[Recognition] = asyncio.Queue()
        self._calls: list[CallerSide] = []
        self._pacer: Pacer | None = None

    def recognise(self, socket: LeanSocket) -> None:
        """A session of recognition is opened."""
        Recognition(socket, self.sounds.speech, self._sessions.put_nowait)

    def speak(self, socket: LeanSocket) -> None:
        """A socket of the voice is opened."""
        VoiceSocket(socket, self.tone)

    async def handle(self, line: bytes) -> msgspec.Struct:
        match _commands.decode(line):
            case Dial(voice_url=url, calls=calls):
                return await self._dial(url, calls)
            case Run() as run:
                return await self._run(run)
            case HangUp():
                return await self._hang_up()

    async def _dial(self, url: str, calls: int) -> Figures:
        async with httpx.AsyncClient(trust_env=False) as client:
            for number in range(calls):
                call = CallerSide(number, await self._vendor.place(client, url), self.sounds)
                call.heard = await asyncio.wait_for(self._sessions.get(), 10)
                self._calls.append(call)
        self._pacer = Pacer([call.tick for call in self._calls])
        self._pacer.start()
        return Figures()

    async def _run(self, run: Run) -> Figures:
        # One after the other, as callers do: else all of them have their turns and drafts at the same moment.
        for call in self._calls:
            call.begin(run.phase)
            await asyncio.sleep(run.warm_up / 2 / len(self._calls))
        await asyncio.sleep(run.warm_up / 2)
        for call in self._calls:
            call.forget()
        began, began_cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(run.seconds)
        own_cpu = (time.process_time() - began_cpu) / (time.perf_counter() - began)
        to_stt_ms = list(itertools.chain.from_iterable(call.heard.latencies_ms for call in self._calls))
        gaps = sum(call.gaps for call in self._calls)
        return Figures(
            to_stt_ms=to_stt_ms,
            first_audio_ms=list(itertools.chain.from_iterable(call.first_audio_ms for call in self._calls)),
            late=gaps + sum(latency > _LATE_MS for latency in to_stt_ms),
            faults=sum(call.heard.faults + call.unanswered for call in self._calls),
            own_cpu=own_cpu,
        )

    async def _hang_up(self) -> Figures:
        assert self._pacer is not None
        self._pacer.stop()
        for call in self._calls:
            call.stop()
        async with asyncio.timeout(10):
            for call in self._calls:
                await call.closed.wait()
                await call.heard.closed.wait()
        self._calls.clear()
        return Figures()


async def main(core: int, carrier: str) -> None:
    pin(core)
    vendor = VENDORS[carrier]()
    load = Load(vendor)
    (stt, stt_port), (tts, tts_port) = await listen(load.recognise), await listen(load.speak)
    async with stt, tts, Model() as model, vendor.api() as api_url:
        urls = PipelineService.urls(f"http://127.0.0.1:{stt_port}", f"http://127.0.0.1:{tts_port}", model.base_url)
        await serve(Ready(urls, api_url), load.handle)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
