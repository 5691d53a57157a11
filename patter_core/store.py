"""The call store contract: what was said on each call, for the worker that continues it."""

from __future__ import annotations

import abc
import enum
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult
from patter_core.events import CallEvent, TranscriptCorrection, TranscriptInput, TranscriptOutput

__all__ = ["STORE_API_VERSION", "CallStore", "Speaker", "Utterance", "conversation", "utterance_of"]

STORE_API_VERSION = 1

DEFAULT_EXPIRY = 3600.0
"""Seconds for which a call is kept after its last line: no carrier brings a call back later than that."""
LINES_KEPT = 1_000
"""The latest lines of a call that are kept: more than any engine takes as context."""


class Speaker(enum.StrEnum):
    """Who said something."""

    CALLER = "caller"
    AGENT = "agent"


class Utterance(msgspec.Struct, frozen=True):
    """A line of a conversation. Its `repr`, and so a log, does not show the text."""

    speaker: Speaker
    text: str
    corrects: bool = False
    """True if it replaces the agent's previous line: only this much of that line was heard."""

    def __repr__(self) -> str:
        return f"<Utterance of the {self.speaker.value}>"


class CallStore(abc.ABC):
    """Keeps the lines of each call, in order, until some time after the last one, for all workers that share it.

    Both methods may run several times at once, for one call too, and must not block the event loop. The host waits two
    seconds for each, then cancels it; a cancelled or failed `append` is repeated, so a line may be kept twice. Once
    `append` has returned, the line is kept, as far as the store's server loses nothing. A store keeps the latest
    `LINES_KEPT` lines of a call, and may drop older ones.

    Constructing it with missing or wrong values raises `ConfigurationError`. It connects when it is first used. No
    `repr`, log or error shows a secret or a line.
    """

    api_version: ClassVar[int] = STORE_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Its name in the registry: lower-case letters, digits and hyphens."""

    @abc.abstractmethod
    async def append(self, call_id: str, line: Utterance) -> None:
        """Keeps a line.

        Raises:
            StoreUnavailable: the store cannot be reached; raised within five seconds. The line is appended later.
            StoreRefused: the store will never take it: it is dropped, and the remedy is told once.
        """

    @abc.abstractmethod
    async def history(self, call_id: str) -> Sequence[Utterance]:
        """Returns the lines of a call, in the order of their `append`; none if the call is unknown or has expired.

        Raises:
            StoreUnavailable, StoreRefused: as in `append`.
        """

    async def aclose(self) -> None:  # noqa: B027 - a store that holds nothing has nothing to free
        """Frees what the store holds. Idempotent."""

    async def check(self) -> Sequence[CheckResult]:
        """Checks what this configuration needs, such as that the server can be reached and takes the password.

        For `patter doctor`, and for the start of a worker. Never raises for what it finds, and changes nothing.
        """
        return ()


def utterance_of(event: CallEvent) -> Utterance | None:
    """Returns the line that an event adds to the conversation; None if nothing is said in it."""
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
    """Returns the lines with corrections put in the place of what they correct: what each side heard of the other."""
    said: list[Utterance] = []
    for line in lines:
        if line.corrects:
            index = next((index for index in range(len(said) - 1, -1, -1) if said[index].speaker is line.speaker), None)
            if index is not None:
                said[index] = Utterance(line.speaker, line.text)
                continue
        said.append(Utterance(line.speaker, line.text))
    return said
