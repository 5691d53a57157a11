"""Checks of parts against their contracts, and what plays their services in tests.

@pytest.mark.anyio
async def test_it_keeps_the_contract():
    await check_stt(AcmeEmulator)
"""

from __future__ import annotations

from patter_pipeline.testing.activity import check_turn_detector, check_vad
from patter_pipeline.testing.emulators import Answer, Ending, LlmEmulator, PartEmulator, SttEmulator, TtsEmulator
from patter_pipeline.testing.guardrail import check_guardrail
from patter_pipeline.testing.llm import check_llm
from patter_pipeline.testing.stt import check_stt
from patter_pipeline.testing.tts import check_tts

__all__ = [
    "Answer",
    "Ending",
    "LlmEmulator",
    "PartEmulator",
    "SttEmulator",
    "TtsEmulator",
    "check_guardrail",
    "check_llm",
    "check_stt",
    "check_tts",
    "check_turn_detector",
    "check_vad",
]
