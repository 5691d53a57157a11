"""Waits for what is due in a call: its deadlines, signs of life, and the end of its time."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from patter_core.call.context import CallContext
from patter_core.call.conversation import Conversation
from patter_core.call.media_leg import MediaLeg
from patter_core.call.reports import CarrierReports
from patter_core.call.state import Signal, State

__all__ = ["CallWatch"]


class CallWatch:
    """Runs as long as the call.

    Args:
        call: what the parts of the call share.
        media: its media socket.
        conversation: the engine's side.
        reports: what the carrier says of the call.
        may_prewarm: returns True if the conversation may start before the caller's audio is here.
    """

    def __init__(
        self,
        call: CallContext,
        media: MediaLeg,
        conversation: Conversation,
        reports: CarrierReports,
        *,
        may_prewarm: Callable[[], bool],
    ) -> None:
        self._call = call
        self._media = media
        self._conversation = conversation
        self._reports = reports
        self._may_prewarm = may_prewarm

    async def run(self) -> None:
        """Acts on what is due, until the call is over."""
        call, conversation = self._call, self._conversation
        while not call.is_over:
            prewarms = conversation.may_prewarm and not call.notice.by_carrier  # its agent would not be heard for long
            if call.state.state is State.ACCEPTED and prewarms and self._may_prewarm():
                conversation.begin(resumed=call.token.streams > 0)
            due = min(call.state.deadline(), self._media.probe_at, self._media.look_up_at) - call.clock()
            with anyio.move_on_after(min(due, 60 * self._minutes_left)):
                await call.changes.wait()
            if self._minutes_left <= 0:
                call.signal(Signal.TOO_LONG, "the conversation has lasted for Limits.engine_minutes")
            if self._media.look_up_if_due():
                call.start(self._find_out)
            await self._act()

    async def _find_out(self) -> None:
        """The stream was lost, and no webhook has told why: the call is over, or goes on without it."""
        await self._reports.look_up_end()
        self._media.tell_pause()

    async def _act(self) -> None:
        call = self._call
        asks = self._may_be_over_or_elsewhere or call.notice.by_carrier  # during which a caller may hang up, untold
        if asks and call.clock() >= call.state.deadline():
            await self._reports.look_up()
        overdue = call.state.overdue(call.clock())
        if overdue is None:
            self._media.probe_if_due()
        elif overdue is Signal.MEDIA_LOST:
            self._media.give_up()
        else:
            call.signal(overdue, self._why(overdue))

    def _why(self, overdue: Signal) -> str:
        """Returns what has not happened in time, for those who read of the call's end."""
        state = self._call.state
        if overdue is Signal.TOO_LONG:
            return "the call has lasted for Deadlines.longest_call"
        match state.state:
            case State.DIALLING:
                return "the carrier did not report in time what became of the call (Deadlines.answer)"
            case State.MEDIA_READY:
                return "the engine was not ready in time (Deadlines.engine_connect)"
            case State.ACCEPTED | State.ENGINE_READY if state.media_at is None:
                return "the carrier did not bring the caller's audio in time (Deadlines.media_start)"
            case State.ACCEPTED | State.ENGINE_READY:
                return "the caller's audio did not come back in time (Deadlines.media_return)"
            case _:
                return ""

    @property
    def _minutes_left(self) -> float:
        is_ending = self._call.state.state in {State.ENDING, State.ENDED}
        return math.inf if is_ending else self._conversation.minutes_left

    @property
    def _may_be_over_or_elsewhere(self) -> bool:
        call, was_here = self._call, self._media.was_here
        state = call.state.state
        if state is State.DIALLING:
            return True
        if state not in {State.ACCEPTED, State.ENGINE_READY} or call.was_held:
            return False
        if was_here and not call.carrier.stream_end_is_call_end:
            return True
        return call.config.several_workers and (call.carrier.asks_at_stream_end or not was_here)
