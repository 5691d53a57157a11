"""Turns of the agent, sans-IO: when a response starts, when it is done, and which audio is void.

The service sends neither the start nor the end of a response, and audio of an interrupted one may still arrive. This
derives all of that from the messages there are. Time is an argument, in seconds of any monotonic clock.

A response starts with its text or its first audio, whichever comes first. It is done when nothing of it has come for
`SILENCE`, or when the next one starts; one that is interrupted is over without being done. Audio comes faster than it
plays, so a response that is done was said, and not necessarily heard.
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
        self._named = False  # the text of the current response is known
        self._turn = ""  # the id of the current response, or of the last one
        self._void_below: int | None = None

    @property
    def latest(self) -> str:
        """The id of the turn whose text came last; "" if none has."""
        return _turn(self._text_id)

    @property
    def due(self) -> float | None:
        """When to call `elapsed` next; None while the agent is silent."""
        return self._latest + SILENCE if self._speaking else None

    def is_void(self, event_id: int | None) -> bool:
        """True if audio of that id was interrupted. An id equal to that of the interruption is live."""
        return self._void_below is not None and event_id is not None and event_id < self._void_below

    def audio(self, event_id: int | None, now: float) -> Sequence[EngineEvent]:
        """Notes audio that is not void. Returns the events that precede it."""
        self._latest = now
        if self._speaking:
            return ()
        self._speaking = True
        self._named = event_id is not None and event_id == self._text_id
        self._turn = _turn(event_id)
        return (ResponseStart(self._text if self._named else "", self._turn),)

    def agent_response(self, text: str, event_id: int | None, now: float) -> Sequence[EngineEvent]:
        """Notes the text of a response."""
        said = TranscriptOutput(text, _turn(event_id))
        if self.is_void(event_id):
            return (said,)  # it was cut off before it could start
        same = self._speaking and (not self._named or (event_id is not None and event_id == self._text_id))
        done = () if same else self.finish()
        self._speaking = True
        self._latest, self._text, self._text_id, self._named = now, text, event_id, True
        if same:
            return (said,)
        self._turn = _turn(event_id)
        return (*done, ResponseStart(text, self._turn), said)

    def correction(self, text: str, original: str, event_id: int | None) -> Sequence[EngineEvent]:
        """Notes how much of an interrupted response was said."""
        return (TranscriptCorrection(text, original, _turn(event_id)),)

    def interruption(self, event_id: int | None) -> Sequence[EngineEvent]:
        """Notes that the user talked over the agent. The interruption comes first: playback must stop at once."""
        if event_id is not None and (self._void_below is None or event_id > self._void_below):
            self._void_below = event_id
        self._speaking = False
        return (Interruption(self._turn),)

    def elapsed(self, now: float) -> Sequence[EngineEvent]:
        """Notes that time has passed."""
        due = self.due
        return self.finish() if due is not None and now >= due else ()

    def finish(self) -> Sequence[EngineEvent]:
        """Ends the current response, if there is one."""
        if not self._speaking:
            return ()
        self._speaking = False
        return (ResponseDone(self._turn),)


def _turn(event_id: int | None) -> str:
    return "" if event_id is None else str(event_id)
