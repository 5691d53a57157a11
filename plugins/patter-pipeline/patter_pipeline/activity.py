"""Voice activity that costs nothing to install and next to nothing to run: a gate of two.

A frame is speech if it is 10 dB louder than the noise of this line, and if WebRTC's detector takes it for a voice. That
detector alone takes most sound of a telephone for one. Loudness is measured first, so silence never reaches it: 20 ms
of digital silence cost 1 μs, of noise some 8 μs, of speech some 10 μs.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable, Sequence
from typing import ClassVar

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.gate import SAMPLES
from patter_core.config import check_fields
from patter_core.errors import AudioError, ConfigurationError
from patter_pipeline.parts import VoiceActivity

__all__ = ["WebRtcActivity"]

_WINDOW_MS = 20
_RATES = (8_000, 16_000, 32_000, 48_000)
_FULL_SCALE = 32_768.0
_LOWEST_DB, _HIGHEST_DB = -65.0, -35.0
"""Where the noise of a telephone line is looked for."""
_FALLS, _RISES, _RISES_IN_SPEECH = 0.3, 0.02, 0.004
"""How fast the noise floor follows a window: by a share downwards, by dB upwards."""


@dataclasses.dataclass(frozen=True)
class WebRtcActivity(VoiceActivity):
    """The default of a pipeline.

    Args:
        mode: of WebRTC's detector: from 0, which takes the most for speech, to 3.
        above_noise_db: how much louder than the line's noise speech is.

    Raises:
        ConfigurationError: a value is out of range.
    """

    name: ClassVar[str] = "webrtc"

    mode: int = 2
    above_noise_db: float = 10.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mode not in range(4) or not 0 <= self.above_noise_db <= 40:
            raise ConfigurationError("WebRtcActivity(…) is invalid.", expected="mode of 0 to 3, above_noise_db to 40")

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        """Returns a function for one call.

        Raises:
            AudioError: the detector does not take that sample rate.
        """
        return _Line(format, self.mode, self.above_noise_db).hear


class _Line:
    """The audio of one call."""

    def __init__(self, format: AudioFormat, mode: int, above_noise_db: float) -> None:
        from webrtcvad import Vad  # type: ignore[import-untyped] # noqa: PLC0415 - compiled, without types, for calls only

        if format.sample_rate not in _RATES:
            raise AudioError(
                "Voice activity does not take this sample rate.",
                expected=" or ".join(map(str, _RATES)),
                got=f"{format}",
            )
        self._is_voice = Vad(mode).is_speech
        self._rate = format.sample_rate
        self._samples = format.sample_rate * _WINDOW_MS // 1000
        self._size = format.size(_WINDOW_MS)
        self._silence = format.silence * self._samples
        self._linear = _LINEAR[format.encoding]
        self._unpack = struct.Struct(f"<{self._samples}h").unpack
        self._above = above_noise_db
        self._noise_db = (_LOWEST_DB + _HIGHEST_DB) / 2
        self._rest = b""
        self._last = 0.0

    def hear(self, chunk: AudioChunk) -> float:
        """Takes the next audio. Returns 1 if there is speech in it, else 0; what is not a window yet is as the last."""
        data = chunk.data
        if not self._rest and len(data) == self._size:  # as carriers send it
            self._last = self._window(data)
            return self._last
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        if whole:
            self._last = max(self._window(data[at : at + self._size]) for at in range(0, whole, self._size))
        return self._last

    def _window(self, data: bytes) -> float:
        if data == self._silence:
            return 0.0
        linear = self._linear(data)
        level = math.hypot(*self._unpack(linear)) / math.sqrt(self._samples)
        level_db = 20 * math.log10(level / _FULL_SCALE) if level > 0 else -100.0
        is_speech = level_db > self._noise_db + self._above and self._is_voice(linear, self._rate)
        self._follow(level_db, is_speech=is_speech)
        return 1.0 if is_speech else 0.0

    def _follow(self, level_db: float, *, is_speech: bool) -> None:
        noise = self._noise_db
        if level_db < noise:
            noise += (level_db - noise) * _FALLS
        else:
            noise += _RISES_IN_SPEECH if is_speech else _RISES
        self._noise_db = min(max(noise, _LOWEST_DB), _HIGHEST_DB)


def _as_it_is(data: bytes) -> bytes:
    return data


def _expander(samples: Sequence[int]) -> Callable[[bytes], bytes]:
    """Returns what makes linear samples of G.711 codes: two look-ups of all codes at once, without numpy."""
    written = [sample.to_bytes(2, "little", signed=True) for sample in samples]
    low, high = bytes(sample[0] for sample in written), bytes(sample[1] for sample in written)

    def expand(data: bytes) -> bytes:
        linear = bytearray(2 * len(data))
        linear[0::2] = data.translate(low)
        linear[1::2] = data.translate(high)
        return bytes(linear)

    return expand


_LINEAR: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.ULAW: _expander(SAMPLES[Encoding.ULAW]),
    Encoding.ALAW: _expander(SAMPLES[Encoding.ALAW]),
    Encoding.PCM16: _as_it_is,
}
