"""One session of a client of the emulated Scribe realtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from starlette.websockets import WebSocket

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.testing.hearing import EndOfTurn, SpeechEnded
from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.testing.stt.protocol import decode

__all__ = ["Ears", "Session"]

_LEAST_MS = 300.0
"""Of audio that is not committed, for a commit."""
_LONGEST_MS = 20_000.0
"""Of audio in which a line is looked for."""
_VAD_SILENCE = 1.5


class Ears(Protocol):
    """The part of the emulator that a session needs."""

    audio_format: str
    commits: int
    silent: bool
    ready: bool
    changes: Changes

    async def receive(self, socket: WebSocket) -> str: ...

    async def send(self, socket: WebSocket, message: str | bytes) -> None: ...

    def text_of(self, audio: bytes, format: AudioFormat) -> str: ...


class Session:
    """Audio in, texts out."""

    def __init__(self, ears: Ears, socket: WebSocket) -> None:
        query = dict(socket.query_params)
        self.socket = socket
        self.audio = bytearray()
        """All of it."""
        self._ears = ears
        query["audio_format"] = ears.audio_format or query.get("audio_format", "pcm_16000")
        self._format = FORMATS[query["audio_format"]]
        self._timestamps = query.get("include_timestamps") == "true"
        self._committed = 0
        """How much of the audio."""
        self._unknown = 0
        """From where on nothing was recognised: a line with a pause in it may be committed in the middle."""
        self._turns: EndOfTurn | None = None
        if query.get("commit_strategy") == "vad":
            silence = float(query.get("vad_silence_threshold_secs", _VAD_SILENCE))
            self._turns = EndOfTurn(self._format, silence_ms=silence * 1_000)
        self._config = {"sample_rate": self._format.sample_rate, "commit_strategy": "manual", **query}

    async def run(self) -> None:
        """Takes audio to the end of the socket."""
        if self._ears.ready:
            await self._send(
                {"message_type": "session_started", "session_id": "session_emulated", "config": self._config}
            )
        first = True
        while True:
            message, audio = decode(await self._ears.receive(self.socket), self._format, first=first)
            first = False
            self.audio += audio
            if message.commit and not self._ears.silent:
                await self._on_commit()
            for event in self._turns.feed(audio) if self._turns is not None else ():
                if isinstance(event, SpeechEnded):
                    await self.commit(self._ears.text_of(event.audio, self._format))
            self._ears.changes.notify()

    async def _on_commit(self) -> None:
        waiting = self._format.duration_ms(len(self.audio) - self._committed)
        if waiting < _LEAST_MS:
            text = f"Commit request ignored: only {waiting / 1_000:.2f}s of uncommitted audio."
            await self.tell("commit_throttled", text)
            return
        self._ears.commits += 1
        start = max(self._unknown, len(self.audio) - self._format.size(_LONGEST_MS))
        text = self._ears.text_of(bytes(self.audio[start:]), self._format)
        if text:
            self._unknown = len(self.audio)
        await self.commit(text)

    async def commit(self, text: str) -> None:
        """Tells a text that will not change, of all audio since the last one."""
        start, end = self._committed / self._format.byte_rate, len(self.audio) / self._format.byte_rate
        self._committed = len(self.audio)
        await self.say("committed_transcript", text)
        if self._timestamps:
            words = _timed(text, start, end)
            kind = "committed_transcript_with_timestamps"
            await self._send({"message_type": kind, "text": text, "language_code": "en", "words": words})

    async def say(self, kind: str, text: str) -> None:
        """Sends a text."""
        await self._send({"message_type": kind, "text": text})

    async def tell(self, kind: str, error: str) -> None:
        """Sends an error, or a notice."""
        await self._send({"message_type": kind, "warning" if kind == "warning" else "error": error})

    async def _send(self, message: Mapping[str, object]) -> None:
        await self._ears.send(self.socket, msgspec.json.encode(message).decode())


def _timed(text: str, start: float, end: float) -> list[dict[str, object]]:
    """Returns the words of a text and the blanks between them, spread evenly over a time, in s."""
    parts = [part for word in text.split() for part in (word, " ")][:-1]
    length = (end - start) / len(parts) if parts else 0.0
    return [
        {
            "text": part,
            "start": round(start + place * length, 3),
            "end": round(start + (place + 1) * length, 3),
            "type": "spacing" if part == " " else "word",
        }
        for place, part in enumerate(parts)
    ]
