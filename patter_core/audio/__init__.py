"""Audio formats and chunks. Conversion is in `g711` and `transcode`."""

from __future__ import annotations

from patter_core.audio.chunk import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding, silence_of

__all__ = ["ALAW_8000", "PCM16_16000", "ULAW_8000", "AudioChunk", "AudioFormat", "Encoding", "silence_of"]
