"""Audio as it crosses the bridge: formats and chunks. Conversion stands in `g711` and `transcode`, which load numpy."""

from __future__ import annotations

from patter_core.audio.chunk import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding

__all__ = ["ALAW_8000", "PCM16_16000", "ULAW_8000", "AudioChunk", "AudioFormat", "Encoding"]
