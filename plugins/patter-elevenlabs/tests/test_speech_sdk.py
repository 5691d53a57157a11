"""The emulated speech services, and what the parts send, are what the vendor's own Python SDK knows."""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from typing import Any, get_args

import anyio
import anyio.to_thread
import msgspec
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs import ElevenLabsTTS
from patter_elevenlabs.stt import wire as stt_wire
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_elevenlabs.testing.tts.protocol import FORMATS
from patter_elevenlabs.testing.tts.synthesis import synthesise
from patter_pipeline.parts import Final, UtteranceDone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it names parts of `websockets` that are deprecated
    from elevenlabs import types as vendor
    from elevenlabs.client import ElevenLabs
    from elevenlabs.core.api_error import ApiError
    from elevenlabs.realtime import AudioFormat as VendorFormat
    from elevenlabs.realtime import CommitStrategy, RealtimeEvents, ScribeRealtime

pytestmark = pytest.mark.anyio

LINE = CALLER_LINES[2]


def spoken(client: ElevenLabs, voice: str, format: str) -> bytes:
    """What the SDK's realtime client gets for a text in two pieces."""
    text = iter(["Good evening, ", "the table is yours."])
    return b"".join(client.text_to_speech.convert_realtime(voice, text=text, output_format=format))


@pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")  # of the SDK's own use of `websockets`
async def test_the_sdk_speaks_in_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        client = ElevenLabs(api_key=emulator.api_key, base_url=emulator.base_url)
        # Without TLS, which it would insist on: it reads and writes one connection from two threads, and with the
        # `ssl` module of Python 3.11 such a connection stops at times.
        monkeypatch.setattr(client.text_to_speech, "_ws_base_url", f"ws{emulator.base_url.removeprefix('http')}")
        with anyio.fail_after(20):
            audio = await anyio.to_thread.run_sync(spoken, client, emulator.voice, "ulaw_8000")
            (text,) = emulator.given
            assert "".join(text.split()) == "Goodevening,thetableisyours."
            pieces = synthesise(f" {text}", ULAW_8000, None)
            assert len(audio) == sum(len(base64.b64decode(piece.audio)) for piece in pieces)
            assert emulator.refusals == []
            with pytest.raises(ApiError, match="does not exist"):
                await anyio.to_thread.run_sync(spoken, client, "other", "ulaw_8000")


async def test_the_sdk_recognises_speech_in_real_time() -> None:
    told: list[tuple[str, str]] = []
    done = asyncio.Event()
    async with ElevenLabsSTTEmulator(lines=CALLER_LINES) as emulator:
        scribe = ScribeRealtime(emulator.api_key, base_url=f"ws{emulator.base_url.removeprefix('http')}")
        with anyio.fail_after(15):
            connection = await scribe.connect(
                {
                    "model_id": "scribe_v2_realtime",
                    "audio_format": VendorFormat.ULAW_8000,
                    "sample_rate": 8_000,
                    "commit_strategy": CommitStrategy.MANUAL,
                    "include_timestamps": True,
                    "keyterms": ["Patter"],
                }
            )
            for event in (RealtimeEvents.PARTIAL_TRANSCRIPT, RealtimeEvents.COMMITTED_TRANSCRIPT):
                connection.on(event, lambda data: told.append((data["message_type"], data["text"])))
            connection.on(RealtimeEvents.COMMITTED_TRANSCRIPT_WITH_TIMESTAMPS, lambda _: done.set())
            await emulator.changes.wait_until(lambda: bool(emulator.sockets))
            audio = LINE.audio(ULAW_8000)
            for start in range(0, len(audio), 800):
                piece = base64.b64encode(audio[start : start + 800]).decode()
                await connection.send({"audio_base_64": piece})
            await emulator.changes.wait_until(lambda: emulator.heard == [audio])
            await emulator.interim("Half")
            await connection.commit()
            await done.wait()
            await connection.close()
        assert told == [("partial_transcript", "Half"), ("committed_transcript", LINE.text)]
        assert emulator.refusals == []


async def test_all_that_the_voice_sends_and_hears_is_what_the_sdk_knows() -> None:
    heard: list[str] = []
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(
            emulator.api_key,
            emulator.voice,
            base_url=emulator.base_url,
            stability=0.5,
            similarity_boost=0.5,
            style=0.1,
            use_speaker_boost=True,
            speed=1.1,
            pronunciation_dictionaries={"d": "v"},
        )
        session = await part.open(preferred_format=ULAW_8000, voice="", language="en")
        session.speak("u", "At 7.")
        session.finish("u")
        with anyio.fail_after(10):
            async for event in session.events():
                if event == UtteranceDone("u"):
                    break
        await session.aclose()
        for message in emulator.received:
            body = json.loads(message)
            kind: Any = (
                vendor.CloseSocket
                if "close_socket" in body
                else vendor.CloseContext
                if "close_context" in body
                else vendor.FlushContext
                if "flush" in body
                else vendor.InitializeConnectionMulti
                if body["text"] == " "
                else vendor.SendTextMulti
            )
            heard.append(kind.__name__)
            assert not kind.model_validate(body).model_extra, body
        known = set(vendor.RealtimeVoiceSettings.model_fields)
        assert set(json.loads(emulator.received[0])["voice_settings"]) <= known
    assert set(heard) == {"InitializeConnectionMulti", "SendTextMulti", "FlushContext", "CloseContext", "CloseSocket"}
    for piece in synthesise("At 7.", ULAW_8000, "c1"):
        known_as = vendor.WebsocketTtsServerMessageMulti.model_validate(msgspec.to_builtins(piece))
        assert known_as.context_id == "c1"
        assert known_as.alignment is not None
        assert known_as.alignment.chars == list("At 7.")
    assert set(FORMATS) <= set(get_args(get_args(vendor.TextToSpeechOutputFormatEnum)[0]))


async def test_every_error_of_speech_recognition_that_the_sdk_names_is_known() -> None:
    names = {event.value for event in RealtimeEvents}
    others = {"open", "close", "session_started", "partial_transcript", "unaccepted_terms_error"}
    texts = {name for name in names if "transcript" in name}
    assert names - others - texts - {"transcriber_error"} <= stt_wire.ERRORS | stt_wire.NOTICES
    assert "transcriber_error" in stt_wire.ERRORS


async def test_what_speech_recognition_sends_is_what_the_sdk_knows() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, language="")
        session.send_audio(AudioChunk(bytes(4_000), ULAW_8000))
        session.finalize()
        emulator.script.append("Yes")
        with anyio.fail_after(10):
            async for event in session.events():
                if isinstance(event, Final):
                    break
        await session.aclose()
        for message in emulator.received:
            assert not vendor.InputAudioChunkPayload.model_validate_json(message).model_extra
        assert len(emulator.received) == 2
