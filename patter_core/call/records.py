"""Turns what happens on a call into records, and hands each to the history, the sinks and the user's callbacks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from patter_core.call.history import Deposit, History, HistoryWriter
from patter_core.events import AudioCaptured, CallEvent, Record
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.observe.text import TextBudget, bounded
from patter_core.observe.trace import TraceContext
from patter_core.store import HistoryLine

__all__ = ["Outlets", "RecordMaker", "Records"]


class Outlets(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of one call go. Nothing here ever waits."""

    put: tuple[Callable[[Record], None], ...] = ()
    put_audio: Callable[[Record], None] | None = None
    """Takes records with audio; None if no sink wants audio."""
    recordings: Sequence[tuple[str, str]] = ()
    """The name of each sink that records the call, and where."""
    history: HistoryWriter = msgspec.field(default_factory=lambda: HistoryWriter(None))


class RecordMaker:
    """Makes the records of one call and numbers them, while the call lasts and afterwards.

    Args:
        call_id: Patter's own id.
        clock: monotonic, in s.
        began_at: when the call began, on that clock; None if unknown.
    """

    def __init__(self, call_id: str, clock: Callable[[], float], began_at: float | None = None) -> None:
        self.call_id = call_id
        self.began_at = began_at
        self._clock = clock
        self._sequence = 0
        self.trace = TraceContext.of_call(call_id)
        self._traceparent = self.trace.traceparent

    def numbered(self, event: CallEvent) -> Record:
        """Returns the next record."""
        self._sequence += 1
        return self._make(self._sequence, event)

    def unnumbered(self, event: CallEvent) -> Record:
        """Returns a record that is not kept in order with the others: of audio."""
        return self._make(0, event)

    def _make(self, sequence: int, event: CallEvent) -> Record:
        return Record(
            call_id=self.call_id,
            sequence=sequence,
            time=time.time(),
            elapsed_ms=0.0 if self.began_at is None else (self._clock() - self.began_at) * 1000,
            event=event,
            trace=self._traceparent,
        )


class Records:
    """The records of one call: where they go, and the history that they tell.

    Args:
        call_id: Patter's own id.
        outlets: where they go.
        clock: monotonic, in s.
        before: for how many s other workers had the call.
    """

    def __init__(self, call_id: str, outlets: Outlets, clock: Callable[[], float], *, before: float = 0.0) -> None:
        self.history = History()
        self.may_record = True
        """False until the caller has heard the notice."""
        self.accepted_at = clock()
        """When this worker took the call."""
        self.began_at = self.accepted_at - before
        """When the call began, here or at another worker: its records count from there."""
        self._accepted_ms = time.time() * 1000
        self.maker = RecordMaker(call_id, clock, self.began_at)
        self._outlets = outlets
        self._clock = clock
        self._budget = TextBudget()
        self._prefix = secrets.token_hex(4)
        """Of the ids of items: those of another worker that has the call are others."""
        self._items = 0
        self.tools_running: set[str] = set()
        """The ids of the tools that run on this worker."""
        self._last: Deposit | None = None
        """What was put last."""

    @property
    def captures_audio(self) -> bool:
        """True if a sink wants the call's audio."""
        return self._outlets.put_audio is not None

    @property
    def recordings(self) -> Sequence[tuple[str, str]]:
        """The name of each sink that records the call, and where."""
        return self._outlets.recordings

    def emit(self, event: CallEvent) -> None:
        """Records an event, whose texts are shortened if they are very long, or many. Never waits."""
        event = self._budget.bound(event, self._clock())
        record = self.maker.numbered(event)
        for put in self._outlets.put:
            put(record)

    def capture(self, audio: AudioCaptured) -> None:
        """Records audio, for the sinks that want it, if the call may be recorded yet. Never waits."""
        assert self._outlets.put_audio is not None  # nothing is captured otherwise
        if self.may_record:
            self._outlets.put_audio(self.maker.unnumbered(audio))

    def unix_ms(self) -> float:
        """Returns the time, in Unix ms: on one worker it goes forward with the call's clock."""
        return self._accepted_ms + (self._clock() - self.accepted_at) * 1000

    def keep(self, item: UserSaid | AgentSaid, item_id: str = "") -> str:
        """Puts what was said into the history and the store. Returns its id, by which it can be replaced. Never waits.

        Args:
            item: one without text takes back what it replaces.
            item_id: of what it replaces; "" for a new item.
        """
        if not item_id:
            self._items += 1
            item_id = f"{self._prefix}.{self._items}"
        self._put(HistoryLine(item_id, bounded(item)))
        return item_id

    def use_tool(self, item: ToolUsed) -> None:
        """Puts the use of a tool into the history and the store, in place of an earlier one with its id. Never waits.

        It is put before the tool runs: a worker that takes over the call later knows that it may have run.
        """
        if item.state is ToolState.RUNNING:
            self.tools_running.add(item.id)
        else:
            self.tools_running.discard(item.id)
        self._put(HistoryLine(f"tool.{item.id}", item))

    async def stored(self, within: float) -> bool:
        """Waits until what was put before is in the store. False if it is not after that time, in s, or never will be.

        Without a store it returns at once.
        """
        return await self._outlets.history.stored(self._last, within)

    def _put(self, line: HistoryLine) -> None:
        self.history.put(line)
        self._last = self._outlets.history.put(self.maker.call_id, line)

    async def fetch_history(self) -> None:
        """Puts in front what was said before this worker had the call, as the shared store has it."""
        self.history.precede(await self._outlets.history.history(self.maker.call_id))
