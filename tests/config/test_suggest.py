"""Which known name may have been meant: one that is much like it, and none that is not."""

from __future__ import annotations

import pytest

from patter_core.config import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("twillio", ["telnyx", "twilio"], "twilio"),
        ("fone", ["phone", "agent"], "phone"),
        ("TWILO", ["Twilio"], "Twilio"),
        ("openairealtme", ["OpenAILive", "OpenAIRealtime"], "OpenAIRealtime"),
        ("key", ["api_key"], "api_key"),
        ("promt", ["system_prompt"], "system_prompt"),
        ("nope", ["openai", "redis"], ""),
        ("otel", ["telnyx"], ""),
    ],
)
def test_a_name_is_told_if_it_is_much_like_the_word(word: str, known: list[str], meant: str) -> None:
    assert did_you_mean(word, known) == (f"Did you mean {meant}?" if meant else "")
