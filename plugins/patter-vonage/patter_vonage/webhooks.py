"""The handlers of Vonage's webhooks.

`voice`, `answered`, `stream` and `briefed` ask what to do with a call, and are answered with an NCCO; others report. A
handler verifies the token of a request first. Vonage signs no URL: the public address is the configured one, or what
the request's `Host` makes of it.

An incoming call's events come to the application's event URL, which knows no call: the leg's id finds it, on the worker
that has it. Those of a media socket, and of a call that we make, come to URLs with the callback token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import msgspec

from patter_core.net.json import UNREADABLE
from patter_core.telephony.control import Callbacks, callback_token
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, CallRouter, Reject, RoutedCall, Webhook, WebhookRequest, WebhookResponse
from patter_vonage import ncco
from patter_vonage.control import REGION, Control
from patter_vonage.events import STREAM_OVER, Answer, Event, Notified, RecordingMade, read_body
from patter_vonage.prices import LegCosts
from patter_vonage.signing import VonageClaims, WebhookKey
from patter_vonage.wire import SocketHeaders

__all__ = ["Webhooks"]

_JSON = "application/json"
_NOTHING = WebhookResponse(status=204)
_SIP_HEADER = "SipHeader_"
_LONGEST_PARAMETER = 500
"""Characters of a SIP header's name and value: a caller can send any."""
_MOST_PARAMETERS = 20
_SHOWN = 200
"""Characters of a reason in the log."""

_log = logging.getLogger("patter.vonage")


class Webhooks:
    """Handles the webhooks of one application.

    Args:
        carrier: the carrier's name in the registry.
        key: verifies webhooks.
        control: of the same application.
    """

    def __init__(self, carrier: str, key: WebhookKey, control: Control) -> None:
        self._carrier = carrier
        self._key = key
        self._control = control
        self._costs = LegCosts()
        self.served: Mapping[str, Webhook] = {
            "voice": Webhook(self._voice),
            "answered": Webhook(self._answered),
            "stream": Webhook(self._stream),
            "briefed": Webhook(self._briefed),
            "event": Webhook(self._event),
            "recording": Webhook(self._recording),
        }

    # --- webhooks that ask -----------------------------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A call came in. Vonage asks again, perhaps at another worker, until it is answered."""
        return await self._instruct(request, router, Direction.INBOUND)

    async def _answered(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A call that we made was answered."""
        return await self._instruct(request, router, Direction.OUTBOUND)

    async def _instruct(self, request: WebhookRequest, router: CallRouter, direction: Direction) -> WebhookResponse:
        self._verify(request)
        answer = read_body(request.body, Answer)
        leg = Leg(
            carrier=self._carrier,
            call_id=answer.uuid,
            direction=direction,
            from_number=_address(answer.from_),
            to_number=_address(answer.to),
            parameters=_parameters(request.body, answer),
        )
        call = router.call(leg, request.likely_url)
        if call.briefing:
            await call.progressed(Progress.ANSWERED)
            then = _sibling(request.likely_url, "briefed")
            return _answer(self._control.briefing(leg, call.briefing, then))
        return self._response(leg, await call.arrived(), is_first=True)

    async def _stream(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Something happened to a media socket. If it is over and the call is not, the call waits for instructions."""
        self._verify(request)
        event = read_body(request.body, Event)
        headers = event.headers or SocketHeaders()
        if not headers.leg:
            return _NOTHING
        leg = Leg(
            carrier=self._carrier,
            call_id=headers.leg,
            to_number=_address(headers.number),
            parameters={REGION: headers.region} if headers.region else {},
        )
        call = router.call(leg, request.likely_url)
        if event.status not in STREAM_OVER:
            await self._price(call, leg.call_id, event)
            return _NOTHING
        _log.info("A media socket of call %s is over: %s %s", leg.call_id, event.status, (event.detail or "")[:_SHOWN])
        outcome = await call.stream_ended()
        if isinstance(outcome, Accept):
            await self._control.stop_hold_music(leg)
        return self._response(leg, outcome)

    async def _briefed(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Who was called for a warm transfer has heard what it is about. Then they wait for `connect`."""
        self._verify(request)
        ours = read_body(request.body, Notified).ours
        if ours.leg:
            await router.call(self._reported_leg(ours.leg, region=ours.region), request.likely_url).briefed()
        return _NOTHING

    # --- webhooks that report --------------------------------------------------------------------------------------

    async def _event(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        claims = self._verify(request)
        event = read_body(request.body, Event)
        if not event.leg_id:  # it is about an error in an NCCO, or of a kind that came later
            if event.reason:
                _log.warning("Vonage did not carry out an instruction: %s", event.reason[:_SHOWN])
            return _NOTHING
        with router.seen(claims.jti) as seen:
            if not seen:
                await self._report(event, router.call(self._reported_leg(event.leg_id), request.likely_url))
        return _NOTHING

    async def _report(self, event: Event, call: RoutedCall) -> None:
        who = event.answered_by
        if who is not None:
            await call.answered_by(who)
            return
        if event.progress is not None:
            await call.progressed(event.progress)
        await self._price(call, event.leg_id, event)

    async def _price(self, call: RoutedCall, leg_id: str, event: Event) -> None:
        if event.cost is not None:
            cost = self._costs.of(leg_id, event.leg_id, event.cost)
            if cost is not None:
                await call.priced(cost)

    async def _recording(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A recording can be fetched. It is the callback token that says of which call."""
        self._verify(request)
        made = read_body(request.body, RecordingMade)
        await router.call(self._reported_leg(""), request.likely_url).recording_changed(made.recording)
        return _NOTHING

    # --- shared ----------------------------------------------------------------------------------------------------

    def _verify(self, request: WebhookRequest) -> VonageClaims:
        return self._key.verify_webhook(request, time.time())

    def _reported_leg(self, call_id: str, *, region: str = "") -> Leg:
        parameters = {REGION: region} if region else {}
        return Leg(carrier=self._carrier, call_id=call_id, parameters=parameters)

    def _response(
        self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer, *, is_first: bool = False
    ) -> WebhookResponse:
        return _answer(self._control.actions(leg, outcome, is_first=is_first))


def _answer(actions: Sequence[ncco.Action]) -> WebhookResponse:
    return WebhookResponse(body=ncco.document(actions), content_type=_JSON)


def _address(text: str | None) -> str:
    return address_of(text or "", has_plus=False)


def _sibling(url: str, webhook: str) -> str:
    """Returns the URL of another webhook of the same call."""
    return Callbacks(url.partition("?")[0].rpartition("/")[0], callback_token(url)).url(webhook)


def _parameters(body: bytes, answer: Answer) -> dict[str, str]:
    """Returns a SIP caller's headers, and the address of the API that has the call."""
    found: dict[str, str] = {}
    try:
        fields = msgspec.json.decode(body, type=dict[str, object])
    except UNREADABLE:  # it was read before, so it is JSON
        fields = {}
    for name, value in fields.items():
        is_short = isinstance(value, str) and len(name) + len(value) < _LONGEST_PARAMETER
        if name.startswith(_SIP_HEADER) and is_short and len(found) < _MOST_PARAMETERS:
            found[name.removeprefix(_SIP_HEADER)] = str(value)
    return {**found, REGION: answer.region_url} if answer.region_url else found
