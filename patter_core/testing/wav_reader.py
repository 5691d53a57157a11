"""Reads WAV files without compression but that of telephony, as one channel of PCM16 at their own rate.

Linear samples of 8, 16, 24 and 32 bits, floating point of 32 and 64 bits, A-law and μ-law, with any number of channels,
also behind the extensible header; files that were cut, or whose sizes were never filled in, as programs write them that
stream to a pipe. The standard library reads the first kind only, and libsndfile would be a binary library for all who
install the core: the format is a header of 16 bytes in front of the samples.

Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", and Microsoft's WAVEFORMATEX
and WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence

import msgspec

from patter_core.audio import AudioFormat, Encoding
from patter_core.audio.g711 import SAMPLES
from patter_core.errors import AudioError

__all__ = ["READ", "REMEDY", "parse_wav"]

_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_LAWS = {_ALAW: Encoding.ALAW, _ULAW: Encoding.ULAW}
READ = "8, 16, 24 or 32 bits, floating point, A-law or μ-law"
"""The kinds that are read, in words."""
REMEDY = "A program such as ffmpeg or sox converts it: ffmpeg -i FILE -ar 16000 -ac 1 new.wav"
"""What to do about a file that is not taken."""


class _Kind(msgspec.Struct, frozen=True):
    tag: int
    channels: int
    rate: int
    bits: int


def parse_wav(content: bytes) -> tuple[bytes, AudioFormat]:
    """Returns the audio of a WAV file as PCM16, its channels mixed to one, and its format.

    Raises:
        AudioError: it is no WAV file, or of a kind that is not read.
    """
    try:
        return _parsed(content)
    except AudioError as error:
        raise AudioError(error.problem, expected=error.expected, got=error.got, remedy=REMEDY) from None


def _parsed(content: bytes) -> tuple[bytes, AudioFormat]:
    if len(content) < 12 or content[:4] not in {b"RIFF", b"RF64"} or content[8:12] != b"WAVE":
        raise AudioError("Not a WAV file that can be read.", expected="a RIFF file")
    kind: _Kind | None = None
    for name, chunk in _chunks(content):
        if name == b"fmt ":
            kind = _kind(chunk)
        elif name == b"data" and kind is not None:
            samples = _samples(chunk, kind)
            whole = len(samples) // kind.channels * kind.channels
            channels = [samples[channel : whole : kind.channels] for channel in range(kind.channels)]
            mixed = (round(sum(frame) / kind.channels) for frame in zip(*channels, strict=True))
            clipped = [min(max(sample, -32_768), 32_767) for sample in mixed]
            return struct.pack(f"<{len(clipped)}h", *clipped), AudioFormat(Encoding.PCM16, kind.rate)
    raise AudioError("Not a WAV file that can be read.", expected="a format, and audio after it")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the name and the contents of each chunk; of one whose size goes beyond the file's end, what is there."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _kind(chunk: bytes) -> _Kind:
    if len(chunk) < 16:
        raise AudioError("Not a WAV file that can be read.", expected="a format of 16 bytes", got=f"{len(chunk)} bytes")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    widths = {_PCM: {8, 16, 24, 32}, _FLOAT: {32, 64}, _ALAW: {8}, _ULAW: {8}}.get(tag, set())
    if bits not in widths or not channels:
        raise AudioError(
            "A WAV file of another kind.",
            expected=READ,
            got=f"encoding {tag} with {bits} bits and {channels} channels",
        )
    return _Kind(tag, channels, rate, bits)


def _samples(data: bytes, kind: _Kind) -> Sequence[float]:
    """Returns all samples as they are interleaved, in the range of 16 bits."""
    width = kind.bits // 8
    count = len(data) // width
    data = data[: count * width]
    if kind.tag in _LAWS:
        return [SAMPLES[_LAWS[kind.tag]][code] for code in data]
    if kind.tag == _FLOAT:
        values = struct.unpack(f"<{count}{'f' if width == 4 else 'd'}", data)
        return [0.0 if math.isnan(value) else min(max(value, -1.0), 1.0) * 32_767 for value in values]
    if width == 1:
        return [(value - 128) * 256 for value in data]
    if width == 2:
        return struct.unpack(f"<{count}h", data)
    if width == 3:  # as the upper three bytes of four
        padded = bytearray(4 * count)
        for place in range(3):
            padded[place + 1 :: 4] = data[place::3]
        data = bytes(padded)
    return [value / 65_536 for value in struct.unpack(f"<{count}i", data)]
