"""Makes a pipeline of the parts that an agent was given."""

from __future__ import annotations

from patter_core.errors import ConfigurationError
from patter_core.kinds import Part, Parts
from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.engine import Pipeline
from patter_pipeline.parts import (
    Guardrail,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
    TurnDetector,
    VoiceActivity,
)
from patter_pipeline.taking import TurnTaking

__all__ = ["compose"]

_KNOWN = frozenset({"stt", "llm", "tts", "vad", "turn_detector", "guardrail", "turn_taking"})


def compose(parts: Parts) -> Pipeline | None:
    """Returns the pipeline; None if a part is of a kind that is not one of a pipeline.

    Raises:
        ConfigurationError: there are several of what there may be one of, or functions where there are none.
    """
    if not _KNOWN.issuperset(parts):
        return None
    given = parts.get("guardrail", ())
    rules = given if isinstance(given, tuple) else (given,)
    vad, detector, taking = (_one(parts, name) for name in ("vad", "turn_detector", "turn_taking"))
    stt = tuple(part for part in _all(parts, "stt") if isinstance(part, SpeechToText))
    if len({part.ends_turns for part in stt}) > 1:
        raise ConfigurationError(
            "Speech recognition that ends turns, and a reserve that does not, cannot follow one another in a call.",
            expected="stts= of parts that all report ends of turns, or none",
            got=", ".join(f"{part.name}: ends_turns={part.ends_turns}" for part in stt),
        )
    return Pipeline(
        stt,
        tuple(part for part in _all(parts, "llm") if isinstance(part, LanguageModel)),
        tuple(part for part in _all(parts, "tts") if isinstance(part, TextToSpeech)),
        vad=vad if isinstance(vad, VoiceActivity) else WebRtcActivity(),
        turn_detector=detector if isinstance(detector, TurnDetector) else None,
        guardrails=tuple(rule for rule in rules if isinstance(rule, Guardrail) or not isinstance(rule, Part)),
        turn_taking=taking if isinstance(taking, TurnTaking) else TurnTaking(),
    )


def _all(parts: Parts, name: str) -> tuple[Part, ...]:
    """Returns the parts of a kind; the core has checked that they are of it."""
    given = parts.get(name, ())
    several = given if isinstance(given, tuple) else (given,)
    found = tuple(part for part in several if isinstance(part, Part))
    if len(found) < len(several):
        raise ConfigurationError(f"{name}s= takes parts only.", got="a function")
    return found


def _one(parts: Parts, name: str) -> Part | None:
    found = _all(parts, name)
    if len(found) > 1:
        raise ConfigurationError(f"A pipeline has one {name}.", expected=f"{name}=", got=f"{len(found)} of them")
    return found[0] if found else None
