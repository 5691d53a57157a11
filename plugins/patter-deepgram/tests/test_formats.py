from __future__ import annotations

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_deepgram.formats import FLUX_RATES, NOVA_RATES, SPEAK_RATES, nearest, parameters


@pytest.mark.parametrize("rates", [FLUX_RATES, NOVA_RATES, SPEAK_RATES])
@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000, AudioFormat(Encoding.PCM16, 24_000)])
def test_what_carriers_speak_is_not_converted(format: AudioFormat, rates: tuple[int, ...]) -> None:
    assert nearest(format, rates) == format


@pytest.mark.parametrize(("rate", "nearest_rate"), [(12_000, 16_000), (22_050, 24_000), (96_000, 48_000)])
def test_other_rates_become_the_next_higher_one(rate: int, nearest_rate: int) -> None:
    assert nearest(AudioFormat(Encoding.PCM16, rate), FLUX_RATES) == AudioFormat(Encoding.PCM16, nearest_rate)


def test_the_encodings_have_the_names_of_the_service() -> None:
    assert parameters(ULAW_8000) == (("encoding", "mulaw"), ("sample_rate", "8000"))
    assert parameters(ALAW_8000)[0] == ("encoding", "alaw")
    assert parameters(PCM16_16000) == (("encoding", "linear16"), ("sample_rate", "16000"))
