"""The contracts of the parts of a pipeline: what a plugin implements to bring one of them.

This package imports nothing but the core's records: a plugin that brings a part loads no more of the pipeline.
"""

from __future__ import annotations

from patter_pipeline.parts.activity import ACTIVITY_API_VERSION, TurnDetector, VoiceActivity
from patter_pipeline.parts.guardrail import (
    GUARDRAIL_API_VERSION,
    PASS,
    Act,
    Block,
    Guardrail,
    Pass,
    Replace,
    Verdict,
)
from patter_pipeline.parts.llm import LLM_API_VERSION, LanguageModel, LlmEvent, LlmRequest, TextDelta
from patter_pipeline.parts.stt import (
    STT_API_VERSION,
    EagerEnd,
    EndOfTurn,
    Final,
    Interim,
    SpeechToText,
    SttEvent,
    SttSession,
    TurnResumed,
)
from patter_pipeline.parts.tts import TTS_API_VERSION, Spoken, TextToSpeech, TtsEvent, TtsSession, UtteranceDone

__all__ = [
    "ACTIVITY_API_VERSION",
    "GUARDRAIL_API_VERSION",
    "LLM_API_VERSION",
    "PASS",
    "STT_API_VERSION",
    "TTS_API_VERSION",
    "Act",
    "Block",
    "EagerEnd",
    "EndOfTurn",
    "Final",
    "Guardrail",
    "Interim",
    "LanguageModel",
    "LlmEvent",
    "LlmRequest",
    "Pass",
    "Replace",
    "SpeechToText",
    "Spoken",
    "SttEvent",
    "SttSession",
    "TextDelta",
    "TextToSpeech",
    "TtsEvent",
    "TtsSession",
    "TurnDetector",
    "TurnResumed",
    "UtteranceDone",
    "Verdict",
    "VoiceActivity",
]
