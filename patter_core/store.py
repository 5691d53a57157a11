"""The call store: what was said so far on a call, for whichever worker has to go on with it."""

from __future__ import annotations

import abc
import enum
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from patter_core.events import CallEvent, TranscriptCorrection, TranscriptInput, TranscriptOutput

__all__ = ["CallStore", "MemoryCallStore", "Speaker", "Utterance", "conversation", "utterance_of"]

DEFAULT_EXPIRY = 3600.0
"""Seconds for which a call is remembered after its last line: no carrier comes back later than that."""
_CALLS_KEPT = 10_000
LINES_KEPT = 1_000
"""Of each call, the latest: more than any engine takes as context."""


class Speaker(enum.StrEnum):
    """Who said it."""

    CALLER = "caller"
    AGENT = "agent"


class Utterance(msgspec.Struct, frozen=True):
    """Something that was said. Kept out of `repr`, and so out of logs."""

    speaker: Speaker
    text: str
    corrects: bool = False
    """It replaces the agent's line before it: so much of it was heard."""

    def __repr__(self) -> str:
        return f"<Utterance of the {self.speaker.value}>"


class CallStore(abc.ABC):
    """Keeps the lines of each call, in order, until some time after the last one.

    A line may be kept twice if the store's connection breaks while it is appended, and is never lost once `append` has
    returned, as far as the store itself loses nothing.
    """

    @abc.abstractmethod
    async def append(self, call_id: str, line: Utterance) -> None:
        """Keep a line.

        Raises:
            SinkUnavailable: the store cannot be reached.
        """

    @abc.abstractmethod
    async def history(self, call_id: str) -> Sequence[Utterance]:
        """All lines of the call, as they were appended; none for a call that is not known, or no longer.

        Raises:
            SinkUnavailable: the store cannot be reached.
        """

    async def aclose(self) -> None:  # noqa: B027 - a store that holds nothing has nothing to free
        """Free what the store holds."""


class MemoryCallStore(CallStore):
    """A store in this process: it outlives a call's socket, not the worker.

    Args:
        expiry: seconds for which a call is kept after its last line.
        clock: monotonic, in s.
    """

    def __init__(self, *, expiry: float = DEFAULT_EXPIRY, clock: Callable[[], float] = time.monotonic) -> None:
        self._expiry = expiry
        self._clock = clock
        self._calls: dict[str, tuple[float, list[Utterance]]] = {}
        """By the time of the last line: the call that has been quiet for longest is first."""

    async def append(self, call_id: str, line: Utterance) -> None:
        _, lines = self._calls.pop(call_id, (0.0, []))
        lines.append(line)
        del lines[:-LINES_KEPT]
        self._calls[call_id] = (self._clock(), lines)
        self._forget()

    async def history(self, call_id: str) -> Sequence[Utterance]:
        self._forget()
        return tuple(self._calls.get(call_id, (0.0, []))[1])

    def _forget(self) -> None:
        oldest = self._clock() - self._expiry
        while self._calls:
            call_id, (at, _) = next(iter(self._calls.items()))
            if at > oldest and len(self._calls) <= _CALLS_KEPT:
                return
            del self._calls[call_id]


def utterance_of(event: CallEvent) -> Utterance | None:
    """What an event adds to the conversation; None for an event in which nobody speaks."""
    match event:
        case TranscriptInput(text=text):
            return Utterance(Speaker.CALLER, text)
        case TranscriptOutput(text=text):
            return Utterance(Speaker.AGENT, text)
        case TranscriptCorrection(text=text):
            return Utterance(Speaker.AGENT, text, corrects=True)
        case _:
            return None


def conversation(lines: Iterable[Utterance]) -> list[Utterance]:
    """The lines with corrections put in their place: what each really heard of the other."""
    said: list[Utterance] = []
    for line in lines:
        if line.corrects:
            index = next((index for index in range(len(said) - 1, -1, -1) if said[index].speaker is line.speaker), None)
            if index is not None:
                said[index] = Utterance(line.speaker, line.text)
                continue
        said.append(Utterance(line.speaker, line.text))
    return said
