"""Whatever a speech service sends: a session survives it, and no handler of ours fails."""

from __future__ import annotations

import json
import logging

import anyio
import msgspec
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.testing.conformance.fuzz import mutations
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_elevenlabs.testing.tts.synthesis import synthesise
from patter_pipeline.parts import Final, SttEvent, TtsEvent, UtteranceDone

pytestmark = pytest.mark.anyio

WORDS = [{"text": "Yes", "start": 0.1, "end": 0.2, "type": "word"}, {"text": " ", "start": 0.2, "end": 0.2}]
TEXTS = (
    {"message_type": "session_started", "session_id": "s", "config": {}},
    {"message_type": "partial_transcript", "text": "Yes"},
    {"message_type": "committed_transcript", "text": "Yes"},
    {"message_type": "committed_transcript_with_timestamps", "text": "Yes", "language_code": "en", "words": WORDS},
)


async def test_a_voice_survives_each_message_broken_in_every_place(caplog: pytest.LogCaptureFixture) -> None:
    events: list[TtsEvent] = []
    async with ElevenLabsTTSEmulator(pace=0.01) as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, voice="", language="")

        async def read() -> None:
            events.extend([event async for event in session.events()])

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                session.speak("u", "Good evening. 7 pm.")
                await emulator.changes.wait_until(lambda: bool(emulator.given))
                for piece in synthesise(" Good evening. 7 pm. ", ULAW_8000, "c1"):
                    for message in mutations(msgspec.json.encode(piece).decode()):
                        await emulator.inject(message)
                emulator.pace = 100.0
                session.speak("v", "Yes.")
                session.finish("u")
                session.finish("v")
                await emulator.changes.wait_until(lambda: len(emulator.given) > 1 and not emulator.contexts[-1].speech)
                await anyio.sleep(0.2)
                await session.aclose()
    assert UtteranceDone("v") in events
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_speech_recognition_survives_each_message_broken_in_every_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[SttEvent] = []
    async with ElevenLabsSTTEmulator() as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, language="")

        async def read() -> None:
            events.extend([event async for event in session.events()])

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                session.send_audio(AudioChunk(bytes(8_000), ULAW_8000))
                await emulator.changes.wait_until(lambda: emulator.heard == [bytes(8_000)])
                for text in TEXTS:
                    for message in mutations(json.dumps(text)):
                        await emulator.inject(message)
                await emulator.final("At last")
                await anyio.sleep(0.2)
                await session.aclose()
    finals = [event for event in events if isinstance(event, Final)]
    assert finals[-1].text == "At last"
    times = [time for final in finals for time in (final.started_ms, final.ended_ms)]
    assert times == sorted(times)
    assert times[-1] <= 1_000
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
