"""How turns are taken in one pipeline, where its user wants it otherwise than by default."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from patter_core.config import check_fields
from patter_core.errors import ConfigurationError
from patter_core.kinds import Part

__all__ = ["TURN_TAKING_API_VERSION", "TurnTaking"]

TURN_TAKING_API_VERSION = 1
_LONGEST = 60.0


@dataclasses.dataclass(frozen=True)
class TurnTaking(Part):
    """Times of a conversation, in seconds, and what is said while a tool runs. The defaults are for the telephone.

    Raises:
        ConfigurationError: a time is negative, or too long to wait for on a telephone.
    """

    api_version: ClassVar[int] = TURN_TAKING_API_VERSION
    name: ClassVar[str] = "turn-taking"

    end: float = 0.6
    """From the end of speech to the end of the caller's turn, where no turn detector is asked."""
    end_likely: float = 0.3
    """The same, if the turn detector takes it to be complete."""
    end_unlikely: float = 3.0
    """The same, if it does not."""
    barge_in: float = 0.3
    """Of the caller's speech before the agent falls silent."""
    false_interruption: float = 2.0
    """Without a word before the agent goes on where it was."""
    hello: float = 2.0
    """For the other side to say hello first on an outbound call."""
    draft: bool = True
    """The model is asked before the caller's turn is certain to be complete: answers come sooner, and cost more.

    It is not where a guardrail judges what the caller says: the model gets nothing that was not judged."""
    fillers: tuple[str, ...] = ()
    """What the agent says while a tool runs; none for silence."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "float" and not (isinstance(value, float | int) and 0 <= value <= _LONGEST):
                raise ConfigurationError(
                    f"TurnTaking({field.name}=…) is invalid.", expected=f"seconds, up to {_LONGEST:g}", got=repr(value)
                )
        fillers: object = self.fillers
        if not isinstance(fillers, tuple) or not all(isinstance(text, str) and text for text in fillers):
            raise ConfigurationError("TurnTaking(fillers=…) is invalid.", expected="a tuple of sentences")
