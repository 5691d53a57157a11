"""Scribe realtime, emulated: strict with its clients. It recognises what a test tells it to, or lines that it knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import AudioFormat
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, recognise
from patter_core.testing.speech import CALLER_LINES, Line
from patter_elevenlabs.stt.part import ElevenLabsSTT
from patter_elevenlabs.testing.speech import Refused, SpeechService
from patter_elevenlabs.testing.stt.protocol import OPTIONS
from patter_elevenlabs.testing.stt.session import Session
from patter_pipeline.testing import SttEmulator

__all__ = ["ElevenLabsSTTEmulator"]

_PAUSE_MS = 1_000.0
"""In speech that it knows, there is no longer one."""
_NAMES = {"invalid_api_key": "auth_error", "invalid_message": "input_error"}
"""Of errors that have other names here than at the voice."""


class ElevenLabsSTTEmulator(SpeechService, SttEmulator):
    """Emulates Scribe realtime. Inside its context the port is open.

    Args:
        api_key: of the account.
        lines: speech that it recognises when it is committed; what a test says comes first.
    """

    def __init__(self, *, api_key: str = "emulated-key", lines: Sequence[Line] = ()) -> None:
        super().__init__(api_key=api_key)
        self.lines = tuple(lines)
        self.script: deque[str] = deque()
        """The texts of the next commits of clients, or of the service with `vad`."""
        self.commits = 0
        """How many commits of clients were heeded."""
        self.silent = False
        """True for a service that heeds no commits."""
        self.audio_format = ""
        """What sessions take, whatever they ask for."""
        self.ready = True
        """False for a service that takes connections, and starts no session."""
        self._sessions: list[Session] = []

    @classmethod
    def for_demo(cls) -> Self | None:
        return cls(lines=CALLER_LINES)

    def part(self) -> ElevenLabsSTT:
        return ElevenLabsSTT(self.api_key, base_url=self.base_url)

    @property
    def heard(self) -> Sequence[bytes]:
        return [bytes(session.audio) for session in self._sessions]

    async def interim(self, text: str) -> None:
        for session in self._live():
            await session.say("partial_transcript", text)

    async def final(self, text: str) -> None:
        for session in self._live():
            await session.commit(text)

    async def notice(self, name: str, text: str) -> None:
        """Sends one of the messages after which a session goes on, such as `commit_throttled`."""
        for session in self._live():
            await session.tell(name, text)

    async def fail(self, name: str = "transcriber_error") -> None:
        await self.fail_with(Refused(name, "Something went wrong.", 1011))

    @property
    def paths(self) -> Sequence[str]:
        return ("/v1/speech-to-text/realtime",)

    @property
    def options(self) -> Mapping[str, frozenset[str] | None]:
        return OPTIONS

    async def tell(self, socket: WebSocket, refused: Refused) -> None:
        error = {"message_type": _NAMES.get(refused.name, refused.name), "error": refused.text}
        await self.send(socket, msgspec.json.encode(error).decode())

    async def converse(self, socket: WebSocket) -> None:
        session = Session(self, socket)
        self._sessions.append(session)
        await session.run()

    def text_of(self, audio: bytes, format: AudioFormat) -> str:
        """Returns what was said; "" if it is not known."""
        if self.script:
            return self.script.popleft()
        if not self.lines:
            return ""
        pause = format.silence * (format.size(2 * _PAUSE_MS) // format.sample_width)
        turns = EndOfTurn(format, silence_ms=_PAUSE_MS).feed(audio + pause)
        spoken = next((turn.audio for turn in turns if isinstance(turn, SpeechEnded)), b"")
        return (spoken and recognise(spoken, format, self.lines)) or ""

    def _live(self) -> list[Session]:
        return [session for session in self._sessions if session.socket in self.sockets]
