"""The utterances of a voice on one connection after the other, sans-IO.

The service has one queue for each connection, and its audio carries no id. So one utterance at a time is with the
service, and the others wait here: what comes is of that one, a cancelled one that waits costs nothing, and a `Clear`
takes away nothing else. The service makes audio faster than it plays, so that the next one is not late.

* The service may hold text back until a `Flush`, which it answers by `Flushed` behind the audio. There is one behind
  each piece of text, so that it is heard at once, as long as enough are left for the ends of utterances.
* The end of an utterance is a `Flush`, too. When the limit on flushes is used up, it is a `Close`: the service speaks
  the rest and closes, and the next utterance has a connection of its own.
* A cancelled utterance is a `Clear`. All audio before `Cleared` is void. The next utterance is sent right behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from patter_core.events import Usage
from patter_deepgram.flushes import FlushBudget
from patter_deepgram.wire.speak import CLEAR, CLOSE, FLUSH, encode_speak
from patter_pipeline.parts import UtteranceDone

__all__ = ["LONGEST_TEXT", "RESERVE", "Step", "Utterances", "pieces"]

LONGEST_TEXT = 2_000
"""Characters of one message."""

RESERVE = 10
"""Flushes in a window that are left for the ends of utterances."""

Step = bytes | UtteranceDone | Usage
"""What follows: a message to the service, or an event."""


class _Utterance(msgspec.Struct):
    id: str
    text: str = ""
    sent: int = 0
    """Characters of the text that the service has."""
    billed: int = 0
    """Characters that were sent, on all connections, and are not told."""
    flushed: int = 0
    """Characters of the text that were followed by a flush."""
    pending: int = 0
    """Flushes that are not answered."""
    is_finished: bool = False
    is_flushed: bool = False
    """Its end was sent."""
    is_closing: bool = False
    """Its end is that of the connection."""
    is_heard: bool = False
    """Audio of it came."""
    is_retried: bool = False
    """It was sent again on another connection."""


class Utterances:
    """The state of one session.

    Args:
        bill: returns what so many characters are billed.
        now: a monotonic clock, in s.
    """

    def __init__(self, bill: Callable[[int], Usage], now: Callable[[], float]) -> None:
        self._bill = bill
        self._now = now
        self._online = False
        self._flushes = FlushBudget()
        self._current: _Utterance | None = None
        """The one that is with the service."""
        self._waiting: deque[_Utterance] = deque()
        self._clears = 0
        """`Clear`s that are not answered."""

    @property
    def wants_connection(self) -> bool:
        """There is something to say, and no connection."""
        return not self._online and self._current is not None

    # --- what the pipeline asks for --------------------------------------------------------------------------------

    def speak(self, utterance: str, text: str) -> list[Step]:
        """Takes more text of an utterance."""
        one = self._unfinished(utterance)
        if one is None:
            one = _Utterance(utterance)
            self._waiting.append(one)
        one.text += text
        return self._go_on() if one is not self._current else self._send(one)

    def finish(self, utterance: str) -> list[Step]:
        """The text of an utterance is whole."""
        one = self._unfinished(utterance)
        if one is None:
            return []
        one.is_finished = True
        return self._send(one) if one is self._current else []

    def cancel(self, utterance: str) -> tuple[list[Step], bool]:
        """An utterance is void. Returns what follows, and True if the connection is of no use any more."""
        current = self._current
        if current is None or current.id != utterance:
            self._waiting = deque(one for one in self._waiting if one.id != utterance)
            return [], False
        self._current = None
        billed = self._billed(current)
        if current.is_closing:
            self._online = False
            return [*billed, *self._go_on()], True
        cleared: list[Step] = []
        if self._online and current.sent:
            self._clears += 1
            cleared = [CLEAR]
        return [*cleared, *billed, *self._go_on()], False

    # --- what the service says -------------------------------------------------------------------------------------

    def audio(self) -> str | None:
        """Audio came. Returns the utterance that it is of; None if it is void."""
        if self._clears or self._current is None:
            return None
        self._current.is_heard = True
        return self._current.id

    def flushed(self) -> list[Step]:
        """The service has sent all audio before a `Flush`."""
        current = self._current
        if self._clears or current is None or not current.pending:
            return []  # of an utterance that was cancelled
        if not current.is_heard and any(letter.isalnum() for letter in current.text):
            return []  # of an utterance that is done already: this one has not begun
        current.pending -= 1
        return self._done(current) if current.is_flushed and not (current.pending or current.is_closing) else []

    def cleared(self) -> None:
        """The service has dropped what was before a `Clear`."""
        self._clears = max(0, self._clears - 1)

    def flush_refused(self) -> list[Step]:
        """The service takes no more flushes for a while."""
        self._flushes.use_up(self._now())
        current = self._current
        if current is None or not current.pending or current.is_closing:
            return []
        if not current.is_flushed:  # its end will be a `Close`
            current.pending -= 1
            current.flushed = 0
            return []
        current.is_closing = True
        return [CLOSE]

    # --- connections -----------------------------------------------------------------------------------------------

    def connected(self) -> list[Step]:
        """There is a new connection. Returns what is sent: all of the present utterance."""
        self._online = True
        self._flushes = FlushBudget()
        self._clears = 0
        if self._current is None:
            return self._go_on()
        self._current.sent = self._current.flushed = self._current.pending = 0
        self._current.is_flushed = self._current.is_closing = False
        return self._send(self._current)

    def lost(self, *, in_order: bool) -> tuple[list[Step], bool]:
        """The connection is closed. Returns what follows, and True if the present utterance can be saved.

        One that was not heard yet is sent again, once: the service may have closed an idle connection meanwhile.

        Args:
            in_order: it was closed as after a `Close`.
        """
        self._online = False
        current = self._current
        if current is None:
            return [], True
        if current.is_closing and in_order:
            return self._done(current), True
        if current.is_heard or current.is_retried:
            return [], False
        current.is_retried = True
        return [], True

    def over(self) -> list[Step]:
        """The session ends. Returns what is still to be told."""
        current, self._current = self._current, None
        self._waiting.clear()
        self._online = False
        return self._billed(current) if current is not None else []

    def unbilled(self) -> list[Step]:
        """Returns what was used and not told: it is told once."""
        return self._billed(self._current) if self._current is not None else []

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _unfinished(self, utterance: str) -> _Utterance | None:
        current = self._current
        if current is not None and current.id == utterance and not current.is_finished:
            return current
        return next((one for one in self._waiting if one.id == utterance and not one.is_finished), None)

    def _go_on(self) -> list[Step]:
        if self._current is not None or not self._waiting:
            return []
        self._current = self._waiting.popleft()
        return self._send(self._current)

    def _send(self, one: _Utterance) -> list[Step]:
        """Sends what is new of the present utterance; blanks only with the words after them."""
        if not self._online:
            return []
        steps: list[Step] = []
        new = one.text[one.sent :]
        if new.strip():
            steps += [encode_speak(piece) for piece in pieces(new)]
            one.sent = len(one.text)
            one.billed += len(new)
        if one.is_flushed:
            return steps
        if not one.is_finished:
            if steps and self._flushes.take(self._now(), reserve=RESERVE):
                steps.append(self._flush(one))
            return steps
        if not one.sent:  # nothing but blanks
            return [*steps, *self._done(one)]
        one.is_flushed = True
        if one.flushed == one.sent:
            return [*steps, *([] if one.pending else self._done(one))]
        one.is_closing = not self._flushes.take(self._now())
        return [*steps, CLOSE if one.is_closing else self._flush(one)]

    def _flush(self, one: _Utterance) -> bytes:
        one.flushed = one.sent
        one.pending += 1
        return FLUSH

    def _done(self, one: _Utterance) -> list[Step]:
        self._current = None
        return [*self._billed(one), UtteranceDone(one.id), *self._go_on()]

    def _billed(self, one: _Utterance) -> list[Step]:
        characters, one.billed = one.billed, 0
        return [self._bill(characters)] if characters else []


def pieces(text: str) -> list[str]:
    """Returns a text in pieces that the service takes, cut behind a blank where there is one."""
    cut: list[str] = []
    while len(text) > LONGEST_TEXT:
        end = text.rfind(" ", 0, LONGEST_TEXT) + 1 or LONGEST_TEXT
        cut.append(text[:end])
        text = text[end:]
    return [*cut, text]
