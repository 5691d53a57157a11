"""An emulated voice, sans-IO: each character is 50 ms of a tone of its own, a blank is silence.

For lines of which it has real speech, each character is its share of that.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator, Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import Line
from patter_pipeline.testing.known_speech import spoken

__all__ = ["CHARACTER_MS", "Piece", "synthesise"]

CHARACTER_MS = 50
"""How long a character is."""
_PER_MESSAGE = 10
"""Characters in one message: half a second."""
_SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Timing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When characters are said, in ms from the beginning of the piece."""

    chars: list[str]
    char_start_times_ms: list[int]
    char_durations_ms: list[int]


class Piece(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message with audio, as the service writes it."""

    audio: str
    is_final: bool | None = None
    alignment: Timing | None
    normalized_alignment: Timing | None
    context_id: str | None = None


def synthesise(
    text: str, format: AudioFormat, context_id: str | None, *, timings: bool = True, lines: Sequence[Line] = ()
) -> Iterator[Piece]:
    """Yields the audio of a text, half a second at a time or so, with the times of its characters."""
    speech = spoken(text, lines, format)
    sounds = [_tone(char, format) for char in text] if speech is None else list(speech)
    for start in range(0, len(text), _PER_MESSAGE):
        part, sound = text[start : start + _PER_MESSAGE], sounds[start : start + _PER_MESSAGE]
        lengths = [format.duration_ms(len(one)) for one in sound]
        yield Piece(
            audio=AudioChunk(b"".join(sound), format).base64,
            alignment=_timing(list(part), lengths) if timings else None,
            normalized_alignment=_timing([_SPELLED[int(c)] if c in "0123456789" else c for c in part], lengths),
            context_id=context_id,
        )


def _timing(said: list[str], lengths: list[float]) -> Timing:
    """Returns the times; what stands for one character of the text shares its time."""
    chars, starts, durations = [], [], []
    begins = 0.0
    for text, length in zip(said, lengths, strict=True):
        for index, char in enumerate(text):
            chars.append(char)
            starts.append(int(begins + index * length / len(text)))
            durations.append(int(length / len(text)))
        begins += length
    return Timing(chars=chars, char_start_times_ms=starts, char_durations_ms=durations)


@functools.lru_cache(maxsize=1_000)
def _tone(char: str, format: AudioFormat) -> bytes:
    if char.isspace():
        return format.silence * (format.size(CHARACTER_MS) // format.sample_width)
    pitch = 300 + ord(char) % 64 * 20
    count = format.sample_rate * CHARACTER_MS // 1_000
    samples = [int(8_000 * math.sin(2 * math.pi * pitch * place / format.sample_rate)) for place in range(count)]
    linear = AudioFormat(Encoding.PCM16, format.sample_rate)
    return transcode(struct.pack(f"<{count}h", *samples), linear, format)
