from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError, EngineRefused
from patter_deepgram import DeepgramSTT
from patter_deepgram.testing import DeepgramSTTEmulator

pytestmark = pytest.mark.anyio


def test_the_key_comes_from_the_environment_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "secret")
    part = DeepgramSTT()
    assert part.api_key == "secret"
    assert "secret" not in repr(part)
    assert dataclasses.replace(part, language="it").language == "it"


def test_the_model_decides_who_ends_turns() -> None:
    nova, flux = DeepgramSTT("key"), DeepgramSTT("key", "flux-general-en")
    assert (nova.ends_turns, nova.chunk_ms, nova.final_p99) == (False, 20, 0.35)
    assert (flux.ends_turns, flux.chunk_ms) == (True, 80)
    assert DeepgramSTT("key", endpointing_ms=300).ends_turns


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": ""}, "model"),
        ({"keyterms": "Patter"}, "keyterms"),
        ({"keyterms": ["Patter", ""]}, "keyterms"),
        ({"endpointing_ms": 5}, "endpointing_ms"),
        ({"model": "flux-general-en", "endpointing_ms": 300}, "endpointing_ms"),
        ({"eot_threshold": 0.7}, "eot_threshold"),
        ({"model": "flux-general-en", "eot_threshold": 0.4}, "eot_threshold"),
        ({"model": "flux-general-en", "eager_eot_threshold": 0.8}, "eager_eot_threshold"),
        ({"model": "flux-general-en", "eot_threshold": 0.6, "eager_eot_threshold": 0.65}, "eager_eot_threshold"),
        ({"model": "flux-general-en", "eot_timeout_ms": 100}, "eot_timeout_ms"),
        ({"eot_timeout_ms": 3_000}, "eot_timeout_ms"),
        ({"model": "flux-general-en", "language": "it"}, "language"),
    ],
)
def test_an_option_that_the_model_does_not_take_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DeepgramSTT("key", **options)
    assert f"({named}=…)" in caught.value.problem
    assert caught.value.expected


async def test_the_language_of_the_call_takes_precedence() -> None:
    async with DeepgramSTTEmulator() as emulator:
        part = dataclasses.replace(emulator.part(), language="it")
        for language, expected in (("", "it"), ("pt-br", "pt-BR"), ("zh-hant", "zh-hant"), ("multi", "multi")):
            session = await part.open(preferred_format=ULAW_8000, language=language)
            await session.aclose()
            assert dict(emulator.connections[-1].query)["language"] == expected
        assert "language" not in dict(await _opened_query(emulator))


async def _opened_query(emulator: DeepgramSTTEmulator) -> list[tuple[str, str]]:
    session = await emulator.part().open(preferred_format=ULAW_8000, language="")
    await session.aclose()
    return emulator.connections[-1].query


async def test_flux_takes_the_language_as_a_hint_or_refuses_it() -> None:
    async with DeepgramSTTEmulator("flux-general-multi") as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, language="it")
        await session.aclose()
        assert dict(emulator.connections[-1].query)["language_hint"] == "it"
        english = dataclasses.replace(emulator.part(), model="flux-general-en")
        await (await english.open(preferred_format=ULAW_8000, language="en-gb")).aclose()
        assert "language_hint" not in dict(emulator.connections[-1].query)
        with pytest.raises(EngineRefused, match="flux-general-multi"):
            await english.open(preferred_format=ULAW_8000, language="it")


async def test_a_format_that_the_service_lacks_becomes_the_nearest() -> None:
    async with DeepgramSTTEmulator("flux-general-en") as emulator:
        session = await emulator.part().open(preferred_format=AudioFormat(Encoding.PCM16, 12_000), language="")
        assert session.input_format == AudioFormat(Encoding.PCM16, 16_000)
        await session.aclose()


async def test_options_that_are_not_set_are_not_sent() -> None:
    async with DeepgramSTTEmulator("flux-general-en") as emulator:
        assert await _opened_query(emulator) == [
            ("model", "flux-general-en"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
        ]
