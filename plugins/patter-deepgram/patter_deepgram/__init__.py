"""Deepgram for Patter's pipelines: speech recognition with Nova and Flux, and Aura's voices."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from patter_deepgram.stt import DeepgramSTT
    from patter_deepgram.tts import DeepgramTTS

__all__ = ["DeepgramSTT", "DeepgramTTS", "__version__"]

_MODULES = {"DeepgramSTT": "stt", "DeepgramTTS": "tts"}


def __getattr__(name: str) -> object:
    """Loads a class on first use: the version alone does not need a WebSocket client."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from patter_core.lazy import load_lazily  # noqa: PLC0415 - as above

    return load_lazily(__name__, _MODULES[name], name)
