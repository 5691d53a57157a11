"""Speech recognition for one call: audio in, texts out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import EngineError, SocketClosed
from patter_core.events import Usage
from patter_core.net.inbox import Inbox
from patter_core.net.websocket import EngineSocket
from patter_core.observe.terminal import counted
from patter_elevenlabs import speech_failures
from patter_elevenlabs.prices import stt_usage
from patter_elevenlabs.stt import wire
from patter_elevenlabs.stt.transcript import Transcript
from patter_pipeline.parts import SttEvent, SttSession

__all__ = ["KEEP_ALIVE", "PERMISSION", "ScribeSession"]

_log = logging.getLogger("patter.elevenlabs")

PERMISSION = "speech_to_text"
"""What the key needs."""
KEEP_ALIVE = 5.0
"""Seconds without audio after which the service gets silence."""
_SILENCE_MS = 100.0
_BILLED = 15.0
"""Seconds of audio after which usage is told, also if nothing was said."""


class ScribeSession(SttSession):
    """A session that the service has started. Made by `ElevenLabsSTT.open`.

    Args:
        socket: after `session_started`.
        input_format: what the service was told.
        model: for usage.
        commits: the client ends segments, by `finalize`; else the service does.
        timestamps: each committed text comes twice, the second time with its words.
        keep_alive: seconds without audio until the service gets silence.
    """

    def __init__(
        self,
        socket: EngineSocket,
        input_format: AudioFormat,
        model: str,
        *,
        commits: bool,
        timestamps: bool,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self._socket = socket
        self._input_format = input_format
        self._rate = input_format.sample_rate
        self._model = model
        self._commits = commits
        self._final_type = "committed_transcript_with_timestamps" if timestamps else "committed_transcript"
        self._inbox: Inbox[SttEvent] = Inbox()
        self._transcript = Transcript()
        self._size = 0
        """Bytes of audio that were given."""
        self._last: AudioChunk | None = None
        """The latest chunk, if there was one since the last look."""
        self._chunk_ms = 0.0
        """How long a chunk is."""
        self._billed_ms = 0.0
        self._anomalies = 0
        self._over = False
        self._keep_alive = keep_alive
        self._silence = AudioChunk(input_format.silence * int(self._rate * _SILENCE_MS / 1_000), input_format)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(keep_alive, self._stay_alive)
        socket.deliver(self._on_message, self._on_closed)

    @property
    def input_format(self) -> AudioFormat:
        return self._input_format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        self._socket.send_audio(wire.encode_audio(chunk.base64, self._rate))
        self._size += chunk.size
        self._last = chunk

    def finalize(self) -> None:
        if self._commits:  # behind the audio that it is about
            self._socket.send_audio(wire.encode_audio("", self._rate, commit=True))
            self._transcript.asked(self._given_ms)

    def events(self) -> AsyncIterator[SttEvent]:
        return self._inbox

    def unbilled(self) -> Sequence[Usage]:
        self._note_lost()
        self._tell_usage()
        return self._inbox.remove(Usage)

    async def aclose(self) -> None:
        self._stop()
        await self._socket.aclose()

    @property
    def _given_ms(self) -> float:
        return self._input_format.duration_ms(self._size)

    def _stay_alive(self) -> None:
        self._timer = self._loop.call_later(self._keep_alive, self._stay_alive)
        if self._last is None:
            self._socket.send_audio(wire.encode_audio(self._silence.base64, self._rate))
            self._transcript.added_ms += self._silence.duration_ms
        self._note_lost()
        self._last = None
        if self._sent_ms - self._billed_ms >= _BILLED * 1_000:
            self._tell_usage()

    # --- what the service says -------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        try:
            self._take(text)
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            _log.exception("A message of ElevenLabs' speech to text could not be handled.")
            remedy = "This is a bug. Report it with the traceback in the log."
            self._stop(EngineError("A message from ElevenLabs could not be handled.", remedy=remedy))

    def _take(self, text: bytes) -> None:
        message = wire.decode(text)
        if message is None:
            self._anomalies += 1
        elif message.type == "partial_transcript":
            for event in self._transcript.partial((message.text or "").strip(), self._given_ms):
                self._inbox.put(event)
        elif message.type == self._final_type:
            said = (message.text or "").strip()
            self._note_lost()
            for told in self._transcript.committed(said, message.words or (), self._given_ms):
                self._inbox.put(told)
            self._tell_usage()
        elif message.type == wire.IGNORED:
            self._transcript.ignored()
        elif message.type in wire.ERRORS:
            self._stop(speech_failures.named(message.type, message.error or "", PERMISSION))

    def _on_closed(self, closed: SocketClosed) -> None:
        self._stop(speech_failures.closed(closed.code, closed.reason, PERMISSION))

    def _note_lost(self) -> None:
        """What was dropped is missing on the time line of the service."""
        if self._last is not None:
            self._chunk_ms = self._last.duration_ms
        self._transcript.lost_ms = self._socket.dropped * self._chunk_ms

    @property
    def _sent_ms(self) -> float:
        return self._given_ms + self._transcript.added_ms - self._transcript.lost_ms

    def _tell_usage(self) -> None:
        seconds = (self._sent_ms - self._billed_ms) / 1_000
        if seconds > 0:
            self._billed_ms = self._sent_ms
            self._inbox.put(stt_usage(self._model, seconds))

    def _stop(self, error: EngineError | None = None) -> None:
        """Nothing follows. The first call counts."""
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        self._socket.deliver(_ignore, _ignore)
        self._tell_usage()
        self._inbox.close(error)
        if self._anomalies:
            _log.warning("ElevenLabs' speech to text sent %s that cannot be used.", counted(self._anomalies, "message"))


def _ignore(_: object) -> None:
    """Called with what arrives after the end."""
