"""One context of the emulated text to speech: its text, and what is spoken of it."""

from __future__ import annotations

from collections import deque

from patter_elevenlabs.testing.tts.protocol import Message

__all__ = ["Context"]

_SCHEDULE = (120.0, 160.0, 250.0, 290.0)
"""Characters that the service waits for before it speaks, the first time, the second and so on."""


class Context:
    """A context.

    Args:
        context_id: of the client; None for the one of the socket with a single one.
        message: its first one.
        at_once: each text is spoken as it comes (`auto_mode`).
        now: when it was opened, in s.
    """

    def __init__(self, context_id: str | None, message: Message, *, at_once: bool, now: float) -> None:
        self.context_id = context_id
        self.text = ""
        """All of it."""
        self.heard_at = now
        """When the client said something of it last."""
        self.speech: deque[str] = deque()
        """What is to be spoken next."""
        self.flushed = False
        self.closing = False
        self.spoke = False
        self._held = ""
        self._at_once = at_once
        config = message.generation_config
        self._schedule = list((config and config.chunk_length_schedule) or _SCHEDULE)

    @property
    def over(self) -> bool:
        """True if nothing more is spoken."""
        return self.closing and not self.speech

    def add(self, text: str, *, soon: bool = False) -> None:
        """Takes more text; `soon` asks to speak it if it is enough for the first time."""
        self.text += text
        self._held += text
        if self._at_once or len(self._held) >= (min(self._schedule) if soon else self._schedule[0]):
            self._speak_held()
            if len(self._schedule) > 1:
                del self._schedule[0]

    def flush(self) -> None:
        """Speaks what is held back."""
        self._speak_held()
        self.flushed = True

    def close(self) -> None:
        """Nothing more is taken; what was not flushed is dropped, but for what is being spoken already."""
        self.closing = True
        if not self.flushed:
            self._held = ""
            while len(self.speech) > 1:
                self.speech.pop()

    def _speak_held(self) -> None:
        if self._held.strip():
            self.speech.append(self._held)
        self._held = ""
