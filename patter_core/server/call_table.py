"""The calls of one worker: in flight, being dialled, and over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.hangup import LegEnd
from patter_core.call.history import HistoryWriter
from patter_core.call.notice import longest_speech
from patter_core.call.records import RecordMaker
from patter_core.call.shared_notes import SharedNotes
from patter_core.call.state import Signal, State
from patter_core.call.token import CallToken
from patter_core.errors import WorkerStopping
from patter_core.server.bounded import BoundedDict
from patter_core.server.rate_limit import RateLimit
from patter_core.server.reserved import ReservedCalls
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["AWAITS_AUDIO", "WITHOUT_AUDIO", "CallTable", "EndedCall", "OtherWorkers"]

_ENDED_CALLS = 10_000
"""Ended calls that are remembered."""
_TAKEN_CALLS = 10_000
"""New calls that are remembered, so that each counts once."""
_PATIENCE = 1 / 3
"""What part of `Deadlines.media_start` is enough for audio that comes at all."""
_LOOK_EVERY = 0.05
"""Seconds between two looks at what other workers do while there is no room: each reads all of their notes."""
_ASK_EVERY = 1.0
"""Seconds between two looks into the store."""
_ASK_FOR = 20
"""Calls, in one look."""
_GAVE_WAY = "the carrier had not brought the caller's audio, and another call needed the room"
AWAITS_AUDIO = frozenset({State.ACCEPTED, State.ENGINE_READY})
"""States of a call whose audio has not come, or has not come back."""
WITHOUT_AUDIO = AWAITS_AUDIO | {State.DIALLING, State.HELD}

LegKey = tuple[str, str]
"""As in `Leg.key`."""


class EndedCall(msgspec.Struct):
    """A call that is over, for what its carrier reports or asks afterwards."""

    records: RecordMaker
    final_action: HangUp | Transfer = HangUp()
    may_be_on_another_worker: bool = False
    was_left: bool = False
    """Its leg was not ended: the audio never came here, and it was live."""

    @classmethod
    def of(cls, call: Call) -> EndedCall:
        """What is remembered of a call."""
        was_left = call.leg_end is LegEnd.LEFT
        return cls(call.context.records.maker, call.final_action, call.may_be_on_another_worker, was_left)

    @classmethod
    def unknown(cls, call_id: str) -> EndedCall:
        """What is known of a call that never was in flight here."""
        return cls(RecordMaker(call_id, time.monotonic))


class OtherWorkers(Protocol):
    """What a worker tells the other ones of its server, and learns of them. Nothing here ever waits."""

    def note_stream(self, call_id: str, streams: int) -> None:
        """A stream of a call came to this worker; `streams` is how many the call had before."""

    def note_end(self, leg: Leg) -> None:
        """The carrier reported to this worker that a leg is over, which is not here."""

    def take_report(self, call_id: str, who: AnsweredBy) -> Callable[[], None] | None:
        """This worker takes a report of a machine. Returns what takes that back; None if another one has taken it."""

    def look(self, table: CallTable) -> None:
        """Finds out what other workers have done with the calls of this one."""


class NoOthers:
    """Implements `OtherWorkers` for a worker that is alone on its server."""

    def note_stream(self, call_id: str, streams: int) -> None:
        """Does nothing."""

    def note_end(self, leg: Leg) -> None:
        """Does nothing."""

    def take_report(self, call_id: str, who: AnsweredBy) -> Callable[[], None] | None:
        """Does nothing."""
        return lambda: None

    def look(self, table: CallTable) -> None:
        """Does nothing."""


class CallTable:
    """Finds calls by the carrier's id or by token, and decides whether the worker takes a new one."""

    def __init__(self, config: HostConfig, history: HistoryWriter | None = None) -> None:
        self.draining = False
        """True while the worker takes no new calls, because it is stopping."""
        self.room = config.limits.calls
        """How many calls the process has room for; no more are taken, whatever the limit is."""
        self.dialling: dict[str, list[Progress]] = {}
        """What webhooks report of calls for which the carrier's API has not answered yet, by call id."""
        self.routing: dict[LegKey, list[Progress]] = {}
        """What webhooks report of new calls while it is decided who takes them."""
        self.reserved = ReservedCalls()
        """Calls that were accepted here, and whose audio has come neither here nor, as far as is known, elsewhere."""
        self.others: OtherWorkers = NoOthers()
        """The other workers of this server."""
        self.notes = SharedNotes((history if config.several_workers else None) or HistoryWriter(None))
        """What all workers tell each other in the store."""
        self._config = config
        self._calls: dict[str, Call] = {}
        self._by_leg: dict[LegKey, Call] = {}
        self._ended: BoundedDict[str, EndedCall] = BoundedDict(_ENDED_CALLS)
        self._ended_legs: BoundedDict[LegKey, EndedCall] = BoundedDict(_ENDED_CALLS)
        self._rate = RateLimit(config.limits.calls_per_second, time.monotonic())
        self._taken: BoundedDict[LegKey, bool] = BoundedDict(_TAKEN_CALLS)
        self._removals = Changes()
        self._looked_at = -math.inf

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> list[Call]:
        """The calls in flight."""
        return list(self._calls.values())

    @property
    def watched(self) -> list[Call]:
        """The calls in flight that another worker may have, or on which it may have a message left."""
        return [
            call
            for call in self._calls.values()
            if call.state in WITHOUT_AUDIO or call.context.token.options.voicemail_message
        ]

    @property
    def perhaps_elsewhere(self) -> list[Call]:
        """The dialled calls without audio here: another worker may have it, and may know alone of the answer."""
        return [
            call
            for call in self._calls.values()
            if call.state is State.DIALLING or (call.leg.direction is Direction.OUTBOUND and call.state in AWAITS_AUDIO)
        ]

    def look(self) -> None:
        """Finds out what other workers of this server have done with calls of this one. Never waits."""
        self.others.look(self)

    async def ask_store(self) -> None:
        """Finds out while there is no room, by the store, which reserved calls other hosts have. Runs until cancelled.

        Only so many are asked for at a time: the store has more to do then.
        """
        while self._config.several_workers and self._config.store is not None:
            await anyio.sleep(_ASK_EVERY)
            for call in [] if self.is_ready else islice(self.reserved, _ASK_FOR):
                others = await self.notes.of_others(call.call_id)
                self.reserved.note_stream(call.leg, others.streams)

    def stream_came(self, call: Call, streams: int) -> None:
        """A stream of a call came to this worker; `streams` is how many it had before."""
        if call.is_over:  # its socket is refused, and says nothing of where the call is
            return
        call.context.streams_here = max(call.context.streams_here, streams + 1)
        self.others.note_stream(call.call_id, streams)
        self.notes.note_stream(call.call_id, streams + 1)

    # --- limits ----------------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """True if a new call would be taken. What is being dialled or routed counts, and what is reserved."""
        coming = self.coming
        live = sum(not call.is_over for call in self._calls.values())
        has_room = live + coming < self._config.limits.calls and len(self._calls) + coming < self.room
        return has_room and not self.draining

    @property
    def coming(self) -> int:
        """How many calls count against the limits and are not in flight here, or not yet."""
        dialling = sum(call_id not in self._calls for call_id in self.dialling)
        return dialling + len(self.routing) + self.reserved.count(time.monotonic())

    def take_new_call(self, leg: Leg | None = None) -> bool:
        """Counts a new call against the limits; False if it exceeds them.

        Args:
            leg: the call at its carrier, if it has come to that: one that arrives again has been counted.
        """
        if leg is not None and leg in self.reserved and not self.draining:  # its place is its own
            return True
        if not self.is_ready and time.monotonic() - self._looked_at > _LOOK_EVERY:
            self._looked_at = time.monotonic()
            self.look()  # another worker may have one of those that wait, or know that it is over
        if not self.is_ready and not self._end_silent_call():
            return False
        if leg is not None and leg.key in self._taken:
            return True
        if not self._rate.take(time.monotonic()):
            return False
        if leg is not None:
            self._taken.put(leg.key, True)
        return True

    def reserve(self, leg: Leg, token: CallToken, notice: str) -> None:
        """A call was accepted of which the carrier may bring the audio to any worker: it counts until that is known.

        It does so as long as audio may take that comes at all, or less.

        Args:
            leg: the call at its carrier.
            token: of the call.
            notice: what the carrier says before it brings the audio.
        """
        until = time.monotonic() + self._patience + longest_speech(notice)
        self.reserved.add(leg, token.call_id, streams=token.streams, until=until)

    def leg_ended(self, leg: Leg) -> None:
        """The carrier reported here that a leg is over: of a call of this worker or of another one."""
        self.reserved.drop(leg)
        if leg.key not in self._by_leg and leg.key not in self._ended_legs:
            self.others.note_end(leg)

    @property
    def _patience(self) -> float:
        """Seconds that a call has for its audio, after its notice, if there is no room for another."""
        return self._config.deadlines.media_start * _PATIENCE

    def give_back(self, leg: Leg) -> None:
        """The call that was taken last is not routed to any agent, and does not count."""
        if leg.key in self._taken:
            self._taken.drop(leg.key)
            self._rate.give_back()

    def _end_silent_call(self) -> bool:
        """Makes room by ending the call that has waited longest for its audio; False if none has waited long.

        A caller's audio comes within a second or two. A webhook that was recorded and sent again brings none, and many
        of them would leave no room for callers.
        """
        if self.draining:
            return False
        for call in self._calls.values():
            if call.state in AWAITS_AUDIO and not call.had_media and call.leg.direction is Direction.INBOUND:
                waited = call.context.clock() - call.context.records.accepted_at
                speech = longest_speech(call.context.notice.by_carrier)
                if waited > self._patience + speech and call.context.signal(Signal.DEADLINE, _GAVE_WAY):
                    return True
        return False

    def refuse_if_draining(self) -> None:
        """Raises `WorkerStopping` while the worker is stopping."""
        if self.draining:
            raise WorkerStopping("This worker is stopping.", remedy="Another one may take the call.")

    def may_prewarm(self) -> bool:
        """True if a conversation may start before the caller's audio is here.

        Not where there are several workers: the one that gets the stream would open another conversation.
        """
        prewarmed = sum(call.is_prewarmed for call in self._calls.values())
        return not self._config.several_workers and prewarmed < self._config.limits.prewarm

    # --- calls -----------------------------------------------------------------------------------------------------

    def add(self, call: Call) -> None:
        """Adds a call in flight."""
        self._calls[call.call_id] = call
        self._by_leg[call.leg.key] = call
        self.reserved.drop(call.leg)

    def remove(self, call: Call) -> None:
        """Removes a call that is over, and remembers it as ended."""
        ended = EndedCall.of(call)
        self._ended.put(call.call_id, ended)
        self._ended_legs.put(call.leg.key, ended)
        del self._calls[call.call_id]
        self._by_leg.pop(call.leg.key, None)
        self._removals.notify()

    def end_unknown(self, call_id: str) -> None:
        """Remembers a call as ended that never was in flight here."""
        self._ended.put(call_id, EndedCall.unknown(call_id))

    def get(self, call_id: str) -> Call | None:
        """Returns the call in flight with Patter's own id."""
        return self._calls.get(call_id)

    def find(self, leg: Leg, token: CallToken | None) -> Call | None:
        """Returns the call in flight, by the carrier's id, else by token."""
        call = self._by_leg.get(leg.key)
        return self._calls.get(token.call_id) if call is None and token is not None else call

    def find_ended(self, leg: Leg, token: CallToken | None) -> EndedCall | None:
        """Returns the ended call, by the carrier's id, else by token."""
        ended = self._ended_legs.get(leg.key)
        return self._ended.get(token.call_id) if ended is None and token is not None else ended

    def is_over(self, leg: Leg, token: CallToken | None) -> bool:
        """True if the call is over, on whichever worker."""
        ended = self.find_ended(leg, token)
        return ended is not None and not ended.may_be_on_another_worker

    def end_dialling(self, call_id: str) -> None:
        """The carrier's API has answered, or failed."""
        del self.dialling[call_id]
        self._removals.notify()

    async def wait_until_empty(self) -> None:
        """Waits until no call is in flight or being dialled."""
        await self._removals.wait_until(lambda: not self._calls and not self.dialling)
