"""The handlers of Twilio's webhooks.

`voice` and `action` ask what to do with a call, and are answered with TwiML; the others report. A handler verifies the
signature first, and believes only what the `Proof` holds.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from xml.etree.ElementTree import Element

from patter_core.telephony.control import TOKEN_FIELD, Callbacks, callback_token
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import Direction, Leg, Progress
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
from patter_twilio import statuses, twiml
from patter_twilio.control import Control
from patter_twilio.fields import ABOUT_A_CALL, check_fields
from patter_twilio.signing import Proof, verify_webhook

__all__ = ["Webhooks"]

_SIP_HEADER = "SipHeader_"
_CLIENT = "client:"
"""Of a browser or an app on Twilio's Voice SDK, which has a name and no number."""
_WHATSAPP = "whatsapp:"
_LONGEST_PARAMETER = 500
"""Characters: Twilio takes a `<Parameter>` whose name and value together are shorter (TwiML reference, `<Stream>`)."""
_MOST_PARAMETERS = 20
_METHODS = ("GET", "POST")
"""Each webhook URL of a number has a method of its own (page "Incoming phone numbers")."""


class Webhooks:
    """Handles the webhooks of one account.

    Args:
        carrier: the carrier's name in the registry.
        account_sid: the account's.
        auth_tokens: each may have signed a webhook.
        control: of the same account.
    """

    def __init__(self, carrier: str, account_sid: str, auth_tokens: Sequence[str], control: Control) -> None:
        self._carrier = carrier
        self._account_sid = account_sid
        self._auth_tokens = auth_tokens
        self._control = control
        self.served: Mapping[str, Webhook] = {
            "voice": Webhook(self._voice, _METHODS),
            "briefed": Webhook(self._briefed, _METHODS),
            "action": Webhook(self._action, _METHODS),
            "status": Webhook(self._status, _METHODS),
            "machine": Webhook(self._machine, _METHODS),
            "recording": Webhook(self._recording, _METHODS),
        }

    # --- webhooks that ask -----------------------------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A call came in, one that we made was answered, or one is resumed from hold.

        Twilio requests it as the fallback URL too, with the URL that failed as `ErrorUrl` (page "Availability and
        Reliability"). If that is the `action` URL, whose worker may be gone, the call continues from there.
        """
        return await self._instruct(request, router, stream_ended=False)

    async def _action(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """The stream is over. If the call is not, it waits for instructions."""
        return await self._instruct(request, router, stream_ended=True)

    async def _instruct(self, request: WebhookRequest, router: CallRouter, *, stream_ended: bool) -> WebhookResponse:
        proof = self._verify(request, required=ABOUT_A_CALL)
        leg = self._leg(proof)
        failed_url = proof.fields.get("ErrorUrl", "")
        token = callback_token(failed_url)
        if token and failed_url.partition("?")[0].endswith("/action"):
            stream_ended = True
        call = router.call(leg, proof.url, token)
        if call.briefing:
            if failed_url.partition("?")[0].endswith("/briefed"):
                return await self._connect(call)
            await call.progressed(Progress.ANSWERED)
            then = _sibling(proof.url, "briefed", token or callback_token(proof.url))
            return _answer(self._control.briefing(call.briefing, then))
        outcome = await (self._stream_ended(proof, call) if stream_ended else call.arrived())
        return self._response(leg, outcome)

    async def _briefed(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Who was called for a warm transfer has heard what it is about."""
        proof = self._verify(request, required=ABOUT_A_CALL)
        return await self._connect(router.call(self._leg(proof), proof.url))

    async def _connect(self, call: RoutedCall) -> WebhookResponse:
        await call.briefed()
        return _answer(self._control.before_connecting())

    async def _stream_ended(self, proof: Proof, call: RoutedCall) -> Accept | HangUp | Transfer:
        progress = statuses.progress(proof.fields)
        if progress is None or not progress.is_final:
            return await call.stream_ended()
        await call.progressed(progress)
        return HangUp()

    # --- webhooks that report --------------------------------------------------------------------------------------

    async def _status(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = self._verify(request)
        call = router.call(self._leg(proof), proof.url)
        progress = statuses.progress(proof.fields)
        if progress is not None:
            await call.progressed(progress)
        return WebhookResponse(status=204)

    async def _machine(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = self._verify(request)
        call = router.call(self._leg(proof), proof.url)
        await call.answered_by(statuses.answered_by(proof.fields))
        return WebhookResponse(status=204)

    async def _recording(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = self._verify(request)
        call = router.call(self._leg(proof), proof.url)
        await call.recording_changed(statuses.recording(proof.fields))
        return WebhookResponse(status=204)

    # --- shared ----------------------------------------------------------------------------------------------------

    def _verify(self, request: WebhookRequest, required: Collection[str] = ()) -> Proof:
        proof = verify_webhook(request, self._auth_tokens)
        check_fields(proof, self._account_sid, required=required)
        return proof

    def _leg(self, proof: Proof) -> Leg:
        fields = proof.fields
        return Leg(
            carrier=self._carrier,
            call_id=fields["CallSid"],
            direction=Direction.OUTBOUND if fields.get("Direction", "").startswith("outbound") else Direction.INBOUND,
            from_number=address_of(fields.get("From", "").removeprefix(_WHATSAPP)),
            to_number=address_of(fields.get("To", "").removeprefix(_WHATSAPP)),
            parameters=_custom_parameters(proof),
        )

    def _response(self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer) -> WebhookResponse:
        return _answer(self._control.verbs(leg, outcome))


def _answer(verbs: list[Element]) -> WebhookResponse:
    return WebhookResponse(body=twiml.document(*verbs), content_type=twiml.CONTENT_TYPE)


def _sibling(url: str, webhook: str, token: str) -> str:
    """Returns the URL of another webhook of the same call."""
    return Callbacks(url.partition("?")[0].rpartition("/")[0], token).url(webhook)


def _custom_parameters(proof: Proof) -> dict[str, str]:
    """Returns the user's fields of the voice URL's query, a SIP caller's headers, and a Voice SDK's caller as `client`.

    Twilio's own fields are capitalized.

    A caller can send any header: those too long for a `<Parameter>` are left out, and those beyond its number.
    """
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(proof.url).query)
    custom = [(name, value) for name, value in query if name != TOKEN_FIELD and not name[:1].isupper()]
    headers = [
        (name.removeprefix(_SIP_HEADER), value) for name, value in proof.fields.items() if name.startswith(_SIP_HEADER)
    ]
    fitting = [(name, value) for name, value in [*custom, *headers] if len(name) + len(value) < _LONGEST_PARAMETER]
    found = dict(fitting[:_MOST_PARAMETERS])
    caller = proof.fields.get("From", "")
    return {**found, "client": caller.removeprefix(_CLIENT)} if caller.startswith(_CLIENT) else found
