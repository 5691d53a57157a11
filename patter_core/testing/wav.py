"""WAV files: what a call's two sides said, to be heard in any player."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import IO

from patter_core.audio import AudioFormat, Encoding
from patter_core.audio.resample import is_convertible
from patter_core.audio.transcode import transcode
from patter_core.errors import AudioError
from patter_core.storage.files import write_private
from patter_core.testing.wav_reader import REMEDY, parse_wav

__all__ = ["read_wav", "read_wav_as", "write_stereo_wav"]

_STEPS = (1, 25, 50, 100, 200)
"""Hz. A file of 7919 Hz is taken for one of 7925. Towards 8 to 24 kHz 0.3 % at most, a twentieth of a semitone."""
_RATES = "a usual rate: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 or 96000 Hz"


def write_stereo_wav(path: str | Path, left: bytes, right: bytes, format: AudioFormat) -> None:
    """Writes two sides of a call as PCM16 at their own rate. The shorter one is followed by silence.

    Only its owner may read a new file.

    Args:
        path: the file; what was there is replaced.
        left: audio in `format`.
        right: audio in `format`.
        format: of both sides.

    Raises:
        AudioError: a side ends in the middle of a sample.
        OSError: the file cannot be written.
    """
    linear = AudioFormat(Encoding.PCM16, format.sample_rate)
    sides = [transcode(side, format, linear) for side in (left, right)]
    size = max(map(len, sides))
    stereo = bytearray(2 * size)
    for channel, side in enumerate(sides):
        stereo[2 * channel :: 4] = side[0::2].ljust(size // 2, b"\0")  # low bytes
        stereo[2 * channel + 1 :: 4] = side[1::2].ljust(size // 2, b"\0")  # high bytes
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(format.sample_rate)
        file.writeframes(stereo)
    write_private(Path(path), whole.getvalue())


def read_wav(source: str | Path | IO[bytes]) -> tuple[bytes, AudioFormat]:
    """Reads a WAV file of any usual kind (`parse_wav`). Returns its audio as PCM16 of one channel, and that format.

    Args:
        source: a file's path, or a file open for reading bytes.

    Raises:
        AudioError: it is no WAV file, or of a kind that is not read.
        OSError: the file cannot be read.
    """
    return parse_wav(Path(source).read_bytes() if isinstance(source, str | Path) else source.read())


def read_wav_as(source: str | Path | IO[bytes], format: AudioFormat) -> bytes:
    """Reads a WAV file of any usual kind. Returns its audio in another format.

    Args:
        source: a file's path, or a file open for reading bytes.
        format: of the audio that is returned.

    Raises:
        AudioError: it is no WAV file, of a kind that is not read, or of a sample rate without a conversion.
        OSError: the file cannot be read.
    """
    audio, own = read_wav(source)
    near = AudioFormat(own.encoding, _converted_rate(own.sample_rate, format.sample_rate))
    return transcode(audio, near, format)


def _converted_rate(rate: int, target: int) -> int:
    """Returns the rate nearest to it that is converted into the other: what the ear does not tell apart from it."""
    for step in _STEPS:
        near = round(rate / step) * step
        if is_convertible(near, target):
            return near
    raise AudioError("A WAV file of an unusual sample rate.", expected=_RATES, got=f"{rate} Hz", remedy=REMEDY)
