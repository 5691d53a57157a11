"""ElevenLabs Conversational AI as an engine for Patter, and without a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from patter_elevenlabs.adapter import ElevenLabsConvAIAdapter
    from patter_elevenlabs.engine import ElevenLabsConvAI

__all__ = ["ElevenLabsConvAI", "ElevenLabsConvAIAdapter", "__version__"]

_MODULES = {"ElevenLabsConvAI": "engine", "ElevenLabsConvAIAdapter": "adapter"}


def __getattr__(name: str) -> object:
    """Loads a class on first use: the version alone does not need a WebSocket client."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
