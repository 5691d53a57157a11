"""The conversation server's end of a call under load: hears the caller, and talks as the service does."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_elevenlabs import wire
from tests.bench.flow import Flow
from tests.bench.lean import LeanSocket
from tests.bench.protocol import Profile
from tests.bench.voice import FRAME_MS, Voice

__all__ = ["EngineSide"]

_AHEAD = 50
"""Frames that are said at once before an interruption."""
_PING_EVERY = 100
"""Ticks: 2 s."""
_CYCLE = 250
"""Ticks of an answer and of the silence after it: 5 s."""
_CHUNKS = (10, 15, 20, 25, 15, 20, 25, 20)
"""Frames in each chunk of an answer: 3 s in all."""
_PACE = 4
"""Times faster than it plays."""


def _schedule() -> dict[int, int]:
    """At which tick of a cycle how many frames go out in one piece."""
    ticks: dict[int, int] = {}
    said = 0
    for frames in _CHUNKS:
        ticks[said // _PACE] = frames
        said += frames
    return ticks


_ANSWER = _schedule()


class _Audio(msgspec.Struct):
    """Any message of a client, read for its audio."""

    user_audio_chunk: str | None = None


_as_audio = msgspec.json.Decoder(_Audio)
_as_message: msgspec.json.Decoder[wire.ClientMessage] = msgspec.json.Decoder(wire.ClientMessage)


class EngineSide:
    """One conversation. It answers the initiation with metadata and calls `opened`; `join` makes it part of a call."""

    def __init__(self, socket: LeanSocket, format: AudioFormat, opened: Callable[[EngineSide], None]) -> None:
        self.pongs = 0
        self.closed = socket.closed
        self._silence = AudioChunk(format.silence * (format.sample_rate // 10), format).base64
        """What the agent is given in place of audio, a tenth of a second at a time, before the caller's first frame."""
        self._socket = socket
        self._format = format
        self._opened = opened
        self._event_id = 1
        self._ticks = 0
        socket.on_text = self._initiated

    def join(self, *, caller: Flow, agent: Flow, voice: Voice, profile: Profile) -> None:
        """Which call this is; `caller` is what is heard here, `agent` what is said in `voice`."""
        self._caller, self._agent, self._voice = caller, agent, voice
        self._place = agent.place
        self._ticks = agent.call * 37  # not all begin their answers, or ping, at once
        self.tick = self._tick_worst if profile is Profile.WORST else self._tick_service

    def say_ahead(self) -> None:
        """Say a second at once, so that there is something to interrupt: silence is not cleared."""
        self._say(self._voice.stretch(self._place, _AHEAD), _AHEAD)

    def interrupt(self) -> tuple[float, int]:
        """Say that the caller talks over the agent. Gives when, and the number from which on its audio is live."""
        self._event_id += 1
        self._send(wire.Interruption(wire.Numbered(event_id=self._event_id)))
        return time.perf_counter(), self._agent.sent

    def _tick_worst(self) -> None:
        self._ticks += 1
        if self._ticks % _PING_EVERY == 0:
            self._ping()
        self._say(self._voice.frame(self._place), 1)

    def _tick_service(self) -> None:
        self._ticks += 1
        if self._ticks % _PING_EVERY == 0:
            self._ping()
        tick = self._ticks % _CYCLE
        if tick == 0:
            self._begin_answer()
        frames = _ANSWER.get(tick)
        if frames is not None:
            self._say(self._voice.stretch(self._place, frames), frames)

    def _begin_answer(self) -> None:
        self._event_id += 1
        heard = wire.UserTranscriptEvent(text="What are your opening hours?", event_id=self._event_id)
        self._send(wire.UserTranscript(heard))
        said = wire.AgentResponseEvent(text="From nine in the morning to six.", event_id=self._event_id)
        self._send(wire.AgentResponse(said))

    def _say(self, text: str, frames: int) -> None:
        self._place += frames
        self._agent.send(text, frames * FRAME_MS)
        self._socket.send(
            f'{{"type":"audio","audio_event":{{"audio_base_64":"{text}","event_id":{self._event_id}}}}}'.encode()
        )

    def _ping(self) -> None:
        self._send(wire.Ping(wire.PingEvent(event_id=self._event_id, ping_ms=30)))

    def _initiated(self, text: bytes) -> None:
        assert isinstance(_as_message.decode(text), wire.Initiation)
        event = wire.MetadataEvent(
            conversation_id=f"conv_{id(self):x}",
            agent_output_audio_format=str(self._format),
            user_input_audio_format=str(self._format),
        )
        self._socket.on_text = self._take
        self._send(wire.Metadata(event))
        self._opened(self)

    def _take(self, text: bytes) -> None:
        audio = _as_audio.decode(text).user_audio_chunk
        if audio == self._silence:
            return
        if audio is not None:
            self._caller.arrive(audio)
        elif isinstance(_as_message.decode(text), wire.Pong):
            self.pongs += 1

    def _send(self, message: msgspec.Struct) -> None:
        self._socket.send(msgspec.json.encode(message))
