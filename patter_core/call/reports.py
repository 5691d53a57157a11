"""What the carrier reports of a call beside its media: how far it has come, and who answered."""

from __future__ import annotations

import logging

from patter_core.aio.event import Event
from patter_core.call.actions import Actions
from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.context import CallContext
from patter_core.call.state import Signal, State
from patter_core.events import CallAnswered, CallProgressed, MachineDetected
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import AnsweredBy, Direction, Progress
from patter_core.telephony.outcome import Reason

__all__ = ["CarrierReports"]

_log = logging.getLogger("patter.call")

_LOOK_UP_TIMEOUT = 5.0
"""Seconds for the carrier to report a call's status."""
_AUDIO_COMES_WITHIN = 2.0
"""Seconds from the answer: later it comes to another worker, or not at all."""
_SIGNAL_OF = {
    Progress.ANSWERED: Signal.ANSWERED,
    Progress.BUSY: Signal.BUSY,
    Progress.NO_ANSWER: Signal.NO_ANSWER,
    Progress.CANCELED: Signal.CANCELED,
    Progress.FAILED: Signal.DIAL_FAILED,
    Progress.COMPLETED: Signal.CARRIER_HUNG_UP,
}
_PROGRESS_OF = {
    Reason.BUSY: Progress.BUSY,
    Reason.NO_ANSWER: Progress.NO_ANSWER,
    Reason.CANCELED: Progress.CANCELED,
    Reason.DIAL_FAILED: Progress.FAILED,
    Reason.MOVED: Progress.ANSWERED,
}


class CarrierReports:
    """Takes the carrier's reports, in any order and repeatedly, and moves the call.

    Args:
        call: what the parts of the call share.
        actions: leaves the voicemail message.
        is_dialled: True for an outbound call that was not answered yet.
    """

    def __init__(self, call: CallContext, actions: Actions, *, is_dialled: bool) -> None:
        self.progress = Progress.DIALLING if is_dialled else Progress.RINGING
        self.answered_by: AnsweredBy | None = None
        self.was_answered = False
        self.answered = Event()
        """Set once the call was answered, or is over."""
        self._untold: float | None = None
        """When the call was answered, as long as no event has told it."""
        self._call = call
        self._actions = actions

    def note_progress(self, progress: Progress) -> None:
        """The carrier reports how far the call has come."""
        if self._call.is_over:
            return
        if progress.is_final:
            self._call.leg_is_over = True
        elif progress is Progress.RINGING and self.progress is Progress.DIALLING:
            self._progressed(progress)
        elif progress is Progress.ANSWERED:
            self.note_answer()
        signal = _SIGNAL_OF.get(progress)
        if progress.is_final and self.was_answered:  # whatever the carrier calls it, the call is over
            signal = Signal.CARRIER_HUNG_UP
        if signal is not None:
            self._call.signal(signal)

    def note_answer(self, *, is_here: bool = False) -> None:
        """The call was answered. Idempotent; another worker that had the call before has told it.

        Args:
            is_here: its media are here. Where they may come to another worker, that one tells it.
        """
        call = self._call
        if not self.answered.is_set():
            self.was_answered = True
            self.answered.set()
            call.meter.answered_at = self._untold = call.clock()
            self.progress = Progress.ANSWERED
        if is_here or call.leg.direction is Direction.INBOUND or not call.config.several_workers:
            self._tell_answer()

    def _tell_answer(self) -> None:
        call, answered_at, self._untold = self._call, self._untold, None
        if answered_at is None or call.was_elsewhere:
            return
        if call.leg.direction is Direction.OUTBOUND:
            self._progressed(Progress.ANSWERED)
        call.emit(CallAnswered(answer_ms=(answered_at - call.records.began_at) * 1000))

    @property
    def is_perhaps_elsewhere(self) -> bool:
        """True as long as another worker may have the audio."""
        return self._call.config.several_workers and self._call.state.media_at is None

    def note_answered_by(self, who: AnsweredBy) -> bool:
        """The carrier reports who answered. True if that is news.

        A machine that takes a message gets the one that this call has for it, if its audio is here.
        """
        call = self._call
        if call.is_over or who is self.answered_by:
            return False
        self.answered_by = who
        self.note_progress(Progress.ANSWERED)
        call.emit(MachineDetected(answered_by=who))
        message = call.token.options.voicemail_message
        if who is AnsweredBy.MACHINE_READY and message and not self.is_perhaps_elsewhere:
            call.start(self._actions.leave_voicemail, message)
        return True

    def note_end(self, reason: Reason) -> None:
        """The call is over. One that another worker has was answered, also if that was not told here."""
        if reason in {Reason.MOVED, Reason.VOICEMAIL}:
            self.was_answered = True
        if reason is not Reason.MOVED:
            self._tell_answer()
        final = Progress.COMPLETED if self.was_answered else Progress.CANCELED
        self.progress = _PROGRESS_OF.get(reason, final)
        self.answered.set()

    async def look_up(self) -> None:
        """Asks the carrier for the call's status: its webhooks may have gone to another worker."""
        call = self._call
        progress = await self._ask()
        if progress is None:
            return
        if call.config.several_workers and progress is Progress.ANSWERED:
            await self._is_elsewhere()
        else:
            self.note_progress(progress)

    async def look_elsewhere(self) -> None:
        """Asks the carrier whether a dialled call without audio here was answered: then another worker has it.

        The audio of one that was answered just now may still come here.
        """
        call, answered_at = self._call, self._call.meter.answered_at
        if answered_at is not None and call.clock() - answered_at < _AUDIO_COMES_WITHIN:
            return
        progress = await self._ask()
        if progress is not None and progress.is_final:
            self.note_progress(progress)
        elif progress is Progress.ANSWERED and self.is_perhaps_elsewhere:
            await self._is_elsewhere()

    async def _is_elsewhere(self) -> None:
        """The call is live, and its audio is not here: another worker has it, or the message is being left."""
        call = self._call
        has_message = call.message_elsewhere or call.message_beside
        if not has_message and call.token.options.voicemail_message:
            has_message = (await call.notes.of_others(call.call_id)).leaves_message
        call.signal(Signal.CARRIER_HUNG_UP if has_message else Signal.MOVED)

    async def look_up_end(self) -> None:
        """Asks the carrier whether the call is over: its stream was lost, and no webhook has come here.

        Then it was over when the stream was lost. A call on hold has had none for longer. A carrier that says of each
        stream why it ended is asked on hold alone.
        """
        call, stream_ended_at = self._call, self._call.state.entered_at
        if call.carrier.stream_end_is_call_end and call.state.state is not State.HELD:
            return
        progress = await self._ask()
        if progress is not None and progress.is_final:
            if call.state.state is not State.HELD and call.state.entered_at == stream_ended_at:
                call.meter.over_at = stream_ended_at
            self.note_progress(progress)

    async def _ask(self) -> Progress | None:
        """Returns the call's status as the carrier knows it; None if it does not say."""
        call = self._call
        if Capability.LOOK_UP not in call.carrier.capabilities:
            return None
        try:
            return Progress((await ask_carrier(call.carrier.look_up, _LOOK_UP_TIMEOUT, call.leg)).progress)
        except Exception:  # noqa: BLE001 - the plugin boundary: the status stays unknown
            _log.exception("Call %s: the carrier did not report the call's status.", call.call_id)
            return None

    def _progressed(self, progress: Progress) -> None:
        self.progress = progress
        self._call.emit(CallProgressed(progress=progress))
