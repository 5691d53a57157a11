"""The services of a pipeline under load: recognition, a model and a voice that answer at once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Container
from typing import ClassVar

import msgspec

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import Engine
from patter_elevenlabs import ElevenLabsSTT, ElevenLabsTTS
from patter_openai import OpenAILLM
from patter_openai.testing.chat import OpenAIChatEmulator
from patter_pipeline.engine import Pipeline
from patter_pipeline.testing import Answer
from tests.bench.lean import LeanSocket

__all__ = ["Model", "PipelineService", "Recognition", "VoiceSocket"]

_KEY = "bench-key"
_ASKED = "When are you open?"
_WORDS = ("when", "are", "you", "open")
_SAID = "We are open from seven until eleven. Please come and see us soon."
_FRAME_MS = 20.0
_FRAME_LENGTH = len(AudioChunk(bytes(ULAW_8000.size(_FRAME_MS)), ULAW_8000).base64)
_INTERIM_EVERY = 25
"""Frames of speech."""
_CHARACTER_MS = 50
_PIECE_MS = 500
_BETWEEN = "|"


class PipelineService:
    """What the target is given, to talk to the three services there."""

    name: ClassVar[str] = "pipeline"

    @staticmethod
    def urls(stt: str, tts: str, llm: str) -> str:
        """Returns the three in one argument of a process."""
        return _BETWEEN.join((stt, tts, llm))

    def engine(self, urls: str) -> Engine:
        stt, tts, llm = urls.split(_BETWEEN)
        return Pipeline(
            (ElevenLabsSTT(_KEY, base_url=stt),),
            (OpenAILLM(_KEY, model="gpt-6-luna", base_url=llm),),
            (ElevenLabsTTS(_KEY, "voice", base_url=tts),),
        )


class Model(OpenAIChatEmulator):
    """Says the same, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__(api_key=_KEY)

    def next_answer(self) -> Answer:
        return Answer((_SAID,))


class _Audio(msgspec.Struct, gc=False):
    audio_base_64: str
    commit: bool


_as_audio = msgspec.json.Decoder(_Audio)
_STARTED = b'{"message_type":"session_started","session_id":"s","config":{"audio_format":"ulaw_8000"}}'


class Recognition:
    """One session of speech recognition. It checks that each frame comes, in order, and takes the time.

    Args:
        socket: of the session.
        speech: the frames that are speech, as base64.
        opened: is called once, with it.
    """

    def __init__(self, socket: LeanSocket, speech: Container[str], opened: Callable[[Recognition], None]) -> None:
        self.latencies_ms: list[float] = []
        self.faults = 0
        self.closed = socket.closed
        self._socket = socket
        self._speech = speech
        self._sent: deque[tuple[str, float]] = deque()
        self._heard_ms = 0.0
        self._spoken = 0
        """Frames of speech since the last final text."""
        socket.on_text = self._take
        asyncio.get_running_loop().call_soon(socket.send, _STARTED)  # after the handshake
        asyncio.get_running_loop().call_soon(opened, self)

    def said(self, frame: str) -> None:
        """The caller says that now."""
        self._sent.append((frame, time.perf_counter()))

    def _take(self, text: bytes) -> None:
        read = _as_audio.decode(text)
        if read.audio_base_64:
            self._hear(read.audio_base_64)
        if read.commit:
            self._commit(_ASKED if self._spoken else "")

    def _commit(self, text: str) -> None:
        self._tell("committed_transcript", text)
        end = self._heard_ms / 1000
        began, words = end - self._spoken * _FRAME_MS / 1000, text.split()
        step = (end - began) / max(1, len(words))
        timed = [
            {"text": word, "start": began + place * step, "end": began + (place + 1) * step, "type": "word"}
            for place, word in enumerate(words)
        ]
        self._tell("committed_transcript_with_timestamps", text, words=timed)
        self._spoken = 0

    def _tell(self, kind: str, text: str, **more: object) -> None:
        self._socket.send(msgspec.json.encode({"message_type": kind, "text": text, **more}))

    def _hear(self, frame: str) -> None:
        if len(frame) != _FRAME_LENGTH:  # silence in place of the caller's audio, which is not there yet
            chunk = AudioChunk.from_base64(frame, ULAW_8000)
            self.faults += set(chunk.data) != set(ULAW_8000.silence)
            self._heard_ms += chunk.duration_ms
            return
        self._heard_ms += _FRAME_MS
        if not self._sent or frame != self._sent[0][0]:
            self.faults += 1
            return
        _, sent_at = self._sent.popleft()
        self.latencies_ms.append((time.perf_counter() - sent_at) * 1000)
        if frame in self._speech:
            self._spoken += 1
            if self._spoken % _INTERIM_EVERY == 0:
                words = itertools.islice(itertools.cycle(_WORDS), self._spoken // _INTERIM_EVERY)
                self._tell("partial_transcript", " ".join(words))  # a new one each time: else it is noise


class _Order(msgspec.Struct, gc=False):
    context_id: str = ""
    text: str = ""
    flush: bool = False
    close_context: bool = False


_as_order = msgspec.json.Decoder(_Order)


class VoiceSocket:
    """One socket of the voice: what it is given is spoken at once."""

    def __init__(self, socket: LeanSocket, tone: bytes) -> None:
        self._socket = socket
        self._tone = tone
        self._held: dict[str, str] = {}
        socket.on_text = self._take

    def _take(self, text: bytes) -> None:
        order = _as_order.decode(text)
        if order.text.strip():
            self._speak(order.context_id, order.text)
        if order.close_context:
            end = {"audio": None, "isFinal": True, "contextId": order.context_id}
            self._socket.send(msgspec.json.encode(end))

    def _speak(self, context: str, text: str) -> None:
        left = len(text) * _CHARACTER_MS
        while left > 0:
            length = min(left, _PIECE_MS)
            left -= length
            audio = AudioChunk(self._tone[: ULAW_8000.size(length)], ULAW_8000).base64.encode()
            self._socket.send(b'{"audio":"%s","isFinal":null,"contextId":"%s"}' % (audio, context.encode()))
