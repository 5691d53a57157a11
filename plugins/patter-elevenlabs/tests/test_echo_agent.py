from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.events import Interruption, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_elevenlabs import wire
from patter_elevenlabs.config import Service
from patter_elevenlabs.handshake import open_session
from patter_elevenlabs.session import ConvAISession
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Behaviour, EchoAgent, ElevenLabsEmulator

pytestmark = pytest.mark.anyio

LINE = CALLER_LINES[-1]
FAST = 50.0
"""How many times faster than in life these callers speak: the agent tells time by the audio."""


async def opened(emulator: ElevenLabsEmulator, first_message: str | None = None) -> ConvAISession:
    service = Service(emulator.api_key, emulator.agent_id, emulator.base_url)
    return await open_session(service, wire.initiation(first_message=first_message))


async def say(session: ConvAISession, audio: bytes, format: AudioFormat) -> None:
    for start in range(0, len(audio), format.size(20)):
        session.send_audio(AudioChunk(audio[start : start + format.size(20)], format))
        await anyio.sleep(0.02 / FAST)


async def heard(session: ConvAISession, size: int) -> bytes:
    """So many bytes of agent audio."""
    audio = bytearray()
    async for item in session.events():
        if isinstance(item, AudioChunk):
            audio += item.data
            if len(audio) >= size:
                break
    return bytes(audio)


async def until_text(session: ConvAISession, kind: type[TranscriptInput | TranscriptOutput]) -> str:
    async for item in session.events():
        if isinstance(item, TranscriptInput | TranscriptOutput) and isinstance(item, kind):
            return item.text
    raise AssertionError


@pytest.fixture
async def emulator() -> AsyncIterator[ElevenLabsEmulator]:
    async with ElevenLabsEmulator(Behaviour(pace=200.0)) as emulator:
        with anyio.fail_after(20):
            yield emulator


async def test_it_greets_with_recorded_speech(emulator: ElevenLabsEmulator) -> None:
    session = await opened(emulator)
    greeting = GREETING.audio(ULAW_8000)
    assert await until_text(session, TranscriptOutput) == GREETING.text
    assert await heard(session, len(greeting)) == greeting
    await session.aclose()


async def test_an_empty_first_message_leaves_out_the_greeting(emulator: ElevenLabsEmulator) -> None:
    session = await opened(emulator, "")
    await say(session, LINE.audio(ULAW_8000) + ULAW_8000.silence * 8_000, ULAW_8000)
    assert await until_text(session, TranscriptOutput) == LINE.text
    await session.aclose()


async def test_a_first_message_changes_only_the_text_of_the_greeting(emulator: ElevenLabsEmulator) -> None:
    session = await opened(emulator, "Ciao!")
    greeting = GREETING.audio(ULAW_8000)
    assert await until_text(session, TranscriptOutput) == "Ciao!"
    assert await heard(session, len(greeting)) == greeting
    await session.aclose()


@pytest.mark.parametrize("format", [ULAW_8000, PCM16_16000])
async def test_it_repeats_a_line_that_it_knows(emulator: ElevenLabsEmulator, format: AudioFormat) -> None:
    emulator.behaviour = Behaviour(pace=200.0, input_format=str(format), output_format="pcm_16000")
    session = await opened(emulator)
    await heard(session, len(GREETING.audio(PCM16_16000)))
    talk = await emulator.conversation()
    spoken = LINE.audio(format) + format.silence * (format.sample_rate * 7 // 10)
    await say(session, spoken, format)
    assert await until_text(session, TranscriptInput) == LINE.text
    assert await until_text(session, TranscriptOutput) == LINE.text
    line = transcode(LINE.audio(format), format, PCM16_16000)
    assert len(await heard(session, len(line) // 2)) >= len(line) // 2
    assert bytes(talk.heard) == spoken
    await session.aclose()


async def test_unknown_speech_is_described_by_its_length(emulator: ElevenLabsEmulator) -> None:
    session = await opened(emulator)
    half_a_line = LINE.audio(ULAW_8000)[: ULAW_8000.size(700)]
    await say(session, half_a_line + ULAW_8000.silence * 5600, ULAW_8000)
    text = await until_text(session, TranscriptInput)
    assert text.startswith("[0.")
    assert text.endswith(" s of speech]")
    await session.aclose()


async def test_talking_over_it_interrupts_it_and_the_answer_is_live(emulator: ElevenLabsEmulator) -> None:
    emulator.behaviour = Behaviour(
        pace=200.0, client_events=DEFAULT_CLIENT_EVENTS | {"agent_response_correction"}
    )  # the greeting is sent at once, and plays for seconds
    session = await opened(emulator)
    greeting = GREETING.audio(ULAW_8000)
    await heard(session, len(greeting))
    talk = await emulator.conversation()
    assert talk.speaking
    await say(session, LINE.audio(ULAW_8000) + ULAW_8000.silence * 5600, ULAW_8000)
    async for item in session.events():
        if isinstance(item, Interruption):
            break
    correction = await anext(item async for item in session.events() if isinstance(item, TranscriptCorrection))
    assert correction.original == GREETING.text
    assert GREETING.text.startswith(correction.text.removesuffix("…"))
    assert correction.text != GREETING.text
    assert await until_text(session, TranscriptOutput) == LINE.text
    await heard(session, 1600)
    (interrupted,) = talk.interruptions
    assert list(talk.said)[1:] == [interrupted]
    await session.aclose()


async def test_a_caller_who_continues_is_not_answered_in_between(emulator: ElevenLabsEmulator) -> None:
    emulator.behaviour = Behaviour(agent=EchoAgent(silence_ms=100, think_ms=60_000), pace=200.0)
    session = await opened(emulator)
    await heard(session, len(GREETING.audio(ULAW_8000)))
    pause = ULAW_8000.silence * 2400
    await say(session, LINE.audio(ULAW_8000) + pause, ULAW_8000)
    await until_text(session, TranscriptInput)
    await say(session, LINE.audio(ULAW_8000) + pause, ULAW_8000)
    await until_text(session, TranscriptInput)
    talk = await emulator.conversation()
    assert len(talk.said) == 1
    await session.aclose()
