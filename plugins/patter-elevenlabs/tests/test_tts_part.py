"""`ElevenLabsTTS`: its options, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from patter_core.audio import AudioFormat, Encoding
from patter_core.errors import ConfigurationError
from patter_elevenlabs import ElevenLabsTTS
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_elevenlabs.tts.formats import format_for
from patter_elevenlabs.tts.part import DEFAULT_VOICE

pytestmark = pytest.mark.anyio


async def query_of(part: ElevenLabsTTS, emulator: ElevenLabsTTSEmulator, language: str = "") -> Mapping[str, str]:
    session = await part.open(preferred_format=AudioFormat(Encoding.ULAW, 8_000), voice="", language=language)
    await session.aclose()
    return dict(emulator.queries[-1])


async def test_options_that_are_not_set_are_not_sent() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        assert await query_of(emulator.part(), emulator) == {
            "model_id": "eleven_flash_v2_5",
            "output_format": "ulaw_8000",
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": "180",
        }


@pytest.mark.parametrize(
    ("model", "own", "of_call", "sent"),
    [
        ("eleven_flash_v2_5", "it", "", "it"),
        ("eleven_flash_v2_5", "it", "pt-BR", "pt"),
        ("eleven_turbo_v2_5", "", "en_US", "en"),
        ("eleven_multilingual_v2", "it", "de", None),
        ("eleven_flash_v2_5", "", "", None),
    ],
)
async def test_the_language_is_that_of_the_call_where_the_model_takes_one(
    model: str, own: str, of_call: str, sent: str | None
) -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(emulator.api_key, emulator.voice, model, base_url=emulator.base_url, language=own)
        assert (await query_of(part, emulator, of_call)).get("language_code") == sent


async def test_normalisation_seed_and_dictionaries_are_sent() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(
            emulator.api_key,
            emulator.voice,
            base_url=emulator.base_url,
            text_normalization="on",
            seed=7,
            pronunciation_dictionaries={"d1": "v1"},
        )
        query = await query_of(part, emulator)
        assert (query["apply_text_normalization"], query["seed"]) == ("on", "7")
        session = await part.open(preferred_format=AudioFormat(Encoding.ULAW, 8_000), voice="", language="")
        session.speak("u", "Yes.")
        await emulator.changes.wait_until(lambda: bool(emulator.contexts))
        await session.aclose()
        opening = next(message for message in emulator.received if "pronunciation" in message)
        assert msgspec.json.decode(opening) == {
            "text": " ",
            "context_id": "c1",
            "pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "d1", "version_id": "v1"}],
        }
        assert emulator.refusals == []


async def test_the_voice_of_a_call_takes_precedence() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(emulator.api_key, "another", base_url=emulator.base_url)
        session = await part.open(preferred_format=AudioFormat(Encoding.ULAW, 8_000), voice=emulator.voice, language="")
        session.speak("u", "Yes.")
        await emulator.changes.wait_until(lambda: bool(emulator.given))
        await session.aclose()
        assert emulator.refusals == []


def test_the_voice_and_the_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk_secret")
    assert ElevenLabsTTS().voice == DEFAULT_VOICE
    monkeypatch.setenv("ELEVENLABS_VOICE_ID", "mine")
    part = ElevenLabsTTS()
    assert (part.voice, part.api_key) == ("mine", "sk_secret")
    assert "sk_secret" not in repr(part)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"stability": 1.5}, "stability"),
        ({"similarity_boost": -0.1}, "similarity_boost"),
        ({"style": "much"}, "style"),
        ({"speed": 0.5}, "speed"),
        ({"text_normalization": "maybe"}, "text_normalization"),
        ({"pronunciation_dictionaries": dict.fromkeys("abcd", "1")}, "pronunciation_dictionaries"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"api_key": "with blank"}, "api_key"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_it_is_set(options: Mapping[str, object], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ElevenLabsTTS(**{"api_key": "sk_1", **options})  # type: ignore[arg-type] # wrong on purpose


def test_without_a_key_it_says_where_to_find_one() -> None:
    with pytest.raises(ConfigurationError, match="text_to_speech"):
        ElevenLabsTTS()


@pytest.mark.parametrize(
    ("preferred", "asked"),
    [
        (AudioFormat(Encoding.ULAW, 8_000), "ulaw_8000"),
        (AudioFormat(Encoding.ALAW, 8_000), "alaw_8000"),
        (AudioFormat(Encoding.PCM16, 8_000), "pcm_8000"),
        (AudioFormat(Encoding.PCM16, 16_000), "pcm_16000"),
        (AudioFormat(Encoding.PCM16, 11_025), "pcm_16000"),
        (AudioFormat(Encoding.PCM16, 48_000), "pcm_24000"),
        (AudioFormat(Encoding.ULAW, 16_000), "pcm_16000"),
    ],
)
def test_the_format_is_the_preferred_one_or_the_next_better(preferred: AudioFormat, asked: str) -> None:
    assert str(format_for(preferred)) == asked
