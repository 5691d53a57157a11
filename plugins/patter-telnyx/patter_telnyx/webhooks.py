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

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, CallRouter, Reject, RoutedCall
from patter_telnyx.client_state import ClientState, stream_mark
from patter_telnyx.control import Control, recording_id
from patter_telnyx.events import Delivery, Payload
from patter_telnyx.rest import is_gone

__all__ = ["Webhooks"]

_log = logging.getLogger("patter.telnyx")


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """One event, with all that it takes to act on it."""

    call: Payload
    leg: Leg
    state: ClientState
    event_id: str
    router: CallRouter
    routed: RoutedCall


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

    async def take(self, delivery: Delivery, router: CallRouter) -> None:
        """Act on a verified event, if it is new and means anything here.

        Raises:
            CarrierRequestFailed: what follows from it could not be done; it should come again.
            WebhookRefused: its payload cannot be read.
        """
        event = delivery.event
        handle = self._handlers.get(event.event_type)
        if handle is None:
            return
        told = self._told(delivery, event.call, router)
        if not event.id:
            await self._act(handle, told)
            return
        with router.seen(event.id) as seen:
            if not seen:
                await self._act(handle, told)

    async def _act(self, handle: Callable[[_Told], Awaitable[None]], told: _Told) -> None:
        try:
            await handle(told)
        except CarrierRequestFailed as error:
            if not is_gone(error):
                raise
            await told.routed.progressed(Progress.COMPLETED)

    def _told(self, delivery: Delivery, call: Payload, router: CallRouter) -> _Told:
        state = ClientState.decode(call.client_state)
        outgoing = state.dialled or call.direction == "outgoing"
        leg = Leg(
            carrier=self._carrier,
            call_id=call.call_control_id,
            direction=Direction.OUTBOUND if outgoing else Direction.INBOUND,
            from_number=call.from_ or "",
            to_number=call.to or "",
        )
        return _Told(
            call=call,
            leg=leg,
            state=state,
            event_id=delivery.event.id,
            router=router,
            routed=router.call(leg, delivery.verified_url, state.token),
        )

    # --- a call begins ---------------------------------------------------------------------------------------------

    async def _initiated(self, told: _Told) -> None:
        if told.leg.direction is Direction.OUTBOUND:
            if told.state.dialled:
                await told.routed.progressed(Progress.RINGING)
            return
        outcome = await told.routed.arrived()
        match outcome:
            case Accept():
                await self._control.answer(told.leg, outcome)
            case Transfer():
                await self._control.answer_to_transfer(told.leg, outcome)
            case Reject():
                await self._control.reject(told.leg, busy=outcome.reason == "busy")

    async def _answered(self, told: _Told) -> None:
        state = told.state
        if state.transfer_to:
            await self._control.transfer(told.leg, state.transfer_to, state.announcement, told.event_id)
        if not state.dialled:  # an incoming call has its stream from the answer
            return
        outcome = await told.routed.arrived()
        match outcome:
            case Accept():
                await self._control.start_stream(told.leg, outcome)
            case Transfer():
                await self._control.transfer(told.leg, outcome.to, outcome.say, told.event_id)
            case Reject():
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
        with told.router.seen(f"{stream} over") as seen:
            if seen:
                return
            outcome = await told.routed.stream_ended()
            match outcome:
                case Accept():
                    await self._control.start_stream(told.leg, outcome, stream)
                case Transfer():
                    await self._control.transfer(told.leg, outcome.to, outcome.say, stream)
                case HangUp(say=""):
                    await self._control.hang_up(told.leg.call_id)
                case HangUp():
                    await self._control.say_and_hang_up(told.leg, outcome.say, stream)

    async def _spoken(self, told: _Told) -> None:
        if told.state.transfer_to:
            await self._control.transfer(told.leg, told.state.transfer_to, "", told.event_id)
        elif told.state.hang_up:
            await self._control.hang_up(told.leg.call_id)

    async def _detected(self, told: _Told) -> None:
        await told.routed.answered_by(told.call.answered_by)

    async def _greeting_ended(self, told: _Told) -> None:
        """By a beep, or by silence: in any case it listens now."""
        await told.routed.answered_by(AnsweredBy.MACHINE_READY)

    async def _recording_saved(self, told: _Told) -> None:
        await told.routed.recording_changed(told.call.recording(recording_id(told.leg), "completed"))

    async def _recording_failed(self, told: _Told) -> None:
        await told.routed.recording_changed(told.call.recording(recording_id(told.leg), "failed"))

    # --- it ends ---------------------------------------------------------------------------------------------------

    async def _hung_up(self, told: _Told) -> None:
        if told.state.leg_of:  # whoever it was transferred to is gone, or never came
            await self._control.hang_up(told.state.leg_of)
            return
        await told.routed.progressed(told.call.progress)

    async def _priced(self, told: _Told) -> None:
        cost = told.call.cost
        if cost is None:
            _log.warning("Telnyx named a price that is none.")
            return
        await told.routed.priced(cost)
