"""Pipeline mode for Patter: an engine that is made of speech recognition, a language model and a voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from patter_pipeline.activity import WebRtcActivity
    from patter_pipeline.engine import Pipeline
    from patter_pipeline.silero import SileroActivity
    from patter_pipeline.taking import TurnTaking

__all__ = ["Pipeline", "SileroActivity", "TurnTaking", "WebRtcActivity", "__version__"]

_MODULES = {
    "Pipeline": "engine",
    "SileroActivity": "silero",
    "TurnTaking": "taking",
    "WebRtcActivity": "activity",
}


def __getattr__(name: str) -> object:
    """Loads a class on first use: a plugin that brings a part needs the contracts, and no more of the pipeline."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
