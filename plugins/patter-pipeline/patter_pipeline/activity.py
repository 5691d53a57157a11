"""Voice activity that costs nothing to install and next to nothing to run: a gate of two.

A frame is speech if it is louder than the noise of this line, and not far below the caller's own voice, and if WebRTC's
detector takes it for a voice. That detector alone takes most sound of a telephone for one. Loudness is measured first,
so silence never reaches it: 20 ms of digital silence cost less than 1 μs, of noise and of speech some 5 μs.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.config import check_fields
from patter_core.errors import AudioError, ConfigurationError
from patter_pipeline.linear import LINEAR
from patter_pipeline.parts import VoiceActivity

__all__ = ["WebRtcActivity"]

_WINDOW_MS = 20
_FULL_SCALE = 32_768.0
_LOWEST_DB, _HIGHEST_DB = -65.0, -28.0
"""Where the noise of a telephone line is looked for, in dB of full scale."""
_BLOCK, _BLOCKS = 10, 10
"""Windows, and how often so many, in which the quietest moment is looked for: in 2 s a caller pauses for breath."""
_SMOOTHING = 0.5
_MEAN_DB = 2.0
"""By which noise is louder than its quietest moment, once smoothed."""
_GOES_ON_DB = 4.0
"""By which speech that goes on may be quieter than where it begins: words end softly."""
_BELOW_VOICE_DB = 24.0
"""By which a caller's voice falls below itself. What is quieter is another person behind them, or noise."""
_LOUDER, _FADES_DB, _FORGETS_DB = 0.3, 0.02, 0.005
"""How the level of their voice follows a window: by a share upwards, and downwards by dB in speech and in between."""
_HOLD, _HELD_AFTER = 4, 6
"""Windows for which speech is held, since its last sounds are lost in noise; and of speech before it is held."""


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
    sample_rates: ClassVar[tuple[int, ...]] = (8_000, 16_000, 32_000, 48_000)

    mode: int = 2
    above_noise_db: float = 6.0

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

        if format.sample_rate not in WebRtcActivity.sample_rates:
            raise AudioError(
                "Voice activity does not take this sample rate.",
                expected=" or ".join(map(str, WebRtcActivity.sample_rates)),
                got=f"{format}",
            )
        self._is_voice = Vad(mode).is_speech
        self._rate = format.sample_rate
        self._samples = format.sample_rate * _WINDOW_MS // 1000
        self._size = format.size(_WINDOW_MS)
        self._silence = format.silence * self._samples
        self._linear = LINEAR[format.encoding]
        self._unpack = struct.Struct(f"<{self._samples}h").unpack
        self._above = above_noise_db
        self._noise = _Noise()
        self._voice_db = -100.0
        self._spoken = 0
        """Windows of speech, less those between."""
        self._held = 0
        """Windows for which it is held."""
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
        if self._is_speech(data):
            self._spoken += 1
            self._held = _HOLD if self._spoken >= _HELD_AFTER else 0
            return 1.0
        if self._held:
            self._held -= 1
            return 1.0
        self._spoken = max(0, self._spoken - 1)
        return 0.0

    def _is_speech(self, data: bytes) -> bool:
        if data == self._silence:
            self._noise.is_none()
            return False
        linear = self._linear(data)
        level = math.hypot(*self._unpack(linear)) / math.sqrt(self._samples)
        level_db = 20 * math.log10(level / _FULL_SCALE) if level > 0 else -100.0
        least_db = self._noise.follow(level_db) + self._above - (_GOES_ON_DB if self._held else 0.0)
        if level_db > max(least_db, self._voice_db - _BELOW_VOICE_DB) and self._is_voice(linear, self._rate):
            louder_db = level_db - self._voice_db
            self._voice_db += louder_db * _LOUDER if louder_db > 0 else -_FADES_DB
            return True
        self._voice_db -= _FORGETS_DB
        return False


class _Noise:
    """The noise of a line, by its quietest moment in the last 2 s."""

    def __init__(self) -> None:
        self._blocks: deque[float] = deque(maxlen=_BLOCKS)
        self._least = math.inf
        """Of the block that is not complete."""
        self._windows = 0
        self._smoothed: float | None = None

    def follow(self, level_db: float) -> float:
        """Takes the level of a window. Returns that of the noise, in dB of full scale."""
        before = level_db if self._smoothed is None else self._smoothed
        self._smoothed = before + (level_db - before) * _SMOOTHING
        self._least = min(self._least, self._smoothed)
        quietest = min(self._least, min(self._blocks, default=math.inf))
        self._windows += 1
        if self._windows == _BLOCK:
            self._blocks.append(self._least)
            self._least, self._windows = math.inf, 0
        return min(max(quietest + _MEAN_DB, _LOWEST_DB), _HIGHEST_DB)

    def is_none(self) -> None:
        """A window was digital silence: this line has no noise."""
        self._least = _LOWEST_DB
