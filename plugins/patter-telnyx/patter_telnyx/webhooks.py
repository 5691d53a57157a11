"""The handlers of Telnyx's events: what happened is reported to the router, and its decisions are carried out.

Telnyx does not read the answer to a webhook: actions are commands. Events come unordered, repeated, and to any worker.
So an event is handled once, by its id; a command that follows from an event has an id that every worker derives from
it; and the next step is in the event itself (`ClientState`). A handler that fails makes the event new again, and is
answered with 500, which makes Telnyx send the event once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import (
    Accept,
    CallRouter,
    Reject,
    RoutedCall,
    Webhook,
    WebhookRequest,
    WebhookResponse,
)
from patter_telnyx.client_state import ClientState, stream_mark
from patter_telnyx.control import Control, recording_id
from patter_telnyx.events import Delivery, Payload, read_event
from patter_telnyx.rest import is_gone
from patter_telnyx.signing import verify_webhook

__all__ = ["Webhooks"]

_CUT_SHORT, _WHOLE = "call_hangup", "completed"
"""The status of a text during which the call ended, and of one that was said to its end."""

_log = logging.getLogger("patter.telnyx")


class _Received(msgspec.Struct, frozen=True, kw_only=True):
    """One event, and what its handler needs."""

    event_id: str
    payload: Payload
    state: ClientState
    leg: Leg
    call: RoutedCall
    router: CallRouter


class Webhooks:
    """Handles the webhooks of one account.

    Args:
        carrier: the carrier's name in the registry.
        public_key: verifies webhooks; base64.
        control: of the same account.
    """

    def __init__(self, carrier: str, public_key: str, control: Control) -> None:
        self._carrier = carrier
        self._public_key = public_key
        self._control = control
        self.served: Mapping[str, Webhook] = {"voice": Webhook(self._voice)}
        self._events: Mapping[str, Callable[[_Received], Awaitable[None]]] = {
            "call.initiated": self._initiated,
            "call.answered": self._answered,
            "call.hangup": self._hung_up,
            "call.speak.ended": self._spoken,
            "streaming.stopped": self._stream_ended,
            "streaming.failed": self._stream_ended,
            "call.machine.detection.ended": self._detected,
            "call.machine.premium.detection.ended": self._detected,
            "call.machine.greeting.ended": self._greeting_ended,
            "call.machine.premium.greeting.ended": self._greeting_ended,
            "call.recording.saved": self._recording_saved,
            "call.recording.error": self._recording_failed,
            "call.cost": self._priced,
        }

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """All events of all calls. The body of the answer is not read."""
        verify_webhook(request, self._public_key, time.time())
        delivery = read_event(request)
        handle = self._events.get(delivery.event.event_type)
        if handle is not None:
            await self._handle_once(handle, self._received(delivery, router))
        return WebhookResponse()

    async def _handle_once(self, handle: Callable[[_Received], Awaitable[None]], received: _Received) -> None:
        if not received.event_id:
            await self._handle(handle, received)
            return
        with received.router.seen(received.event_id) as seen:
            if not seen:
                await self._handle(handle, received)

    async def _handle(self, handle: Callable[[_Received], Awaitable[None]], received: _Received) -> None:
        try:
            await handle(received)
        except CarrierRequestFailed as error:
            if not is_gone(error):
                raise
            await received.call.progressed(Progress.COMPLETED)

    def _received(self, delivery: Delivery, router: CallRouter) -> _Received:
        payload = delivery.event.call
        if not payload.call_control_id:
            raise WebhookRefused("The event is about no call.", expected="a call_control_id in its payload")
        state = ClientState.decode(payload.client_state)
        outbound = state.dialled or payload.direction == "outgoing"
        leg = Leg(
            carrier=self._carrier,
            call_id=payload.call_control_id,
            direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
            from_number=address_of(payload.from_ or ""),
            to_number=address_of(payload.to or ""),
        )
        return _Received(
            event_id=delivery.event.id,
            payload=payload,
            state=state,
            leg=leg,
            call=router.call(leg, delivery.verified_url, state.token or delivery.token),
            router=router,
        )

    # --- start -----------------------------------------------------------------------------------------------------

    async def _initiated(self, received: _Received) -> None:
        leg = received.leg
        if leg.direction is Direction.OUTBOUND:
            if received.state.dialled:
                await received.call.progressed(Progress.RINGING)
            return
        outcome = await received.call.arrived()
        match outcome:
            case Accept():
                await self._control.answer(leg, outcome)
            case Transfer():
                await self._control.answer_to_transfer(leg, outcome)
            case Reject():
                await self._control.reject(leg, busy=outcome.reason == "busy")

    async def _answered(self, received: _Received) -> None:
        leg, state = received.leg, received.state
        if state.transfer_to:
            await self._control.transfer(leg, Transfer(state.transfer_to, state.say), received.event_id)
        if not (state.dialled or state.notice):  # an incoming call has its stream since the command `answer`
            return
        if received.call.briefing:
            await received.call.progressed(Progress.ANSWERED)
            await self._control.brief(leg, received.call.briefing, state.token, received.event_id)
            return
        await self._begin(received, says_notice=True)

    async def _begin(self, received: _Received, *, says_notice: bool) -> None:
        """Starts the stream of an answered call; what the caller hears before it leads back here."""
        leg = received.leg
        outcome = await received.call.arrived()
        match outcome:
            case Accept() if outcome.notice and says_notice:
                await self._control.say_notice(leg, outcome, received.event_id)
            case Accept():
                await self._control.start_stream(leg, outcome)
            case Transfer():
                await self._control.transfer(leg, outcome, received.event_id)
            case Reject():
                await self._control.hang_up(leg.call_id)

    # --- during the call -------------------------------------------------------------------------------------------

    async def _stream_ended(self, received: _Received) -> None:
        """The stream was stopped or broke. Telnyx may report both of one stream, and late."""
        leg, state, url = received.leg, received.state, received.payload.media_url
        if state.streamless or state.leg_of:
            return
        if url and state.stream and stream_mark(url) != state.stream:
            return  # an older one: the call has another stream now
        stream = url or received.payload.stream_id or received.event_id
        with received.router.seen(f"{stream} over") as seen:
            if seen:
                return
            outcome = await received.call.stream_ended()
            match outcome:
                case Accept():
                    await self._control.start_stream(leg, outcome, stream)
                case Transfer():
                    await self._control.transfer(leg, outcome, stream)
                case HangUp(say=""):
                    await self._control.hang_up(leg.call_id)
                case HangUp():
                    await self._control.say_and_hang_up(leg, outcome.say, stream)

    async def _spoken(self, received: _Received) -> None:
        state = received.state
        if state.transfer_to:
            await self._control.transfer(received.leg, Transfer(state.transfer_to), received.event_id)
        elif state.hang_up:
            await self._control.hang_up(received.leg.call_id)
        elif state.briefing and received.payload.status != _CUT_SHORT:
            await received.call.briefed()
        elif state.notice and received.payload.status != _CUT_SHORT:
            await self._begin(received, says_notice=received.payload.status != _WHOLE)

    async def _detected(self, received: _Received) -> None:
        await received.call.answered_by(received.payload.answered_by)

    async def _greeting_ended(self, received: _Received) -> None:
        """The greeting ended with a beep or with silence: the machine records now."""
        await received.call.answered_by(AnsweredBy.MACHINE_READY)

    async def _recording_saved(self, received: _Received) -> None:
        status = received.payload.recording(recording_id(received.leg), "completed")
        await received.call.recording_changed(status)

    async def _recording_failed(self, received: _Received) -> None:
        status = received.payload.recording(recording_id(received.leg), "failed")
        await received.call.recording_changed(status)

    # --- end -------------------------------------------------------------------------------------------------------

    async def _hung_up(self, received: _Received) -> None:
        if received.state.leg_of:  # the far end of a transfer hung up, or did not answer
            await self._control.hang_up(received.state.leg_of)
            return
        await received.call.progressed(received.payload.progress)

    async def _priced(self, received: _Received) -> None:
        cost = received.payload.cost
        if cost is None:
            _log.warning("The price in Telnyx's call.cost event is not an amount.")
            return
        await received.call.priced(cost)
