"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_core.kinds import Kind, Part, Parts
from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.composing import compose
from patter_pipeline.parts import (
    ACTIVITY_API_VERSION,
    GUARDRAIL_API_VERSION,
    LLM_API_VERSION,
    STT_API_VERSION,
    TTS_API_VERSION,
    Guardrail,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
    TurnDetector,
    VoiceActivity,
)
from patter_pipeline.silero import SileroActivity, is_installed
from patter_pipeline.taking import TURN_TAKING_API_VERSION, TurnTaking

__all__ = ["patter_compose_engine", "patter_kinds", "patter_parts"]

_CHECKS = "patter_pipeline.testing"
_FILES = "patter_pipeline:templates"
_SPEECH = ("patter-deepgram", "patter-elevenlabs")
_MODELS = ("patter-openai",)


@hookimpl
def patter_kinds() -> list[Kind]:
    """Defines the kinds of the parts of a pipeline."""
    return [
        Kind(
            "stt",
            SpeechToText,
            STT_API_VERSION,
            f"{_CHECKS}:check_stt",
            required=True,
            template=f"{_FILES}/stt",
            brought_by=_SPEECH,
        ),
        Kind(
            "llm",
            LanguageModel,
            LLM_API_VERSION,
            f"{_CHECKS}:check_llm",
            required=True,
            template=f"{_FILES}/llm",
            brought_by=_MODELS,
        ),
        Kind(
            "tts",
            TextToSpeech,
            TTS_API_VERSION,
            f"{_CHECKS}:check_tts",
            required=True,
            template=f"{_FILES}/tts",
            brought_by=_SPEECH,
        ),
        Kind("vad", VoiceActivity, ACTIVITY_API_VERSION, f"{_CHECKS}:check_vad", template=f"{_FILES}/vad"),
        Kind(
            "turn_detector",
            TurnDetector,
            ACTIVITY_API_VERSION,
            f"{_CHECKS}:check_turn_detector",
            template=f"{_FILES}/turn_detector",
        ),
        Kind(
            "guardrail",
            Guardrail,
            GUARDRAIL_API_VERSION,
            f"{_CHECKS}:check_guardrail",
            template=f"{_FILES}/guardrail",
        ),
        Kind("turn_taking", TurnTaking, TURN_TAKING_API_VERSION),
    ]


@hookimpl
def patter_parts() -> list[type[Part]]:
    """Offers voice activity: the default, and Silero's if its extra is installed."""
    return [WebRtcActivity, SileroActivity] if is_installed() else [WebRtcActivity]


@hookimpl
def patter_compose_engine(parts: Parts) -> Engine | None:
    """Makes a pipeline of the parts of an agent."""
    return compose(parts)
