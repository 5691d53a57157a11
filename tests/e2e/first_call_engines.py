"""The engines of the first call: what plays their services, and what these heard and said."""

from __future__ import annotations

import abc
import base64
import contextlib
from collections.abc import Sequence

import msgspec

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.patter import Patter
from patter_core.testing.emulator import Emulator
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, REPLIES, WELCOME
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_openai.testing.chat import OpenAIChatEmulator

__all__ = ["ElevenLabsServices", "PipelineServices", "Services"]

BOOKING, CORRECTION, _, GOODBYE = CALLER_LINES


class Services(abc.ABC):
    """The services of one engine, for one call. They run inside of its context."""

    transcripts: tuple[str, ...]
    """The events about what was said, in order."""

    def __init__(self, *emulators: Emulator) -> None:
        self._emulators = emulators
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> None:
        for emulator in self._emulators:
            await self._open.enter_async_context(emulator)

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @abc.abstractmethod
    def agent(self, phone: Patter) -> Agent:
        """An agent on this engine."""

    @property
    @abc.abstractmethod
    def said(self) -> Sequence[bytes]:
        """The audio of each of the agent's turns, all of it."""

    @property
    @abc.abstractmethod
    def heard(self) -> Sequence[bytes]:
        """The caller's audio, message by message."""

    @abc.abstractmethod
    def complain(self) -> None:
        """Fails if a service has something to complain about."""


class ElevenLabsServices(Services):
    """ElevenLabs Conversational AI: its agent repeats what the caller says."""

    transcripts = ("transcript_output", *("transcript_input", "transcript_output") * 3)

    def __init__(self, format: AudioFormat) -> None:
        self._service = ElevenLabsEmulator(Behaviour(input_format=str(format), output_format=str(format)))
        super().__init__(self._service)

    def agent(self, phone: Patter) -> Agent:
        return phone.agent(engine=self._service.engine())

    @property
    def said(self) -> Sequence[bytes]:
        return [bytes(said) for said in self._service.conversations[-1].said.values()]

    @property
    def heard(self) -> Sequence[bytes]:
        conversation, place, pieces = self._service.conversations[-1], 0, list[bytes]()
        for size in conversation.heard_sizes:
            pieces.append(bytes(conversation.heard[place : place + size]))
            place += size
        return pieces

    def complain(self) -> None:
        conversation = self._service.conversations[-1]
        assert conversation.pings.keys() == conversation.pongs.keys()
        assert (conversation.closed_by, conversation.close_code) == ("client", 1000)


class _Heard(msgspec.Struct):
    audio_base_64: str


class PipelineServices(Services):
    """Recognition and a voice of ElevenLabs, and chat completions: the agent takes a booking."""

    transcripts = (
        "transcript_output",
        *("transcript_input", "transcript_output", "transcript_correction"),
        *("transcript_input", "transcript_output") * 2,
    )

    def __init__(self, format: AudioFormat) -> None:
        assert format == ULAW_8000
        self._stt, self._llm, self._tts = (
            ElevenLabsSTTEmulator(lines=CALLER_LINES),
            OpenAIChatEmulator(),
            ElevenLabsTTSEmulator(),
        )
        self._llm.replies, self._tts.lines = REPLIES, AGENT_LINES
        super().__init__(self._stt, self._llm, self._tts)

    def agent(self, phone: Patter) -> Agent:
        return phone.agent(stt=self._stt.part(), llm=self._llm.part(), tts=self._tts.part(), first_message=WELCOME.text)

    @property
    def said(self) -> Sequence[bytes]:
        lines = (WELCOME, REPLIES[BOOKING], REPLIES[CORRECTION], REPLIES[GOODBYE])
        return [line.audio(ULAW_8000) for line in lines]

    @property
    def heard(self) -> Sequence[bytes]:
        pieces = [msgspec.json.decode(text, type=_Heard).audio_base_64 for text in self._stt.received]
        return [base64.b64decode(piece) for piece in pieces if piece]

    def complain(self) -> None:
        assert not self._stt.refusals
        assert not self._tts.refusals
        assert len(self._stt.queries) == len(self._tts.queries) == 1
        asked = [request.messages[-1].content or "" for request in self._llm.requests()]
        for text in asked:  # drafts among them, and a note that the agent was interrupted
            assert text.endswith((BOOKING.text, CORRECTION.text, GOODBYE.text))
