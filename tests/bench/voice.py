"""What is said in the calls: one long sound, of which each call says another stretch, so that every frame is known.

The sound is a mixture of tones that repeats after 20 s and in which no two frames of 20 ms are alike. Call n begins at
frame n. A frame that is lost, doubled, altered, out of order or of another call is therefore never the one expected.
"""

from __future__ import annotations

import binascii

import msgspec
import numpy as np
from numpy.typing import NDArray

from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.audio.transcode import transcode
from tests.pcm import expand

__all__ = ["FRAME_MS", "Fidelity", "Voice", "fidelity"]

FRAME_MS = 20
_FRAMES = 1024
_LOOP_S = _FRAMES * FRAME_MS / 1000
_TONES = ((9_013, 0.25), (14_359, 0.15), (31_247, 0.08))
"""Periods in the loop, and amplitude: 440, 701 and 1526 Hz. No two frames are alike as these numbers share no factor
with the number of frames."""


def _sound(rate: int) -> NDArray[np.float64]:
    time = np.arange(int(_LOOP_S * rate)) / (_LOOP_S * rate)
    sound = sum((level * np.sin(2 * np.pi * periods * time) for periods, level in _TONES), np.zeros(len(time)))
    return np.asarray(sound * 32_767)


class Voice:
    """The sound in one format, ready to be spliced into messages."""

    def __init__(self, format: AudioFormat) -> None:
        pcm = np.round(_sound(format.sample_rate)).astype("<i2").tobytes()
        linear = AudioFormat(PCM16_16000.encoding, format.sample_rate)
        self._audio = transcode(pcm, linear, format) * 2  # twice, so that no stretch needs to wrap
        self._size = format.size(FRAME_MS)
        self.frames = tuple(self.stretch(place, 1) for place in range(_FRAMES))
        assert len(set(self.frames)) == _FRAMES

    def frame(self, place: int) -> str:
        """The base64 of one frame."""
        return self.frames[place % _FRAMES]

    def stretch(self, place: int, frames: int) -> str:
        """The base64 of several frames in one piece."""
        start = place % _FRAMES * self._size
        return binascii.b2a_base64(self._audio[start : start + frames * self._size], newline=False).decode()


class Fidelity(msgspec.Struct, frozen=True):
    """How converted audio compares with the sound as it should be in the other format."""

    heard_ms: float
    snr_db: float


def fidelity(heard: list[str], format: AudioFormat, place: int) -> Fidelity:
    """Compare what arrived, message by message from `place` on, with the sound itself, computed at the other rate."""
    data = b"".join(binascii.a2b_base64(text) for text in heard)
    samples = expand(data, format.encoding) if format == ULAW_8000 else np.frombuffer(data, "<i2")
    if not len(samples):
        return Fidelity(0.0, 0.0)
    sound = _sound(format.sample_rate)
    start = place % _FRAMES * FRAME_MS * format.sample_rate // 1000
    expected = np.resize(np.roll(sound, -start), len(samples))
    noise = float(np.mean((samples - expected) ** 2))
    return Fidelity(format.duration_ms(len(data)), 10 * float(np.log10(np.mean(expected**2) / max(noise, 1e-9))))
