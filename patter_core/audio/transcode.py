"""From one audio format to another, chunk by chunk, as they come.

Between G.711 and PCM16 at one rate this is a look-up; where rates differ, a `Resampler` stands in the middle. Both
directions of a call between ulaw_8000 and pcm_16000 cost about 33 μs for each pair of 20 ms frames.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from patter_core.audio.chunk import AudioChunk, AudioFormat, Encoding
from patter_core.audio.g711 import alaw_to_ulaw, decode, encode, ulaw_to_alaw
from patter_core.audio.resample import Resampler
from patter_core.errors import AudioError

__all__ = ["Transcoder", "transcode"]


class Transcoder:
    """Converts one stream of audio. What the filter holds back, some 1.8 ms, comes with the next chunk or with `flush`.

    Raises:
        AudioError: no conversion between these two sample rates.
    """

    __slots__ = ("_from_linear", "_recode", "_resampler", "_to_linear", "source", "target")

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self._resampler: Resampler | None = None
        if source.sample_rate != target.sample_rate:
            self._resampler = Resampler(source.sample_rate, target.sample_rate)
        self._recode = _recoder(source.encoding, target.encoding)
        self._to_linear = _recoder(source.encoding, Encoding.PCM16)
        self._from_linear = _recoder(Encoding.PCM16, target.encoding)

    def convert(self, chunk: AudioChunk) -> AudioChunk | None:
        """Converts the next chunk; None if the filter holds all of it back.

        Raises:
            AudioError: the chunk is not in the source format.
        """
        if chunk.format != self.source:
            raise AudioError(
                "Audio in another format than was agreed.", expected=f"{self.source}", got=f"{chunk.format}"
            )
        if self._resampler is None:
            return self._chunk(self._recode(chunk.data))
        return self._chunk(self._from_linear(self._resampler.process(self._to_linear(chunk.data))))

    def flush(self) -> AudioChunk | None:
        """Returns the end of the stream, None if nothing was held back; then it is ready for another stream."""
        if self._resampler is None:
            return None
        return self._chunk(self._from_linear(self._resampler.flush()))

    def _chunk(self, data: bytes) -> AudioChunk | None:
        return AudioChunk(data, self.target) if data else None


def transcode(data: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """Converts all of a piece of audio at once.

    Raises:
        AudioError: no conversion between these two sample rates, or `data` ends in the middle of a sample.
    """
    chunk = AudioChunk(data, source)
    if source == target:
        return data
    between = Transcoder(source, target)
    return b"".join(piece.data for piece in (between.convert(chunk), between.flush()) if piece is not None)


def _recoder(source: Encoding, target: Encoding) -> Callable[[bytes], bytes]:
    """What changes the encoding and leaves the rate."""
    if source is target:
        return bytes
    if source is Encoding.PCM16:
        return functools.partial(encode, law=target)
    if target is Encoding.PCM16:
        return functools.partial(decode, law=source)
    return ulaw_to_alaw if target is Encoding.ALAW else alaw_to_ulaw
