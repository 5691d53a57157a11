"""Where the time went between the caller's last word and the agent's first. Sans-IO; times in s of one clock."""

from __future__ import annotations

import math

from patter_core.events import TurnTimings

__all__ = ["Timings"]


class Timings:
    """The stages of the answer to the caller's last turn."""

    def __init__(self) -> None:
        self._until = math.nan
        """When the caller had said it; nan if no answer is due."""
        self._stages: dict[str, float] = {}
        self._request = 0
        self._first_tokens: dict[int, float] = {}
        """Of the latest requests, by number: a draft has one before the turn ends."""
        self._speech = 0

    def caller_said(self, until: float, now: float) -> None:
        """The caller's turn is complete."""
        self._until = until
        self._stages = {"end_of_turn": now}
        self._request = self._speech = 0

    def asked(self, n: int, now: float) -> None:
        """That request is the answer: it was made now, or is a draft that was taken."""
        if not self._request:
            self._request = n
            token = self._first_tokens.get(n)
            if token is not None:
                self._stages["first_token"] = token

    def token(self, n: int, now: float) -> None:
        """A piece of an answer of the model came."""
        if n in self._first_tokens:
            return
        self._first_tokens[n] = now
        while len(self._first_tokens) > 8:
            del self._first_tokens[next(iter(self._first_tokens))]
        if n == self._request:
            self._stages["first_token"] = now

    def speaks(self, n: int, now: float) -> None:
        """The voice was given text of a speech."""
        if self._request and not self._speech:
            self._speech = n
            self._stages["first_text"] = now

    def audio(self, n: int, now: float) -> None:
        """Audio of a speech came."""
        if n == self._speech:
            self._stages.setdefault("first_audio", now)

    def sent(self, n: int, now: float) -> TurnTimings | None:
        """The first audio of a speech was given to the carrier. Returns what is told of the turn, once."""
        if n != self._speech or math.isnan(self._until):
            return None
        stages = {**self._stages, "sent": now}
        until, self._until = self._until, math.nan
        return TurnTimings(turn=str(n), stages_ms={name: round((at - until) * 1000, 1) for name, at in stages.items()})
