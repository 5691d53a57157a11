"""Known lines of speech, for emulators: which was heard, and what a voice sounds like that says them. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from patter_core.audio import AudioFormat
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, recognise
from patter_core.testing.speech import Line

__all__ = ["KnownSpeech", "spoken"]

_LONGEST_MS = 20_000.0
"""Of audio in which a line is looked for."""
_PAUSE_MS = 700.0
"""Longer than any in a line."""


class KnownSpeech:
    """Recognises what was said in one session.

    Args:
        format: of the audio.
        lines: what may be said.
    """

    def __init__(self, format: AudioFormat, lines: Iterable[Line]) -> None:
        self._format = format
        self._lines = tuple(lines)
        self._known = 0
        """How much of the audio was recognised: a line with a pause in it may be asked for in its middle."""

    def text(self, audio: bytes | bytearray) -> str:
        """Returns what was said since the last line that was recognised; "" if it is not known, or not all of a line.

        Args:
            audio: all of the session.
        """
        if not self._lines:
            return ""
        start = max(self._known, len(audio) - self._format.size(_LONGEST_MS))
        pause = self._format.silence * (self._format.size(2 * _PAUSE_MS) // self._format.sample_width)
        turns = EndOfTurn(self._format, silence_ms=_PAUSE_MS).feed(bytes(audio[start:]) + pause)
        for turn in turns:
            text = recognise(turn.audio, self._format, self._lines) if isinstance(turn, SpeechEnded) else None
            if text:
                self._known = len(audio)
                return text
        return ""


def spoken(text: str, lines: Sequence[Line], format: AudioFormat) -> Iterator[bytes] | None:
    """Returns the speech of a text, character by character; None if it is not part of a line.

    Each character has its share of the line: the pieces of a line, one after the other, are the whole of its speech.

    Args:
        text: a line, or a part of it, with or without blanks around it.
        lines: those that are known.
        format: of the speech.
    """
    bare = text.strip()
    line = next((line for line in lines if bare and bare in line.text), None)
    if line is None:
        return None
    audio, width, place = line.audio(format), format.sample_width, line.text.index(bare)
    before = len(text) - len(text.lstrip())
    return (
        audio[_share(place + at, line, audio, width) : _share(place + at + 1, line, audio, width)]
        for at in range(-before, len(text) - before)
    )


def _share(place: int, line: Line, audio: bytes, width: int) -> int:
    """Returns where the character of that place begins in the speech; blanks beyond the line have none."""
    samples = len(audio) // width
    return min(max(0, samples * place // len(line.text)), samples) * width
