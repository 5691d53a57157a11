"""Fake speech recognition: it recognises what the test tells its emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.errors import SocketClosed
from patter_core.events import Usage, Word
from patter_core.net.websocket import BinaryMessage, EngineSocket
from patter_pipeline.parts import (
    EagerEnd,
    EndOfTurn,
    Final,
    Interim,
    SpeechToText,
    SttEvent,
    SttSession,
    TurnResumed,
)
from patter_pipeline.testing.emulators import SttEmulator
from patter_pipeline.testing.fakes.service import Service, ended

__all__ = ["FakeStt", "FakeSttEmulator", "FakeSttSession"]

_JUST_NOW_MS = 500.0
_TAKEN = (ULAW_8000, ALAW_8000, PCM16_16000)


class Recognised(msgspec.Struct, frozen=True):
    """A message of the service."""

    type: str
    """`ready`, `interim`, `final`, `eager_end`, `resumed`, `end_of_turn`."""
    text: str = ""
    started_ms: float = 0.0
    ended_ms: float = 0.0


class FakeSttSession(SttSession):
    """Audio goes out as it comes; what is recognised comes in."""

    def __init__(self, socket: EngineSocket, format: AudioFormat) -> None:
        self._socket = socket
        self._format = format
        self._sent = 0
        self._billed = 0.0
        """Seconds."""
        self._closed = False

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        self._sent += chunk.size
        self._socket.send_audio(chunk.data, binary=True)

    def finalize(self) -> None:
        self._socket.send(b'{"type":"finalize"}')

    async def events(self) -> AsyncIterator[SttEvent]:
        while True:
            try:
                message = await self._socket.receive()
            except SocketClosed as closed:
                if self._closed:
                    return
                raise ended(closed) from closed
            event = None if isinstance(message, BinaryMessage) else _event(message)
            if event is None:
                continue
            yield event
            if isinstance(event, Final | EndOfTurn):
                for usage in self._rest():
                    yield usage

    def unbilled(self) -> Sequence[Usage]:
        return self._rest()

    def _rest(self) -> Sequence[Usage]:
        seconds = self._format.duration_ms(self._sent) / 1000 - self._billed
        self._billed += seconds
        return [Usage(part="stt", vendor="fake", amounts={"seconds": seconds})] if seconds > 0 else []

    async def aclose(self) -> None:
        self._closed = True
        await self._socket.aclose()


def _event(message: bytes) -> SttEvent | None:
    try:
        told = msgspec.json.decode(message, type=Recognised)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    match told.type:
        case "interim":
            return Interim(told.text, told.started_ms)
        case "final":
            return Final(told.text, told.started_ms, told.ended_ms, _words(told))
        case "eager_end":
            return EagerEnd(told.text)
        case "resumed":
            return TurnResumed()
        case "end_of_turn":
            return EndOfTurn(told.text, told.started_ms)
    return None


def _words(told: Recognised) -> tuple[Word, ...]:
    """Returns the words, each with its share of the time."""
    pieces = told.text.split(" ")
    step = (told.ended_ms - told.started_ms) / len(pieces)
    return tuple(
        Word(
            text=piece + " " * (place < len(pieces) - 1),
            start_ms=told.started_ms + place * step,
            end_ms=told.started_ms + (place + 1) * step,
        )
        for place, piece in enumerate(pieces)
    )


class FakeStt(SpeechToText):
    """Recognises nothing by itself.

    Args:
        url: of the emulator.
        ends_turns: it reports ends of turns, and no final texts.
        interims: it reports words while the caller speaks.
    """

    name: ClassVar[str] = "fake"
    emulator: ClassVar[str] = "patter_pipeline.testing.fakes:FakeSttEmulator"

    def __init__(self, url: str, *, ends_turns: bool = False, interims: bool = True, final_p99: float = 0.4) -> None:
        self._url = url
        self.ends_turns = ends_turns  # type: ignore[misc] # an instance may differ
        self.interims = interims  # type: ignore[misc] # as above
        self.final_p99 = final_p99  # type: ignore[misc] # as above

    async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
        socket = await EngineSocket.open(self._url, open_timeout=3.0)
        return FakeSttSession(socket, preferred_format if preferred_format in _TAKEN else ULAW_8000)


class _Heard:
    def __init__(self) -> None:
        self.audio = bytearray()
        self.told = 0
        """Bytes before the text that comes next."""


class FakeSttEmulator(Service, SttEmulator):
    """Plays the service.

    Args:
        ends_turns: of its part.
        interims: as above.
    """

    def __init__(self, *, ends_turns: bool = False, interims: bool = True) -> None:
        super().__init__()
        self.finalized = 0
        """How often a session asked for its final text."""
        self._ends_turns = ends_turns
        self._interims = interims
        self._heard: list[_Heard] = []
        self._by_socket: dict[WebSocket, _Heard] = {}

    def part(self) -> FakeStt:
        return FakeStt(self.url, ends_turns=self._ends_turns, interims=self._interims)

    @property
    def heard(self) -> Sequence[bytes]:
        return [bytes(heard.audio) for heard in self._heard]

    async def interim(self, text: str) -> None:
        if self._interims:
            await self._tell("interim", text)

    async def final(self, text: str) -> None:
        await self._tell("final", text, is_last=True)

    async def end_turn(self, text: str) -> None:
        await self._tell("end_of_turn", text, is_last=True)

    async def eager_end(self, text: str) -> None:
        await self._tell("eager_end", text)

    async def resume_turn(self) -> None:
        await self._tell("resumed", "")

    async def converse(self, socket: WebSocket) -> None:
        heard = self._by_socket[socket] = _Heard()
        self._heard.append(heard)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes"):
                heard.audio += message["bytes"]
            else:
                self.finalized += 1
                await self.finalize(socket, bytes(heard.audio))
            self.changes.notify()

    async def finalize(self, socket: WebSocket, audio: bytes) -> None:
        """A session asks for the final text of all that was not told; by itself, the service recognises nothing.

        Args:
            socket: of the session.
            audio: all of it.
        """

    async def tell(self, socket: WebSocket, kind: str, text: str) -> None:
        """Says in one session that this was said just now.

        Args:
            socket: of the session.
            kind: `interim` or `final`.
            text: what was said.
        """
        heard = self._by_socket[socket]
        ended_ms = ULAW_8000.duration_ms(len(heard.audio))
        started_ms = max(ULAW_8000.duration_ms(heard.told), ended_ms - _JUST_NOW_MS)
        if kind == "final":
            heard.told = len(heard.audio)
        await self.send(socket, msgspec.json.encode(Recognised(kind, text, started_ms, ended_ms)).decode())

    async def _tell(self, kind: str, text: str, *, is_last: bool = False) -> None:
        for socket in list(self.sockets):
            heard = self._by_socket[socket]
            format = ULAW_8000
            told = Recognised(kind, text, format.duration_ms(heard.told), format.duration_ms(len(heard.audio)))
            if is_last:
                heard.told = len(heard.audio)
            await self.send(socket, msgspec.json.encode(told).decode())
