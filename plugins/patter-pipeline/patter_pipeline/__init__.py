"""Pipeline mode for Patter: an engine that is made of speech recognition, a language model and a voice."""

from __future__ import annotations

from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.engine import Pipeline
from patter_pipeline.taking import TurnTaking

__version__ = "0.1.0"

__all__ = ["Pipeline", "TurnTaking", "WebRtcActivity", "__version__"]
