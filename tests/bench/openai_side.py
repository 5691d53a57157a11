"""OpenAI Realtime in the benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from patter_core.audio import AudioFormat
from patter_core.media import Message
from patter_openai import OpenAIRealtime, wire
from tests.bench.naive import Decoded
from tests.bench.relay import Spliced
from tests.bench.relay_app import Words
from tests.bench.service import Service, Talk

__all__ = ["OpenAIRealtimeService"]

_UPDATE = (
    '{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu"}},'
    '"output":{"format":{"type":"audio/pcmu"}}}}}'
)
_ASKED, _SAID = "What are your opening hours?", "From nine in the morning to six."
_APPEND = "input_audio_buffer.append"
_as_message: msgspec.json.Decoder[wire.ClientMessage] = msgspec.json.Decoder(wire.ClientMessage)


class _Audio(msgspec.Struct):
    """Any message of a client, read for its audio."""

    type: str
    audio: str | None = None


class _FromEngine(msgspec.Struct, gc=False):
    type: str
    delta: str = ""


_as_audio = msgspec.json.Decoder(_Audio)
_from_engine = msgspec.json.Decoder(_FromEngine)


class _Spliced(Spliced):
    opening = (_UPDATE,)
    answers = 2
    before, after = f'{{"type":"{_APPEND}","audio":"', '"}'

    def from_engine(self, message: bytes) -> tuple[Message | None, str | None]:
        read = _from_engine.decode(message)
        if read.type == "response.output_audio.delta":
            return self.carrier.media(read.delta), None
        if read.type == "input_audio_buffer.speech_started":
            return self.carrier.clear(), None
        return None, None


class _Decoded(Decoded):
    opening = (_UPDATE,)
    answers = 2

    def caller(self, payload: str) -> dict[str, str]:
        return {"type": _APPEND, "audio": payload}

    def from_engine(self, message: bytes) -> tuple[Message | None, str | None]:
        read = json.loads(message)
        if read["type"] == "response.output_audio.delta":
            return self.media(read["delta"]), None
        if read["type"] == "input_audio_buffer.speech_started":
            return self.carrier.clear(), None
        return None, None


class _Talk(Talk):
    """All audio is of a response: without an end in the worst case, so that only an interruption begins another."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._number = self._events = 0
        self._is_open = False

    def greeting(self) -> Sequence[bytes]:
        return self._told(wire.SessionCreated(session=wire.SessionInfo(id="sess_1", type="realtime")))

    def initiated(self, message: bytes) -> Sequence[bytes]:
        assert isinstance(_as_message.decode(message), wire.SessionUpdate)
        session = wire.SessionInfo(id="sess_1", type="realtime")
        return [*self._told(wire.SessionUpdated(session=session)), *self._begin()]

    def audio(self, payload: str) -> bytes:
        self._events += 1
        return (
            f'{{"type":"response.output_audio.delta","event_id":"event_{self._events}","response_id":"resp_'
            f'{self._number}","item_id":"item_{self._number}","output_index":0,"content_index":0,"delta":"{payload}"}}'
        ).encode()

    def answer_begins(self) -> Sequence[bytes]:
        ended = () if not self._is_open else self.answer_ends()
        asked = wire.TranscriptionCompleted(item_id=f"user_{self._number}", transcript=_ASKED)
        said = wire.TranscriptDelta(response_id=f"resp_{self._number + 1}", item_id=f"item_{self._number + 1}",
                                    delta=_SAID)  # fmt: skip
        return [*ended, *self._told(asked), *self._begin(), *self._told(said)]

    def answer_ends(self) -> Sequence[bytes]:
        response_id, item_id = f"resp_{self._number}", f"item_{self._number}"
        part = wire.Content(type="audio", transcript=_SAID)
        item = self._item("completed")
        return [
            *self._told(
                wire.AudioDone(response_id=response_id, item_id=item_id),
                wire.TranscriptDone(response_id=response_id, item_id=item_id, transcript=_SAID),
                wire.ContentPartDone(response_id=response_id, item_id=item_id, part=part),
                wire.OutputItemDone(response_id=response_id, item=item),
                wire.ItemDone(item=item),
            ),
            *self._end("completed"),
        ]

    def interruption(self) -> Sequence[bytes]:
        user = f"user_{self._number}"
        started, stopped = wire.SpeechStarted(item_id=user), wire.SpeechStopped(item_id=user)
        ended = self._end("cancelled") if self._is_open else ()
        return [*self._told(started), *ended, *self._told(stopped), *self._begin()]

    def heard(self, message: bytes) -> str | None:
        read = _as_audio.decode(message)
        if read.type != _APPEND:
            _as_message.decode(message)
        return read.audio

    def _begin(self) -> Sequence[bytes]:
        self._number += 1
        self._is_open = True
        response_id, item = f"resp_{self._number}", self._item("in_progress")
        return self._told(
            wire.ResponseCreated(response=wire.Response(id=response_id, status="in_progress")),
            wire.OutputItemAdded(response_id=response_id, item=item),
            wire.ItemAdded(item=item),
            wire.ContentPartAdded(
                response_id=response_id, item_id=f"item_{self._number}", part=wire.Content(type="audio", transcript="")
            ),
        )

    def _end(self, status: str) -> Sequence[bytes]:
        self._is_open = False
        details = wire.StatusDetails(type="cancelled", reason="turn_detected") if status == "cancelled" else None
        usage = wire.ResponseUsage(total_tokens=90, input_tokens=60, output_tokens=30)
        response = wire.Response(
            id=f"resp_{self._number}", status=status, status_details=details, output=(self._item(status),), usage=usage
        )
        return self._told(wire.ResponseDone(response=response))

    def _item(self, status: str) -> wire.Item:
        return wire.Item(type="message", id=f"item_{self._number}", status=status, role="assistant")

    def _told(self, *messages: wire.ServerMessage) -> Sequence[bytes]:
        told: list[bytes] = []
        for message in messages:
            self._events += 1
            told.append(msgspec.json.encode(msgspec.structs.replace(message, event_id=f"event_{self._events}")))
        return told


class OpenAIRealtimeService(Service):
    name: ClassVar[str] = "openai-realtime"
    path: ClassVar[str] = "/v1/realtime?model=gpt-realtime-2.1"
    formats: ClassVar[tuple[str, ...]] = ("ulaw_8000",)
    spliced: ClassVar[type[Words]] = _Spliced
    decoded: ClassVar[type[Words]] = _Decoded

    def engine(self, url: str) -> OpenAIRealtime:
        return OpenAIRealtime("bench-key", base_url=f"{url}/v1")

    def talk(self, format: AudioFormat) -> Talk:
        return _Talk(format)
