"""A fake voice: each character is 50 ms of a tone, which differs from word to word."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.errors import AudioError, SocketClosed
from patter_core.events import Usage, Word
from patter_core.net.websocket import BinaryMessage, EngineSocket
from patter_pipeline.parts import Spoken, TextToSpeech, TtsEvent, TtsSession, UtteranceDone
from patter_pipeline.testing.emulators import TtsEmulator
from patter_pipeline.testing.fakes.service import Service, ended

__all__ = ["CHARACTER_MS", "FakeTts", "FakeTtsEmulator", "FakeTtsSession"]

CHARACTER_MS = 50.0
_PITCHES = 15
_FORMATS = {str(format): format for format in (ULAW_8000, ALAW_8000, PCM16_16000)}


class Order(msgspec.Struct, frozen=True):
    """A message to the service: text of an utterance, its end, or that it is given up."""

    type: str
    """`speak`, `finish` or `cancel`."""
    utterance: str
    text: str = ""
    format: str = ""


class Told(msgspec.Struct, frozen=True):
    """A message of the service: the words of the audio that follows, or the end of an utterance."""

    type: str
    """`words` or `done`."""
    utterance: str
    words: tuple[Word, ...] = ()


class FakeTtsSession(TtsSession):
    """Text goes out, audio comes in."""

    def __init__(self, socket: EngineSocket, format: AudioFormat) -> None:
        self._socket = socket
        self._format = format
        self._characters = 0
        self._void: set[str] = set()
        self._closed = False

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    def speak(self, utterance: str, text: str) -> None:
        self._void.discard(utterance)
        self._characters += len(text)
        self._send(Order("speak", utterance, text, str(self._format)))

    def finish(self, utterance: str) -> None:
        self._send(Order("finish", utterance))

    def cancel(self, utterance: str) -> None:
        self._void.add(utterance)
        self._send(Order("cancel", utterance))

    async def events(self) -> AsyncIterator[TtsEvent]:
        words = Told("words", "")
        while True:
            try:
                message = await self._socket.receive()
            except SocketClosed as closed:
                if self._closed:
                    return
                raise ended(closed) from closed
            if isinstance(message, BinaryMessage):
                with contextlib.suppress(AudioError):
                    if words.utterance and words.utterance not in self._void:
                        yield Spoken(words.utterance, AudioChunk(bytes(message), self._format), words.words)
                words = Told("words", "")
                continue
            told = _told(message)
            if told is not None and told.type == "words":
                words = told
            elif told is not None and told.utterance not in self._void:
                for usage in self._rest():
                    yield usage
                yield UtteranceDone(told.utterance)

    def unbilled(self) -> Sequence[Usage]:
        return self._rest()

    def _rest(self) -> Sequence[Usage]:
        characters, self._characters = self._characters, 0
        return [Usage(part="tts", vendor="fake", amounts={"characters": float(characters)})] if characters else []

    async def aclose(self) -> None:
        self._closed = True
        await self._socket.aclose()

    def _send(self, order: Order) -> None:
        self._socket.send(msgspec.json.encode(order))


def _told(message: bytes) -> Told | None:
    try:
        told = msgspec.json.decode(message, type=Told)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return told if told.type in {"words", "done"} else None


class FakeTts(TextToSpeech):
    """Speaks in tones.

    Args:
        url: of the emulator.
    """

    name: ClassVar[str] = "fake"
    emulator: ClassVar[str] = "patter_pipeline.testing.fakes:FakeTtsEmulator"

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
        socket = await EngineSocket.open(self._url, open_timeout=3.0)
        return FakeTtsSession(socket, preferred_format if str(preferred_format) in _FORMATS else ULAW_8000)


class _Utterance:
    def __init__(self, name: str, format: AudioFormat) -> None:
        self.name = name
        self.format = format
        self.text = ""
        self.spoken = 0
        """Characters that were spoken."""
        self.is_finished = False
        self.is_void = False


class FakeTtsEmulator(Service, TtsEmulator):
    """Plays the service.

    Args:
        pace: of speaking, as a multiple of real time.
    """

    def __init__(self, *, pace: float = 8.0) -> None:
        super().__init__()
        self.pace = pace
        """May be changed: 0 says nothing more until it is set anew."""
        self._utterances: list[_Utterance] = []

    def part(self) -> FakeTts:
        return FakeTts(self.url)

    @property
    def given(self) -> Sequence[str]:
        return [utterance.text for utterance in self._utterances]

    @property
    def speaking(self) -> Sequence[str]:
        """The ids of the utterances that were begun and not given up, in the order of their beginning."""
        return [utterance.name for utterance in self._utterances if utterance.spoken and not utterance.is_void]

    async def say_late(self, utterance: str) -> None:
        """Says some more of an utterance in all sessions, as a service does whose audio was on its way."""
        for socket in list(self.sockets):
            await self.send(socket, msgspec.json.encode(Told("words", utterance)).decode())
            await self.send(socket, _tone(ULAW_8000, 100.0, 0))

    async def converse(self, socket: WebSocket) -> None:
        own: list[_Utterance] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._speak, socket, own)
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    self._take(own, msgspec.json.decode(await socket.receive_text(), type=Order))
                    self.changes.notify()
            tasks.cancel_scope.cancel()

    def _take(self, own: list[_Utterance], order: Order) -> None:
        there = next((one for one in own if one.name == order.utterance), None)
        match order.type, there:
            case "speak", None:
                there = _Utterance(order.utterance, _FORMATS[order.format])
                own.append(there)
                self._utterances.append(there)
                there.text = order.text
            case "speak", _Utterance():
                there.text += order.text
            case "finish", _Utterance():
                there.is_finished = True
            case "cancel", _Utterance():
                there.is_void = True

    async def _speak(self, socket: WebSocket, own: list[_Utterance]) -> None:
        """Speaks the first utterance to its end, then the next."""
        while True:
            await self.changes.wait_until(functools.partial(_has_something, own))
            one = own[0]
            if one.is_void:
                own.pop(0)
            elif one.spoken < len(one.text):
                await self._speak_word(socket, one)
            else:
                own.pop(0)
                await self.send(socket, msgspec.json.encode(Told("done", one.name)).decode())

    async def _speak_word(self, socket: WebSocket, one: _Utterance) -> None:
        start = one.spoken
        end = one.text.find(" ", start) + 1 or len(one.text)
        one.spoken = end
        word = Word(text=one.text[start:end], start_ms=start * CHARACTER_MS, end_ms=end * CHARACTER_MS)
        while self.pace == 0:
            await self.changes.wait()
        duration_ms = (end - start) * CHARACTER_MS
        await anyio.sleep(duration_ms / 1000 / self.pace)
        if not one.is_void:
            await self.send(socket, msgspec.json.encode(Told("words", one.name, (word,))).decode())
            await self.send(socket, _tone(one.format, duration_ms, _pitch(word.text)))


def _has_something(own: list[_Utterance]) -> bool:
    return bool(own) and (own[0].is_void or own[0].is_finished or own[0].spoken < len(own[0].text))


def _pitch(word: str) -> int:
    return sum(map(ord, word)) % _PITCHES


@functools.cache
def _tone(format: AudioFormat, duration_ms: float, pitch: int) -> bytes:
    """Returns a square wave of 267 to 500 Hz: the loud codes of each law, or samples of ±8000."""
    half = 16 + pitch
    samples = int(16_000 * duration_ms / 1000)
    loud, low = (8_000).to_bytes(2, "little", signed=True), (-8_000).to_bytes(2, "little", signed=True)
    wave = (loud * half + low * half) * (samples // (2 * half) + 1)
    return transcode(wave[: samples * 2], PCM16_16000, format)[: format.size(duration_ms)]
