"""One utterance on its way: its text, what of it the service has, and what came of it."""

from __future__ import annotations

from patter_core.events import Word
from patter_elevenlabs.tts.words import Words

__all__ = ["Utterance"]


class Utterance:
    """What one session has to say between a first `speak` and the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The pipeline's id."""
        self.context = ""
        """The service's id; "" until it has some of the text. It is never used again."""
        self.pieces: list[str] = []
        """All of the text, as the service gets it."""
        self.words = Words()
        self.unsaid: list[Word] = []
        """Words whose audio was not given on."""
        self.finished = False
        self.answered = False
        """The service has said something since it has some of the text."""
        self.again = False
        """The text was sent a second time."""
        self.audio_ms = 0.0
        """How much audio came."""
        self.characters = 0
        """How many the service was given, and that are not told as usage."""

    def add(self, text: str) -> str:
        """Takes more text. Returns it as the service wants it, with one blank at its end; "" if there is none."""
        self.words.add(text)
        piece = text.strip()
        if not piece:
            return ""
        self.pieces.append(f"{piece} ")
        return self.pieces[-1]

    @property
    def empty(self) -> bool:
        """True if there is nothing to say."""
        return not self.pieces
