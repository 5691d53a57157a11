"""The handlers of Plivo's webhooks.

`voice`, `action`, `briefed` and `do` ask what to do with a call, and are answered with XML; the others report. A
handler verifies the signature first, and believes only what the `Proof` holds.
"""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import TOKEN_FIELD, Callbacks, callback_token
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import reported_cost
from patter_core.webhook import (
    Accept,
    CallRouter,
    Reject,
    RoutedCall,
    Webhook,
    WebhookRequest,
    WebhookResponse,
)
from patter_plivo import instructions, plivoxml, statuses
from patter_plivo.control import Control
from patter_plivo.fields import ABOUT_A_CALL, OF_A_CALL, OF_A_RECORDING, check_fields
from patter_plivo.signing import Proof, verify_webhook

__all__ = ["Webhooks"]

_log = logging.getLogger("patter.plivo")

_SIP_HEADER = "X-PH-"
_LONGEST_PARAMETER = 500
_MOST_PARAMETERS = 20
_METHODS = ("GET", "POST")
"""Each URL of an application has a method of its own (page "Applications")."""
_STREAM_ENDS = frozenset({"StopStream", "DroppedStream"})


class Webhooks:
    """Handles the webhooks of one account.

    Args:
        carrier: the carrier's name in the registry.
        auth_tokens: each may have signed a webhook.
        control: of the same account.
    """

    def __init__(self, carrier: str, auth_tokens: Sequence[str], control: Control) -> None:
        self._carrier = carrier
        self._auth_tokens = auth_tokens
        self._control = control
        self.served: Mapping[str, Webhook] = {
            "voice": Webhook(self._voice, _METHODS),
            "briefed": Webhook(self._briefed, _METHODS),
            "action": Webhook(self._action, _METHODS),
            instructions.WEBHOOK: Webhook(self._do, _METHODS),
            "status": Webhook(self._status, _METHODS),
            "stream": Webhook(self._stream, _METHODS),
            "machine": Webhook(self._machine, _METHODS),
            "machine-ready": Webhook(self._machine_ready, _METHODS),
            "recording": Webhook(self._recording, _METHODS),
        }

    # --- webhooks that ask -----------------------------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A call came in, one that we made was answered, or one is resumed from hold."""
        proof = self._verify(request, ABOUT_A_CALL)
        leg = self._leg(proof)
        call = router.call(leg, proof.url)
        if call.briefing:
            await call.progressed(Progress.ANSWERED)
            return _answer(self._control.briefing(call.briefing, _sibling(proof.url, "briefed")))
        return self._response(leg, await call.arrived())

    async def _action(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """The stream is over, or could not be opened. If the call is not over, it waits for instructions."""
        proof = self._verify(request, ABOUT_A_CALL)
        leg = self._leg(proof)
        call = router.call(leg, proof.url)
        progress = statuses.progress(proof.fields)
        if progress is not None and progress.is_final:
            await call.progressed(progress)
            return self._response(leg, HangUp())
        return self._response(leg, await call.stream_ended())

    async def _briefed(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Who was called for a warm transfer has heard what it is about."""
        proof = self._verify(request, ABOUT_A_CALL)
        await router.call(self._leg(proof), proof.url).briefed()
        return _answer(self._control.before_connecting())

    async def _do(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Plivo was told to get an instruction."""
        proof = self._verify(request, ABOUT_A_CALL)
        instruction = instructions.read_url(proof.url)
        self._control.unrequested.drop(self._leg(proof))
        return _answer(self._control.instructed(instruction))

    # --- webhooks that report --------------------------------------------------------------------------------------

    async def _status(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """It rings, or it is over."""
        proof = self._verify(request)
        call = router.call(self._leg(proof), proof.url)
        progress = statuses.progress(proof.fields)
        if progress is not None:
            await call.progressed(progress)
        cost = reported_cost(proof.fields.get("TotalCost"), "USD")
        if cost is not None:
            await call.priced(cost)
        return WebhookResponse(status=204)

    async def _stream(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Something happened to the stream. Its end does not say whether the call is over, so Plivo is asked.

        A number whose application has no hang-up URL has no other webhook that says it.
        """
        proof = self._verify(request)
        leg = self._leg(proof)
        call = router.call(leg, proof.url)
        if proof.fields.get("Event") in _STREAM_ENDS:
            await self._look_up(leg, call)
        return WebhookResponse(status=204)

    async def _look_up(self, leg: Leg, call: RoutedCall) -> None:
        try:
            facts = await self._control.look_up(leg)
        except CarrierRequestFailed as error:
            _log.warning("Plivo did not say whether a call is over whose stream has ended: %s", error)
            return
        if facts.progress.is_final:
            await call.progressed(facts.progress)

    async def _machine(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A machine was detected. Plivo never reports a human."""
        return await self._detected(request, router, takes_message=False)

    async def _machine_ready(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """As above, for a call with a message, which is given to the machine after its beep."""
        return await self._detected(request, router, takes_message=True)

    async def _detected(self, request: WebhookRequest, router: CallRouter, *, takes_message: bool) -> WebhookResponse:
        proof = self._verify(request)
        leg = self._leg(proof)
        if proof.fields.get("Machine", "").lower() == "true":
            if takes_message:
                self._control.outbound.note_machine(leg)
            who = AnsweredBy.MACHINE_READY if takes_message else AnsweredBy.MACHINE
            await router.call(leg, proof.url).answered_by(who)
        return WebhookResponse(status=204)

    async def _recording(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = self._verify(request, OF_A_RECORDING)
        leg = Leg(carrier=self._carrier, call_id=proof.fields["call_uuid"])
        await router.call(leg, proof.url).recording_changed(statuses.recording(proof.fields))
        return WebhookResponse(status=204)

    # --- shared ----------------------------------------------------------------------------------------------------

    def _verify(self, request: WebhookRequest, required: Sequence[str] = OF_A_CALL) -> Proof:
        proof = verify_webhook(request, self._auth_tokens)
        check_fields(proof, required)
        return proof

    def _leg(self, proof: Proof) -> Leg:
        """Returns the call of a webhook. One that we made has the id of its request."""
        fields = proof.fields
        request_uuid = fields.get("ALegRequestUUID") or fields.get("RequestUUID", "")
        is_outbound = fields.get("Direction") == "outbound" and bool(request_uuid)
        leg = Leg(
            carrier=self._carrier,
            call_id=request_uuid if is_outbound else fields["CallUUID"],
            direction=Direction.OUTBOUND if is_outbound else Direction.INBOUND,
            from_number=address_of(_with_scheme(fields.get("From", "")), has_plus=False),
            to_number=address_of(_with_scheme(fields.get("To", "")), has_plus=False),
            parameters=_custom_parameters(proof),
        )
        self._control.outbound.learn(leg, fields["CallUUID"])
        return leg

    def _response(self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer) -> WebhookResponse:
        return _answer(self._control.elements(leg, outcome))


def _answer(elements: list[Element]) -> WebhookResponse:
    return WebhookResponse(body=plivoxml.document(*elements), content_type=plivoxml.CONTENT_TYPE)


def _sibling(url: str, webhook: str) -> str:
    """Returns the URL of another webhook of the same call."""
    return Callbacks(url.partition("?")[0].rpartition("/")[0], callback_token(url)).url(webhook)


def _with_scheme(party: str) -> str:
    """Returns a SIP address with its scheme, which Plivo may leave out."""
    return f"sip:{party}" if "@" in party and ":" not in party else party


def _custom_parameters(proof: Proof) -> dict[str, str]:
    """Returns the user's fields of the voice URL's query, and the headers of a SIP caller.

    Plivo's own fields are capitalized. A caller can send any header: long ones are left out, and those beyond a number.
    """
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(proof.url).query)
    custom = [(name, value) for name, value in query if name != TOKEN_FIELD and not name[:1].isupper()]
    headers = [
        (name.removeprefix(_SIP_HEADER), value) for name, value in proof.fields.items() if name.startswith(_SIP_HEADER)
    ]
    fitting = [(name, value) for name, value in [*custom, *headers] if len(name) + len(value) < _LONGEST_PARAMETER]
    return dict(fitting[:_MOST_PARAMETERS])
