from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from patter_core.audio import ALAW_8000, ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError, EngineRefused
from patter_deepgram import DeepgramTTS
from patter_deepgram.testing import DeepgramTTSEmulator

pytestmark = pytest.mark.anyio


def test_the_key_comes_from_the_environment_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "secret")
    voice = DeepgramTTS()
    assert voice.api_key == "secret"
    assert "secret" not in repr(voice)


@pytest.mark.parametrize(("options", "named"), [({"model": ""}, "model"), ({"speed": 9.0}, "speed")])
def test_invalid_options_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DeepgramTTS("key", **options)
    assert f"({named}=…)" in caught.value.problem


async def test_the_voice_of_the_call_takes_precedence() -> None:
    async with DeepgramTTSEmulator() as emulator:
        part = dataclasses.replace(emulator.part(), speed=1.2, parameters={"mip_opt_out": "true"})
        await (await part.open(preferred_format=ALAW_8000, voice="aura-2-zeus-en", language="")).aclose()
        assert emulator.connections[0].query == [
            ("model", "aura-2-zeus-en"),
            ("encoding", "alaw"),
            ("sample_rate", "8000"),
            ("speed", "1.2"),
            ("mip_opt_out", "true"),
        ]


async def test_a_voice_that_does_not_exist_is_refused_with_the_reason() -> None:
    async with DeepgramTTSEmulator() as emulator:
        with pytest.raises(EngineRefused, match="No such model"):
            await emulator.part().open(preferred_format=ULAW_8000, voice="21m00Tcm4TlvDq8ikWAM", language="")


async def test_a_voice_of_another_language_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="patter.deepgram")
    async with DeepgramTTSEmulator() as emulator:
        for language in ("en", "en-gb", ""):
            await (await emulator.part().open(preferred_format=ULAW_8000, voice="", language=language)).aclose()
        assert not caplog.records
        await (await emulator.part().open(preferred_format=ULAW_8000, voice="", language="it")).aclose()
    assert "aura-2-thalia-en speaks en, and the call is in it" in caplog.text


async def test_a_format_that_the_service_lacks_becomes_the_nearest() -> None:
    async with DeepgramTTSEmulator() as emulator:
        session = await emulator.part().open(
            preferred_format=AudioFormat(Encoding.PCM16, 22_050), voice="", language=""
        )
        assert session.output_format == AudioFormat(Encoding.PCM16, 24_000)
        await session.aclose()
