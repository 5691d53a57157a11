from __future__ import annotations

from decimal import Decimal

import pytest

from patter_deepgram.prices import listening, speaking


@pytest.mark.parametrize(
    ("model", "language", "amount"),
    [
        ("nova-3", "", "0.0048"),
        ("nova-3", "it", "0.0048"),
        ("nova-3", "multi", "0.0058"),
        ("flux-general-en", "", "0.0065"),
        ("flux-general-multi", "it", "0.0078"),
    ],
)
def test_audio_is_billed_by_the_second(model: str, language: str, amount: str) -> None:
    usage = listening(model, language, 90.0)
    assert (usage.part, usage.vendor, usage.model, usage.amounts) == ("stt", "deepgram", model, {"seconds": 90.0})
    assert usage.cost is not None
    assert usage.cost.amount == Decimal(amount) * 3 / 2
    assert usage.cost.estimated


def test_text_is_billed_by_the_character() -> None:
    usage = speaking("aura-2-thalia-en", 500)
    assert (usage.part, usage.amounts) == ("tts", {"characters": 500.0})
    assert usage.cost is not None
    assert usage.cost.amount == Decimal("0.015")
    old = speaking("aura-asteria-en", 500)
    assert old.cost is not None
    assert old.cost.amount == Decimal("0.0075")


def test_a_model_without_a_price_is_not_free() -> None:
    assert listening("nova-9", "", 60.0).cost is None
    assert listening("nova-9", "multi", 60.0).cost is None
    assert speaking("aura-3-thalia-en", 100).cost is None
    assert speaking("", 100).cost is None
