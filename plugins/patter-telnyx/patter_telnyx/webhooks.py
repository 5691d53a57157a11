"""What becomes of each event: the desk is told, and asked, and what it says is done.

Telnyx does not read the answer to a webhook: what is to happen is said by commands. Events come unordered, twice and to
any worker. So an event is taken once by its id; a command that follows from one has an id that every worker would give
it; and what was to happen next is in the event itself (`ClientState`). A handling that fails is forgotten again and
answered with 500, by which Telnyx sends the event once more.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from patter_core.carrier import Admission, CallDesk, Rejection
from patter_core.control import Farewell, Handover, ticket_in
from patter_core.errors import CarrierRequestFailed
from patter_core.leg import AnsweredBy, Direction, Leg, Progress
from patter_telnyx.control import Control, recording_id
from patter_telnyx.events import Delivery, Payload
from patter_telnyx.rest import is_gone
from patter_telnyx.state import ClientState, stream_mark

__all__ = ["Webhooks"]

_log = logging.getLogger("patter.telnyx")


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """One event, with all that it takes to act on it."""

    call: Payload
    leg: Leg
    state: ClientState
    ticket: str
    verified_url: str
    event_id: str
    desk: CallDesk


class Webhooks:
    """Acts on the events of one account."""

    def __init__(self, carrier: str, control: Control) -> None:
        self._carrier = carrier
        self._control = control
        self._handlers: Mapping[str, Callable[[_Told], Awaitable[None]]] = {
            "call.initiated": self._initiated,
            "call.answered": self._answered,
            "call.hangup": self._hung_up,
            "call.speak.ended": self._spoken,
            "streaming.stopped": self._stream_over,
            "streaming.failed": self._stream_over,
            "call.machine.detection.ended": self._detected,
            "call.machine.premium.detection.ended": self._detected,
            "call.machine.greeting.ended": self._greeting_ended,
            "call.machine.premium.greeting.ended": self._greeting_ended,
            "call.recording.saved": self._recording_saved,
            "call.recording.error": self._recording_failed,
            "call.cost": self._priced,
        }

    async def take(self, delivery: Delivery, desk: CallDesk) -> None:
        """Act on a verified event, if it is new and means anything here.

        Raises:
            CarrierRequestFailed: what follows from it could not be done; it should come again.
            WebhookRefused: its payload cannot be read.
        """
        event = delivery.event
        handle = self._handlers.get(event.event_type)
        if handle is None:
            return
        told = self._told(delivery, event.call, desk)
        if event.id and not desk.first_time(event.id):
            return
        try:
            await self._act(handle, told)
        except BaseException:
            desk.forget(event.id)
            raise

    async def _act(self, handle: Callable[[_Told], Awaitable[None]], told: _Told) -> None:
        try:
            await handle(told)
        except CarrierRequestFailed as error:
            if not is_gone(error):
                raise
            await told.desk.progress(told.leg, Progress.COMPLETED, told.ticket)

    def _told(self, delivery: Delivery, call: Payload, desk: CallDesk) -> _Told:
        state = ClientState.decode(call.client_state)
        outgoing = state.dialled or call.direction == "outgoing"
        return _Told(
            call=call,
            leg=Leg(
                carrier=self._carrier,
                call_id=call.call_control_id,
                direction=Direction.OUTBOUND if outgoing else Direction.INBOUND,
                from_number=call.from_ or "",
                to_number=call.to or "",
            ),
            state=state,
            ticket=state.ticket or ticket_in(delivery.verified_url),
            verified_url=delivery.verified_url,
            event_id=delivery.event.id,
            desk=desk,
        )

    # --- a call begins ---------------------------------------------------------------------------------------------

    async def _initiated(self, told: _Told) -> None:
        if told.leg.direction is Direction.OUTBOUND:
            if told.state.dialled:
                await told.desk.progress(told.leg, Progress.RINGING, told.ticket)
            return
        outcome = await told.desk.announce(told.leg, told.verified_url)
        match outcome:
            case Admission():
                await self._control.answer(told.leg, outcome)
            case Handover():
                await self._control.answer_to_transfer(told.leg, outcome)
            case Rejection():
                await self._control.reject(told.leg, busy=outcome.reason == "busy")

    async def _answered(self, told: _Told) -> None:
        state = told.state
        if state.transfer_to:
            await self._control.transfer(told.leg, state.transfer_to, state.announcement, told.event_id)
        if not state.dialled:  # an incoming call has its stream from the answer
            return
        outcome = await told.desk.announce(told.leg, told.verified_url, told.ticket)
        match outcome:
            case Admission():
                await self._control.start_stream(told.leg, outcome)
            case Handover():
                await self._control.transfer(told.leg, outcome.to, outcome.announcement, told.event_id)
            case Rejection():
                await self._control.hang_up(told.leg.call_id)

    # --- while it lasts --------------------------------------------------------------------------------------------

    async def _stream_over(self, told: _Told) -> None:
        """The stream was stopped, or broke off: what now? Both may be said of one stream, and late."""
        state, url = told.state, told.call.media_url
        if state.streamless or state.leg_of:
            return
        if url and state.stream and stream_mark(url) != state.stream:
            return  # an older one: the call has had another since
        stream = url or told.call.stream_id or told.event_id
        if not told.desk.first_time(f"{stream} over"):
            return
        try:
            outcome = await told.desk.after_stream(told.leg, told.verified_url, told.ticket)
            match outcome:
                case Admission():
                    await self._control.start_stream(told.leg, outcome, stream)
                case Handover():
                    await self._control.transfer(told.leg, outcome.to, outcome.announcement, stream)
                case Farewell(text=""):
                    await self._control.hang_up(told.leg.call_id)
                case Farewell():
                    await self._control.say_and_hang_up(told.leg, outcome.text, stream)
        except BaseException:
            told.desk.forget(f"{stream} over")
            raise

    async def _spoken(self, told: _Told) -> None:
        if told.state.transfer_to:
            await self._control.transfer(told.leg, told.state.transfer_to, "", told.event_id)
        elif told.state.hang_up:
            await self._control.hang_up(told.leg.call_id)

    async def _detected(self, told: _Told) -> None:
        await told.desk.answered_by(told.leg, told.call.answered_by, told.ticket)

    async def _greeting_ended(self, told: _Told) -> None:
        """By a beep, or by silence: in any case it listens now."""
        await told.desk.answered_by(told.leg, AnsweredBy.MACHINE_READY, told.ticket)

    async def _recording_saved(self, told: _Told) -> None:
        await told.desk.recording(told.leg, told.call.recording(recording_id(told.leg), "completed"), told.ticket)

    async def _recording_failed(self, told: _Told) -> None:
        await told.desk.recording(told.leg, told.call.recording(recording_id(told.leg), "failed"), told.ticket)

    # --- it ends ---------------------------------------------------------------------------------------------------

    async def _hung_up(self, told: _Told) -> None:
        if told.state.leg_of:  # whoever it was transferred to is gone, or never came
            await self._control.hang_up(told.state.leg_of)
            return
        await told.desk.progress(told.leg, told.call.progress, told.ticket)

    async def _priced(self, told: _Told) -> None:
        cost = told.call.cost
        if cost is None:
            _log.warning("Telnyx named a price that is none.")
            return
        await told.desk.priced(told.leg, cost, told.ticket)
