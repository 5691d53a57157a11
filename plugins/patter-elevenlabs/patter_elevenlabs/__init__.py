"""ElevenLabs for Patter: Conversational AI as an engine and without a call; a voice and speech recognition as parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from patter_elevenlabs.adapter import ElevenLabsConvAIAdapter
    from patter_elevenlabs.engine import ElevenLabsConvAI
    from patter_elevenlabs.stt.part import ElevenLabsSTT
    from patter_elevenlabs.tts.part import ElevenLabsTTS

__all__ = ["ElevenLabsConvAI", "ElevenLabsConvAIAdapter", "ElevenLabsSTT", "ElevenLabsTTS", "__version__"]

_MODULES = {
    "ElevenLabsConvAI": "engine",
    "ElevenLabsConvAIAdapter": "adapter",
    "ElevenLabsSTT": "stt.part",
    "ElevenLabsTTS": "tts.part",
}


def __getattr__(name: str) -> object:
    """Loads a class on first use: the version alone does not need a WebSocket client."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from patter_core.lazy import load_lazily  # noqa: PLC0415 - as above

    return load_lazily(__name__, _MODULES[name], name)
