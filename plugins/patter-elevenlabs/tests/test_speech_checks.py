"""`check()` of the parts, which `patter doctor` asks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from patter_core.checks import CheckResult, Level
from patter_elevenlabs import ElevenLabsSTT, ElevenLabsTTS
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator

pytestmark = pytest.mark.anyio


async def check_voice(refusal: tuple[int, str] = (0, ""), *, key: str = "", voice: str = "") -> Sequence[CheckResult]:
    async with ElevenLabsTTSEmulator() as emulator:
        emulator.refuse_rest = refusal
        part = ElevenLabsTTS(key or emulator.api_key, voice or emulator.voice, base_url=emulator.base_url)
        return await part.check()


async def check_key(refusal: tuple[int, str] = (0, ""), *, key: str = "") -> Sequence[CheckResult]:
    async with ElevenLabsSTTEmulator() as emulator:
        emulator.refuse_rest = refusal
        return await ElevenLabsSTT(key or emulator.api_key, base_url=emulator.base_url).check()


async def test_a_key_that_is_accepted_and_a_voice_that_is_there_are_ok() -> None:
    (voice,), (key,) = await check_voice(), await check_key()
    assert (voice.level, key.level) == (Level.OK, Level.OK)
    assert "the permission text_to_speech, too, only a call shows" in voice.what
    assert "the permission speech_to_text, too, only a call shows" in key.what


async def test_a_voice_that_is_not_there_is_a_problem_with_a_remedy() -> None:
    (found,) = await check_voice(voice="other")
    assert (found.level, "My Voices" in found.remedy) == (Level.PROBLEM, True)


async def test_a_key_that_is_not_accepted_is_a_problem() -> None:
    for (found,) in (await check_voice(key="wrong"), await check_key(key="wrong")):
        assert (found.level, "ELEVENLABS_API_KEY" in found.remedy) == (Level.PROBLEM, True)
        assert "wrong" not in f"{found.what} {found.remedy}"


async def test_a_key_that_may_not_read_is_no_problem() -> None:
    missing = (401, "missing_permissions")
    (voice,) = await check_voice(missing)
    (key,) = await check_key(missing)
    assert (voice.level, key.level) == (Level.WARNING, Level.OK)
    assert voice.remedy.startswith(
        "Give the key the permission voices_read in the ElevenLabs dashboard under Developers,"
    )


async def test_a_service_that_fails_or_is_not_there_is_a_problem() -> None:
    (found,) = await check_voice((500, "internal"))
    assert found.level is Level.PROBLEM
    for part in (
        ElevenLabsTTS("key", base_url="http://127.0.0.1:9"),
        ElevenLabsSTT("key", base_url="http://127.0.0.1:9"),
    ):
        (found,) = await part.check()
        assert (found.level, "ElevenLabs at 127.0.0.1 cannot be reached" in found.what) == (Level.PROBLEM, True)
