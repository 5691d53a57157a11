"""ElevenLabs in the benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from patter_core.audio import AudioFormat
from patter_core.media import Message
from patter_elevenlabs import wire
from patter_elevenlabs.engine import ElevenLabsConvAI
from tests.bench.naive import Decoded
from tests.bench.relay import Spliced
from tests.bench.relay_app import Words
from tests.bench.service import Service, Talk

__all__ = ["ElevenLabsService"]

_INITIATION = '{"type":"conversation_initiation_client_data"}'


class _Audio(msgspec.Struct):
    """Any message of a client, read for its audio."""

    user_audio_chunk: str | None = None


_as_audio = msgspec.json.Decoder(_Audio)
_as_message: msgspec.json.Decoder[wire.ClientMessage] = msgspec.json.Decoder(wire.ClientMessage)


class _AudioEvent(msgspec.Struct, gc=False):
    audio_base_64: str


class _PingEvent(msgspec.Struct, gc=False):
    event_id: int


class _FromEngine(msgspec.Struct, gc=False):
    type: str
    audio_event: _AudioEvent | None = None
    ping_event: _PingEvent | None = None


_from_engine = msgspec.json.Decoder(_FromEngine)


class _Spliced(Spliced):
    opening = (_INITIATION,)
    answers = 1
    before, after = '{"user_audio_chunk":"', '"}'

    def from_engine(self, message: bytes) -> tuple[Message | None, str | None]:
        read = _from_engine.decode(message)
        if read.audio_event is not None:
            return self.carrier.media(read.audio_event.audio_base_64), None
        if read.ping_event is not None:
            return None, f'{{"type":"pong","event_id":{read.ping_event.event_id}}}'
        if read.type == "interruption":
            return self.carrier.clear(), None
        return None, None


class _Decoded(Decoded):
    opening = (_INITIATION,)
    answers = 1

    def caller(self, payload: str) -> dict[str, str]:
        return {"user_audio_chunk": payload}

    def from_engine(self, message: bytes) -> tuple[Message | None, str | None]:
        read = json.loads(message)
        if read["type"] == "audio":
            return self.media(read["audio_event"]["audio_base_64"]), None
        if read["type"] == "ping":
            return None, json.dumps({"type": "pong", "event_id": read["ping_event"]["event_id"]})
        if read["type"] == "interruption":
            return self.carrier.clear(), None
        return None, None


class _Talk(Talk):
    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._event_id = 1

    def initiated(self, message: bytes) -> Sequence[bytes]:
        assert isinstance(_as_message.decode(message), wire.Initiation)
        event = wire.MetadataEvent(
            conversation_id=f"conv_{id(self):x}",
            agent_output_audio_format=str(self._format),
            user_input_audio_format=str(self._format),
        )
        return (msgspec.json.encode(wire.Metadata(event)),)

    def audio(self, payload: str) -> bytes:
        text = f'{{"type":"audio","audio_event":{{"audio_base_64":"{payload}","event_id":{self._event_id}}}}}'
        return text.encode()

    def answer_begins(self) -> Sequence[bytes]:
        self._event_id += 1
        heard = wire.UserTranscriptEvent(text="What are your opening hours?", event_id=self._event_id)
        said = wire.AgentResponseEvent(text="From nine in the morning to six.", event_id=self._event_id)
        return msgspec.json.encode(wire.UserTranscript(heard)), msgspec.json.encode(wire.AgentResponse(said))

    def answer_ends(self) -> Sequence[bytes]:
        return ()

    def interruption(self) -> Sequence[bytes]:
        self._event_id += 1
        return (msgspec.json.encode(wire.Interruption(wire.Numbered(event_id=self._event_id))),)

    def ping(self) -> Sequence[bytes]:
        return (msgspec.json.encode(wire.Ping(wire.PingEvent(event_id=self._event_id, ping_ms=30))),)

    def heard(self, message: bytes) -> str | None:
        audio = _as_audio.decode(message).user_audio_chunk
        if audio is None and isinstance(_as_message.decode(message), wire.Pong):
            self.pongs += 1
        return audio


class ElevenLabsService(Service):
    name: ClassVar[str] = "elevenlabs"
    path: ClassVar[str] = "/v1/convai/conversation?agent_id=agent_bench"
    formats: ClassVar[tuple[str, ...]] = ("ulaw_8000", "pcm_16000")
    spliced: ClassVar[type[Words]] = _Spliced
    decoded: ClassVar[type[Words]] = _Decoded

    def engine(self, url: str) -> ElevenLabsConvAI:
        return ElevenLabsConvAI("bench-key", "agent_bench", base_url=url)

    def talk(self, format: AudioFormat) -> Talk:
        return _Talk(format)
