"""An audio format, and a piece of audio that is base64 text or bytes and becomes the other only when asked."""

from __future__ import annotations

import binascii
import enum
import functools
from collections.abc import Iterator
from typing import final

import msgspec

from patter_core.errors import AudioError

__all__ = ["ALAW_8000", "PCM16_16000", "ULAW_8000", "AudioChunk", "AudioFormat", "Encoding", "silence_of"]


class Encoding(enum.StrEnum):
    """How a sample is written. Every format here is mono."""

    ULAW = "ulaw"
    """G.711 μ-law, 8 bits a sample."""
    ALAW = "alaw"
    """G.711 A-law, 8 bits a sample."""
    PCM16 = "pcm"
    """Linear, signed, 16 bits a sample, little-endian."""


class AudioFormat(msgspec.Struct, frozen=True, order=True):
    """An encoding at a sample rate (Hz), mono: `AudioFormat(Encoding.ULAW, 8000)`, which reads `ulaw_8000`."""

    encoding: Encoding
    sample_rate: int

    def __post_init__(self) -> None:
        if not 4_000 <= self.sample_rate <= 192_000:
            raise AudioError("No such audio format.", expected="4000 to 192000 Hz", got=f"{self.sample_rate} Hz")

    def __str__(self) -> str:
        return f"{self.encoding.value}_{self.sample_rate}"

    @property
    def sample_width(self) -> int:
        """Bytes a sample."""
        return 2 if self.encoding is Encoding.PCM16 else 1

    @property
    def byte_rate(self) -> int:
        """Bytes a second."""
        return self.sample_rate * self.sample_width

    @property
    def silence(self) -> bytes:
        """One sample of silence."""
        return _SILENCE[self.encoding]

    def duration_ms(self, size: int) -> float:
        """How long `size` bytes play, in ms."""
        return size * 1000 / self.byte_rate

    def size(self, duration_ms: float) -> int:
        """How many bytes play for `duration_ms`, rounded down to whole samples."""
        return int(duration_ms * self.sample_rate / 1000) * self.sample_width


# The codes nearest zero: G.711 writes +0 as 0xFF in μ-law and as 0xD5 in A-law (ITU-T G.711, tables 2a and 1a).
_SILENCE = {Encoding.ULAW: b"\xff", Encoding.ALAW: b"\xd5", Encoding.PCM16: b"\x00\x00"}

ULAW_8000 = AudioFormat(Encoding.ULAW, 8_000)
"""Telephones of America and Japan."""
ALAW_8000 = AudioFormat(Encoding.ALAW, 8_000)
"""Telephones elsewhere."""
PCM16_16000 = AudioFormat(Encoding.PCM16, 16_000)
"""Wideband."""


_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_KEPT = bytes(code if code in _ALPHABET else code ^ 0xFF for code in range(256))
"""Translates what is base64 into itself, and all else into something else: a table is read faster than a set built."""


@final
class AudioChunk:
    """A piece of audio: whole samples of one format.

    Carriers and engines that put base64 inside JSON give it as text and take it as text: where both sides speak one
    format it is never rewritten. As an engine's event it unpacks like the others: `("audio", bytes)`.

    Raises:
        AudioError: `data` is not a whole number of samples.
    """

    __slots__ = ("_base64", "_data", "format", "size")

    size: int
    """Bytes of audio."""

    def __init__(self, data: bytes, format: AudioFormat) -> None:
        self.format = format
        self._data: bytes | None = data
        self._base64: str | None = None
        self.size = len(data)
        if self.size & 1 and format.encoding is Encoding.PCM16:
            raise _half_a_sample(format, self.size)

    @classmethod
    def from_base64(cls, text: str, format: AudioFormat) -> AudioChunk:
        """Takes base64 text as it came, checked but not decoded: it is safe to splice into JSON again.

        Raises:
            AudioError: the text is not base64 (RFC 4648, section 4, padded, no white space), or not whole samples.
        """
        length = len(text)
        letters = text.encode("ascii", "replace")
        padding = 0 if letters[-1:] != b"=" else 2 if letters[-2:] == b"==" else 1
        if length & 3 or letters.translate(_KEPT) != letters or letters.find(b"=", 0, length - padding) >= 0:
            raise AudioError("Audio that is not base64.", expected="RFC 4648 text, padded, no white space")
        chunk = cls.__new__(cls)
        chunk.format = format
        chunk._data = None  # noqa: SLF001 - its own class, made without the bytes
        chunk._base64 = text  # noqa: SLF001 - as above
        chunk.size = length // 4 * 3 - padding
        if chunk.size & 1 and format.encoding is Encoding.PCM16:
            raise _half_a_sample(format, chunk.size)
        return chunk

    @property
    def data(self) -> bytes:
        """The samples as bytes; decoded once, when first asked for."""
        data = self._data
        if data is None:
            data = self._data = binascii.a2b_base64(self.base64)
        return data

    @property
    def base64(self) -> str:
        """The samples as base64 text: as they came, or encoded once, when first asked for."""
        text = self._base64
        if text is None:
            text = self._base64 = binascii.b2a_base64(self.data, newline=False).decode("ascii")
        return text

    @property
    def duration_ms(self) -> float:
        """How long it plays, in ms."""
        return self.format.duration_ms(self.size)

    @property
    def type(self) -> str:
        """The name of this kind of event: a chunk unpacks as `(type, data)`."""
        return "audio"

    def __iter__(self) -> Iterator[str | bytes]:
        yield "audio"
        yield self.data

    def __repr__(self) -> str:
        return f"<AudioChunk {self.format} {self.duration_ms:.0f} ms>"


def _half_a_sample(format: AudioFormat, size: int) -> AudioError:
    return AudioError(
        "Audio that ends in the middle of a sample.", expected=f"whole {format} samples", got=f"{size} bytes"
    )


@functools.lru_cache(maxsize=16)  # calls share it, and its base64
def silence_of(format: AudioFormat, duration_ms: float) -> AudioChunk:
    """Returns silence that plays for `duration_ms`, rounded down to whole samples."""
    return AudioChunk(format.silence * (format.size(duration_ms) // format.sample_width), format)
