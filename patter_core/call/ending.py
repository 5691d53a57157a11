"""The end of a call: its leg, then its media socket."""

from __future__ import annotations

import logging

import anyio

from patter_core.aio.event import Event
from patter_core.aio.foreign import as_exception
from patter_core.call.context import CallContext
from patter_core.call.hangup import LegEnd, end_leg, may_be_on_another_worker, must_end_leg
from patter_core.call.media_leg import MediaLeg
from patter_core.telephony.leg import Direction
from patter_core.telephony.outcome import By, HangUp, Reason, Transfer

__all__ = ["Ending"]

_log = logging.getLogger("patter.call")

_ENDS_OF_ITS_OWN = frozenset(
    {
        Reason.BUSY,
        Reason.NO_ANSWER,
        Reason.CANCELED,
        Reason.DIAL_FAILED,
        Reason.MOVED,
        Reason.TRANSFERRED,
    }
)
"""Ends of which no other worker knows more."""
_ENDS_OF_STREAM = frozenset({Reason.CALLER_HUNG_UP, Reason.MEDIA_LOST, Reason.NO_MEDIA})
"""Ends that follow from a stream's end, or from none: a message may be the cause."""
_LEG_END_GRACE = 1.0
"""Seconds for the carrier to end its leg, before the media socket is closed."""


class Ending:
    """Ends the leg of a call that is over here, unless another worker may have it.

    Args:
        call: what the parts of the call share.
        media: its media socket.
    """

    def __init__(self, call: CallContext, media: MediaLeg) -> None:
        self.leg_end: LegEnd | None = None
        """What came of ending the leg; None if that was not our part."""
        self._call = call
        self._media = media

    @property
    def may_be_on_another_worker(self) -> bool:
        """True if the call is over here, but another worker may have it, now or soon."""
        was_left = self.leg_end is LegEnd.LEFT and self._call.state.reason is Reason.NO_MEDIA
        return was_left or may_be_on_another_worker(self._call)

    async def ask_others(self) -> None:
        """Asks the other workers, by their notes in the store, whose the end is, and why. Never raises.

        It is theirs if a later stream came to one of them: each call has one end. One that has left a message knows
        why a stream ended.
        """
        call = self._call
        if not call.config.several_workers or call.state.reason in _ENDS_OF_ITS_OWN:
            return
        message = call.token.options.voicemail_message and call.leg.direction is Direction.OUTBOUND
        if self._media.is_open and not message:
            return
        others = await call.notes.of_others(call.call_id)
        if not self._media.is_open and others.streams > call.streams_here:
            self._correct(Reason.MOVED)
        elif message and others.leaves_message and call.state.reason in _ENDS_OF_STREAM:
            self._correct(Reason.VOICEMAIL)

    def _correct(self, reason: Reason) -> None:
        """The call ended in another way, as another worker knows."""
        state = self._call.state
        state.reason, state.by, state.detail = reason, By.HOST, ""

    async def end(self, final_action: HangUp | Transfer) -> None:
        """Ends the leg, then closes the media socket. Never raises.

        In that order: a carrier that finds the socket closed first asks what is next, perhaps another worker. But one
        that does not answer leaves no caller in silence.
        """
        async with anyio.create_task_group() as tasks:
            done = Event()
            tasks.start_soon(self._end_leg_if_due, final_action, done)
            with anyio.move_on_after(_LEG_END_GRACE):
                await done.wait()
            self._media.close()

    async def end_leg(self, final_action: HangUp | Transfer) -> LegEnd:
        """Ends the leg at the carrier. Never raises."""
        self.leg_end = await end_leg(self._call, final_action, self._media.downlink.hang_up)
        return self.leg_end

    async def _end_leg_if_due(self, final_action: HangUp | Transfer, done: Event) -> None:
        try:
            if must_end_leg(self._call):
                await self.end_leg(final_action)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.error("Call %s: its leg could not be ended.", self._call.call_id, exc_info=as_exception(error))
            self.leg_end = LegEnd.FAILED
        finally:
            done.set()
