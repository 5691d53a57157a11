from __future__ import annotations

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000
from patter_core.errors import ConfigurationError
from patter_elevenlabs.formats import FORMATS, audio_format, conversion_hint


def test_every_format_of_the_service_has_its_name() -> None:
    names = {"ulaw_8000"} | {f"pcm_{rate}" for rate in (8000, 16000, 22050, 24000, 44100, 48000)}
    assert set(FORMATS) == names
    assert audio_format("ulaw_8000") == ULAW_8000
    assert audio_format("pcm_16000") == PCM16_16000


def test_an_unknown_name_is_an_error_that_lists_the_formats() -> None:
    with pytest.raises(ConfigurationError, match=r"ulaw_8000.*mp3_44100"):
        audio_format("mp3_44100")


def test_a_hint_says_how_to_avoid_conversion() -> None:
    assert not conversion_hint((ULAW_8000, PCM16_16000), (ULAW_8000, PCM16_16000))
    hint = conversion_hint((PCM16_16000, PCM16_16000), (ULAW_8000, ULAW_8000))
    assert "hears pcm_16000" in hint
    assert "μ-law" in hint


def test_a_format_that_the_service_does_not_have_is_not_recommended() -> None:
    hint = conversion_hint((ULAW_8000, ULAW_8000), (ALAW_8000, ALAW_8000))
    assert hint
    assert "dashboard" not in hint
