"""The contract of a guardrail: what looks at each thing that is said, and may change it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from patter_core.kinds import Part
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["GUARDRAIL_API_VERSION", "PASS", "Act", "Block", "Guardrail", "Pass", "Replace", "Verdict"]

GUARDRAIL_API_VERSION = 1


class Pass(msgspec.Struct, frozen=True):
    """It may be said."""


PASS = Pass()


class Replace(msgspec.Struct, frozen=True):
    """Another text takes its place."""

    text: str


class Block(msgspec.Struct, frozen=True):
    """It is left out, with the rest of the answer; something else may be said for it."""

    say: str = ""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """The call ends, or goes to somebody else, after a last sentence."""

    action: HangUp | Transfer
    say: str = ""


Verdict = Pass | Replace | Block | Act
"""What a guardrail decides."""


class Guardrail(Part):
    """Looks at what the caller said, and at what the agent is about to say.

    Where a pipeline takes a guardrail, it takes a plain function, too: it gets what the agent is about to say, and
    returns a verdict, a text to say in its place, or None for `PASS`.
    """

    api_version: ClassVar[int] = GUARDRAIL_API_VERSION

    async def caller_said(self, text: str) -> Verdict:
        """Judges the caller's turn, before the model is asked. An answer after 300 ms is ignored, and told."""
        return PASS

    async def agent_says(self, sentence: str) -> Verdict:
        """Judges one sentence, before the voice gets it. Sentences are judged in order; none is skipped."""
        return PASS
