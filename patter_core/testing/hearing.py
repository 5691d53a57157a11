"""Ears for an emulated agent, sans-IO: when the caller's turn begins and ends, and which known line was said.

Both look at nothing but loudness, which is enough for speech that is known and lines that are clean, and costs little.
"""

from __future__ import annotations

import functools
import itertools
import math
import struct
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from patter_core.audio import AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import Line

__all__ = ["EndOfTurn", "SpeechEnded", "SpeechStarted", "recognise"]

_FULL_SCALE = 32_768.0
_FRAME_MS = 20
_MARGIN = 5
"""Frames of silence that are left around a turn: 100 ms."""
_ONSET = 2
"""Loud frames in a row that begin a turn: one alone is a click."""


class SpeechStarted(msgspec.Struct, frozen=True):
    """The caller began to speak."""


class SpeechEnded(msgspec.Struct, frozen=True):
    """The caller's turn is over."""

    audio: bytes
    """The turn, in the format that was fed, with up to 100 ms of silence at either end."""


class EndOfTurn:
    """Tells turns by loudness, in the time that the audio itself tells: where none is fed, no time passes.

    Args:
        format: of the audio fed.
        threshold_db: from which RMS on a frame of 20 ms is speech, in dB of full scale.
        silence_ms: how much silence ends a turn.
        longest_ms: a turn that is as long as this is over, silence or not.
    """

    def __init__(
        self, format: AudioFormat, *, threshold_db: float = -45.0, silence_ms: float = 500, longest_ms: float = 60_000
    ) -> None:
        self.format = format
        self._threshold = _FULL_SCALE * 10 ** (threshold_db / 20)
        self._patience = max(1, round(silence_ms / _FRAME_MS))
        self._longest = round(longest_ms / _FRAME_MS)
        self._frame_size = format.size(_FRAME_MS)
        self._pending = b""
        """The start of a frame whose rest has not come yet."""
        self._before: deque[bytes] = deque(maxlen=_MARGIN + _ONSET)
        """The last frames before a turn."""
        self._turn: list[bytes] = []
        """The frames of the turn; empty while the caller is silent."""
        self._loud = 0
        """How many frames in a row were loud, before a turn."""
        self._quiet = 0
        """How many frames in a row were not, in a turn."""

    def feed(self, audio: bytes) -> list[SpeechStarted | SpeechEnded]:
        """Hears audio, of any length in whole samples, and says what that tells."""
        audio = self._pending + audio
        events: list[SpeechStarted | SpeechEnded] = []
        whole = len(audio) - len(audio) % self._frame_size
        for start in range(0, whole, self._frame_size):
            frame = audio[start : start + self._frame_size]
            samples = _linear(frame, self.format)
            loud = _rms(samples, len(samples)) >= self._threshold
            event = self._in_turn(frame, loud=loud) if self._turn else self._between_turns(frame, loud=loud)
            if event is not None:
                events.append(event)
        self._pending = audio[whole:]
        return events

    def _between_turns(self, frame: bytes, *, loud: bool) -> SpeechStarted | None:
        self._before.append(frame)
        self._loud = self._loud + 1 if loud else 0
        if self._loud < _ONSET:
            return None
        self._turn = list(self._before)
        self._before.clear()
        self._loud = self._quiet = 0
        return SpeechStarted()

    def _in_turn(self, frame: bytes, *, loud: bool) -> SpeechEnded | None:
        self._turn.append(frame)
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet < self._patience and len(self._turn) < self._longest:
            return None
        surplus = max(0, self._quiet - _MARGIN)
        audio = b"".join(self._turn[: len(self._turn) - surplus])
        self._turn = []
        return SpeechEnded(audio)


_TELEPHONE = AudioFormat(Encoding.PCM16, 8_000)
_HOP_MS = 10
_STEPS = 16
"""Of the envelope, to one of its square root: full scale, 181, has 12 bits."""
_DIGIT = 5
"""Bytes: a sum of products of two of these has fewer than 40 bits."""
_SLACK = 20
"""How far a line may lie from its place, in hops: 200 ms either way."""
_ALIKE = 0.85
"""The emulated lines reach 0.53 with each other, 0.79 when 30 % of one is missing, and 0.89 when 10 % or 100 ms are."""


def recognise(audio: bytes, format: AudioFormat, lines: Iterable[Line]) -> str | None:
    """The text of the line that this is: the whole of it, at any level, in any format, with silence around it or not.

    Args:
        audio: a turn, such as `SpeechEnded.audio`.
        format: its format.
        lines: the lines it may be.

    Returns:
        The line's `text`, or None if it is none of them.
    """
    heard = _envelope(audio, format)
    likeness = {line: _likeness(heard, _envelope_of(line)) for line in lines}
    best = max(likeness, key=likeness.__getitem__, default=None)
    return best.text if best is not None and likeness[best] >= _ALIKE else None


def _likeness(heard: Sequence[int], known: Sequence[int]) -> float:
    """The correlation coefficient of two envelopes, -1 to 1, where they fit best."""
    size = max(len(heard), len(known)) + 2 * _SLACK
    spread = _deviation(heard, size) * _deviation(known, size)
    if not spread:
        return 0.0
    mean = sum(known) / size
    return (_best_fit(heard, known, size) / size - mean * sum(heard) / size) / spread


def _deviation(values: Sequence[int], size: int) -> float:
    """The standard deviation, with as many zeros as make it that long."""
    return math.sqrt(max(0.0, sum(value * value for value in values) / size - (sum(values) / size) ** 2))


def _best_fit(heard: Sequence[int], known: Sequence[int], size: int) -> int:
    """The largest sum of products of the two, `known` in the middle of `size` and `heard` anywhere within it.

    As digits of two large integers, one of them backwards: the digits of their product are these sums.
    """
    place = (size - len(known)) // 2
    product = (_integer(known) << (8 * _DIGIT * place)) * _integer(heard[::-1])
    digits = product.to_bytes(_DIGIT * (size + len(heard)), "little")[_DIGIT * (len(heard) - 1) : _DIGIT * size]
    return max(int.from_bytes(digits[at : at + _DIGIT], "little") for at in range(0, len(digits), _DIGIT))


def _integer(digits: Sequence[int]) -> int:
    return int.from_bytes(b"".join(digit.to_bytes(_DIGIT, "little") for digit in digits), "little")


@functools.cache
def _envelope_of(line: Line) -> Sequence[int]:
    return _envelope(line.audio(_TELEPHONE), _TELEPHONE)


def _envelope(audio: bytes, format: AudioFormat) -> Sequence[int]:
    """The RMS of 20 ms every 10 ms, in the telephone's band; its square root, so that not only loud vowels count."""
    samples = _linear(transcode(audio, format, _TELEPHONE), _TELEPHONE)
    hop = _TELEPHONE.size(_HOP_MS) // _TELEPHONE.sample_width
    power = [0.0, *(_rms(samples[at : at + hop], hop) ** 2 for at in range(0, len(samples), hop)), 0.0]
    return [round(_STEPS * ((one + two) / 2) ** 0.25) for one, two in itertools.pairwise(power)]


def _linear(audio: bytes, format: AudioFormat) -> Sequence[int]:
    pcm = transcode(audio, format, AudioFormat(Encoding.PCM16, format.sample_rate))
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


def _rms(samples: Sequence[int], count: int) -> float:
    """Of so many samples; those that are missing are silent."""
    return math.hypot(*samples) / math.sqrt(count)
