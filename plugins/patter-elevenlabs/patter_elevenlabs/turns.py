"""Whose turn it is, sans-IO: when a response starts, when it is done, and which audio is void.

The service says neither when a response begins nor when it ends, and audio of an interrupted response may still be
under way. This keeps the few facts from which all of that follows. Time is an argument, in seconds of any monotonic
clock.

A response starts with its text or its first audio, whichever comes first, and is done when nothing of it has come for
`SILENCE`, when the next one starts, or when it is interrupted. Audio comes faster than it plays, so "done" means that
it has been said, not that it has been heard.
"""

from __future__ import annotations

from collections.abc import Sequence

from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    ResponseStart,
    TranscriptCorrection,
    TranscriptOutput,
)

__all__ = ["SILENCE", "Turns"]

SILENCE = 0.5
"""Seconds without audio or text after which a response is done."""


class Turns:
    """The turns of one conversation. Event ids are numbers, or None where the service gave none."""

    def __init__(self) -> None:
        self._speaking = False
        self._latest = 0.0
        self._text = ""
        self._text_id: int | None = None
        self._named = False  # the text of the response that is going on is known
        self._void_below: int | None = None

    @property
    def latest(self) -> str:
        """The id of the turn whose text came last; "" if none did."""
        return _turn(self._text_id)

    @property
    def due(self) -> float | None:
        """When `elapsed` next has something to find out; None while the agent is silent."""
        return self._latest + SILENCE if self._speaking else None

    def is_void(self, event_id: int | None) -> bool:
        """Does audio of that id belong to what was interrupted? An id equal to the interruption's is live."""
        return self._void_below is not None and event_id is not None and event_id < self._void_below

    def audio(self, event_id: int | None, now: float) -> Sequence[EngineEvent]:
        """Audio came that is not void. Gives what goes before it."""
        self._latest = now
        if self._speaking:
            return ()
        self._speaking = True
        self._named = event_id is not None and event_id == self._text_id
        return (ResponseStart(self._text if self._named else ""),)

    def agent_response(self, text: str, event_id: int | None, now: float) -> Sequence[EngineEvent]:
        """The text of a response came."""
        said = TranscriptOutput(text, _turn(event_id))
        if self.is_void(event_id):
            return (said,)  # it was cut off before it could start
        same = self._speaking and (not self._named or (event_id is not None and event_id == self._text_id))
        going_on, self._speaking = self._speaking, True
        self._latest, self._text, self._text_id, self._named = now, text, event_id, True
        if same:
            return (said,)
        start = ResponseStart(text)
        return (ResponseDone(), start, said) if going_on else (start, said)

    def correction(self, text: str, original: str, event_id: int | None) -> Sequence[EngineEvent]:
        """What was really said came."""
        return (TranscriptCorrection(text, original, _turn(event_id)),)

    def interruption(self, event_id: int | None) -> Sequence[EngineEvent]:
        """The user talked over the agent. The interruption goes first: somebody is waiting to clear the line."""
        if event_id is not None and (self._void_below is None or event_id > self._void_below):
            self._void_below = event_id
        return (Interruption(), *self.finish())

    def elapsed(self, now: float) -> Sequence[EngineEvent]:
        """Time has passed."""
        due = self.due
        return self.finish() if due is not None and now >= due else ()

    def finish(self) -> Sequence[EngineEvent]:
        """Nothing more comes of the response that is going on, if one is."""
        if not self._speaking:
            return ()
        self._speaking = False
        return (ResponseDone(),)


def _turn(event_id: int | None) -> str:
    return "" if event_id is None else str(event_id)
