"""What was said so far on a call, for the agent who goes on with it. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from patter_core.events import CallEvent
from patter_core.store import Line, Speaker, conversation, line_of

__all__ = ["Recap"]

_LINES = 200
_CHARACTERS = 8_000

_NAMES = {Speaker.CALLER: "User", Speaker.AGENT: "You"}
_INTRODUCTION = (
    "The connection was interrupted for a moment and the same call goes on now. Do not start over. "
    "This is what was said so far:"
)


class Recap:
    """The latest lines of one call."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=_LINES)

    def note(self, event: CallEvent) -> Line | None:
        """Keep what the event adds to the conversation, and give it."""
        line = line_of(event)
        if line is not None:
            self._lines.append(line)
        return line

    def precede(self, lines: Iterable[Line]) -> None:
        """Put in front what was said before this worker had the call."""
        self._lines = deque([*lines, *self._lines], maxlen=_LINES)

    @property
    def text(self) -> str:
        """For the agent to read: the end of what was said, whole lines; "" if nothing was."""
        kept: list[str] = []
        room = _CHARACTERS
        for line in reversed(conversation(self._lines)):
            written = f"{_NAMES[line.speaker]}: {line.text}"
            room -= len(written) + 1
            if room < 0:
                break
            kept.append(written)
        return "\n".join([_INTRODUCTION, *reversed(kept)]) if kept else ""
