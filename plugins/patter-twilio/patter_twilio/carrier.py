"""Twilio as a carrier."""

from __future__ import annotations

import dataclasses
import hmac
import urllib.parse
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import ClassVar
from xml.etree.ElementTree import Element

from patter_core.carrier import Carrier
from patter_core.checks import CheckResult
from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.media import MediaCodec
from patter_core.telephony.control import (
    TOKEN_FIELD,
    Callbacks,
    Capability,
    DialRequest,
    LegFacts,
)
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import CarrierRates, Cost
from patter_core.webhook import (
    Accept,
    CallRouter,
    Reject,
    WebhookHandler,
    WebhookRequest,
    WebhookResponse,
)
from patter_twilio import signing, statuses, twiml
from patter_twilio.checks import run_checks
from patter_twilio.config import read_account
from patter_twilio.idempotency import Answers
from patter_twilio.prices import RATES
from patter_twilio.rest import LONGEST_TWIML, ApiCall, TwilioApi
from patter_twilio.wire import TwilioMediaCodec

__all__ = ["Twilio"]

_HOLD_PAUSES = (3_600,) * 4
"""Silence for a caller on hold, in s: as long as a call may last."""
_STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
_SIP_HEADER = "SipHeader_"
_LONGEST_PARAMETER = 500
"""Characters of name and value together from which on Twilio takes no `<Parameter>` (TwiML reference, `<Stream>`)."""
_MOST_PARAMETERS = 20
_RECORDING_EVENTS = ("completed", "absent")


@dataclasses.dataclass(frozen=True)
class Twilio(Carrier):
    """Calls over Twilio Programmable Voice, with their audio over Media Streams.

    Args:
        account_sid: `AC…`, from the console; else the environment's TWILIO_ACCOUNT_SID.
        auth_token: beside it; else TWILIO_AUTH_TOKEN. It checks signatures, and authenticates requests without api_key.
        api_key: `SK…`, for requests; else TWILIO_API_KEY.
        api_secret: of the api_key; else TWILIO_API_SECRET.
        other_auth_tokens: also taken for signatures: the next one, or the last one, while the token is being rotated.
        region: where calls are processed, such as `ie1`; else TWILIO_REGION. Its credentials are its own.
        edge: where requests enter Twilio's network, such as `dublin`; else TWILIO_EDGE.
        voice: who speaks announcements and farewells, as in `<Say voice>`; else Twilio's default.
        language: which language they are in, as in `<Say language>`.
        base_url: of the REST API, for tests; else TWILIO_BASE_URL.

    Raises:
        ConfigurationError: a value is missing, or cannot be what it should be.
    """

    name: ClassVar[str] = "twilio"
    emulator: ClassVar[str] = "patter_twilio.testing:TwilioEmulator"
    asks_at_stream_end: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.SEND_DTMF}
    # Twilio presses keys only by a redirect to <Play digits>: the stream would end and come back a second later, and
    # what a telephone menu says meanwhile would be lost. So the core plays the tones into the stream.

    account_sid: str = ""
    auth_token: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    api_key: str = ""
    api_secret: str = dataclasses.field(default="", repr=False)
    other_auth_tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    region: str = ""
    edge: str = ""
    voice: str = ""
    language: str = ""
    base_url: str = ""
    _answers: Answers = dataclasses.field(default_factory=Answers, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        account = read_account(
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            api_key=self.api_key,
            api_secret=self.api_secret,
            region=self.region,
            edge=self.edge,
            base_url=self.base_url,
        )
        # Frozen for everybody else: https://docs.python.org/3/library/dataclasses.html, “Frozen instances”.
        object.__setattr__(self, "account_sid", account.sid)
        object.__setattr__(self, "other_auth_tokens", tuple(self.other_auth_tokens))
        for name in ("auth_token", "api_key", "api_secret", "region", "edge", "base_url"):
            object.__setattr__(self, name, getattr(account, name))

    @property
    def rates(self) -> CarrierRates:
        return RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.auth_token.encode(), b"patter: stream tokens", "sha256")

    def webhooks(self) -> Mapping[str, WebhookHandler]:
        return {
            "voice": self._voice,
            "action": self._action,
            "status": self._status,
            "machine": self._machine,
            "recording": self._recording,
        }

    def verify_upgrade(self, request: WebhookRequest) -> None:
        signing.verify_upgrade(request, self._tokens)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return TwilioMediaCodec()

    # --- webhooks that ask what to do ------------------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """A call came in, or one that we made was answered, or one comes back from hold: what is to be done?"""
        proof = signing.verify_webhook(request, self._tokens)
        known = self._answers.known(request)
        if known is not None:
            return known
        leg = self._leg(proof)
        outcome = await router.call(leg, proof.url).arrived()
        return self._answers.keep(request, _document(*self._verbs(leg, outcome)))

    async def _action(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """The stream is over, and the call, if it is not, waits for what comes next."""
        proof = signing.verify_webhook(request, self._tokens)
        known = self._answers.known(request)
        if known is not None:
            return known
        leg = self._leg(proof)
        call = router.call(leg, proof.url)
        progress = statuses.progress(proof.fields)
        outcome: Accept | HangUp | Transfer = HangUp()
        if progress is not None and progress.is_final:
            await call.progressed(progress)
        else:
            outcome = await call.stream_ended()
        return self._answers.keep(request, _document(*self._verbs(leg, outcome)))

    def _verbs(self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer) -> list[Element]:
        match outcome:
            case Accept(media_url=media_url, callbacks=callbacks):
                numbers = {"from": leg.from_number, "to": leg.to_number}
                return [
                    twiml.connect_stream(
                        media_url, action=callbacks.url("action"), parameters={**leg.parameters, **numbers}
                    )
                ]
            case Reject(reason=reason):
                if leg.direction is Direction.OUTBOUND:  # it was answered: there is nothing to reject any more
                    return [twiml.hangup()]
                return [twiml.reject("busy" if reason == "busy" else "rejected")]
            case Transfer(to=to, say=text):
                return [*self._say(text), twiml.dial(to)]
            case HangUp(say=text):
                return [*self._say(text), twiml.hangup()]

    def _say(self, text: str) -> list[Element]:
        return [twiml.say(text, voice=self.voice, language=self.language)] if text else []

    # --- webhooks that tell ----------------------------------------------------------------------------------------

    async def _status(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = signing.verify_webhook(request, self._tokens)
        progress = statuses.progress(proof.fields)
        call = router.call(self._leg(proof), proof.url)
        if progress is not None:
            await call.progressed(progress)
        return WebhookResponse(status=204)

    async def _machine(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = signing.verify_webhook(request, self._tokens)
        who = statuses.answered_by(proof.fields)
        await router.call(self._leg(proof), proof.url).answered_by(who)
        return WebhookResponse(status=204)

    async def _recording(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        proof = signing.verify_webhook(request, self._tokens)
        status = statuses.recording(proof.fields)
        await router.call(self._leg(proof), proof.url).recording_changed(status)
        return WebhookResponse(status=204)

    def _leg(self, proof: signing.Proof) -> Leg:
        fields = proof.fields
        call_sid = fields.get("CallSid", "")
        if not call_sid:
            raise WebhookRefused("A webhook that is about no call.", expected="a field CallSid")
        return Leg(
            carrier=self.name,
            call_id=call_sid,
            direction=Direction.OUTBOUND if fields.get("Direction", "").startswith("outbound") else Direction.INBOUND,
            from_number=fields.get("From", ""),
            to_number=fields.get("To", ""),
            parameters=_custom_parameters(proof),
        )

    # --- control ---------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        await self.api.end_call(leg.call_id)

    async def dial(self, request: DialRequest) -> str:
        callbacks = request.callbacks
        form = [
            ("To", request.to_number),
            ("From", request.from_number),
            ("Url", callbacks.url("voice")),
            ("Timeout", str(round(request.ring_timeout))),
            ("StatusCallback", callbacks.url("status")),
            *(("StatusCallbackEvent", event) for event in _STATUS_EVENTS),
        ]
        if request.machine_detection:
            form += [
                ("MachineDetection", "DetectMessageEnd" if request.await_greeting_end else "Enable"),
                ("AsyncAmd", "true"),  # otherwise Twilio keeps the call silent for some 4 s
                ("AsyncAmdStatusCallback", callbacks.url("machine")),
            ]
        return await self.api.create_call(form)

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        await self._interrupt(leg, self._verbs(leg, transfer), wish="transfer the call")

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        await self._interrupt(leg, self._verbs(leg, HangUp(text)), wish="speak to the caller")

    async def hold(self, leg: Leg, audio_url: str) -> None:
        verbs = [twiml.play(audio_url, loop=0)] if audio_url else [twiml.pause(length) for length in _HOLD_PAUSES]
        await self._interrupt(leg, verbs, wish="put the call on hold")

    async def resume(self, leg: Leg, accept: Accept) -> None:
        form = [("Url", accept.callbacks.url("voice")), ("Method", "POST")]
        await self.api.update_call(leg.call_id, form, wish="take the call from hold")

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        form = [
            ("RecordingChannels", "dual"),
            ("RecordingStatusCallback", callbacks.url("recording")),
            *(("RecordingStatusCallbackEvent", event) for event in _RECORDING_EVENTS),
        ]
        return await self.api.start_recording(leg.call_id, form)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        form = [("Status", "paused"), ("PauseBehavior", "skip")] if paused else [("Status", "in-progress")]
        await self.api.update_recording(leg.call_id, recording_id, form)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        await self.api.end_recording(leg.call_id, recording_id)

    async def look_up(self, leg: Leg) -> LegFacts:
        call = await self.api.fetch_call(leg.call_id)
        return LegFacts(progress=statuses.PROGRESS.get(call.status, Progress.DIALLING), cost=_cost(call))

    async def check(self) -> Sequence[CheckResult]:
        return await run_checks(self.api)

    async def set_voice_url(self, number: str, url: str) -> None:
        for found in await self.api.numbers(number):
            if found.phone_number == number:
                await self.api.set_voice_url(found.sid, url)
                return
        raise CarrierRequestFailed(
            "That number is none of this Twilio account's.", remedy="`patter twilio numbers` lists those that are."
        )

    async def _interrupt(self, leg: Leg, verbs: list[Element], *, wish: str) -> None:
        """Have the call do that instead of what it does: it ends the stream, whose `action` is not asked then."""
        document = twiml.document(*verbs).decode()
        if len(document) > LONGEST_TWIML:
            raise CarrierRequestFailed(
                f"Twilio cannot be asked to {wish}: the text is too long.",
                expected=f"at most {LONGEST_TWIML} characters of TwiML",
                got=str(len(document)),
            )
        await self.api.update_call(leg.call_id, [("Twiml", document)], wish=wish)

    # --- what the parts are made with ------------------------------------------------------------------------------

    @property
    def api(self) -> TwilioApi:
        """The account's REST API."""
        username, password = (self.api_key, self.api_secret) if self.api_key else (self.account_sid, self.auth_token)
        return TwilioApi(self.base_url, self.account_sid, username, password)

    @property
    def _tokens(self) -> tuple[str, ...]:
        return (self.auth_token, *self.other_auth_tokens)


def _document(*verbs: Element) -> WebhookResponse:
    return WebhookResponse(body=twiml.document(*verbs), content_type=twiml.CONTENT_TYPE)


def _cost(call: ApiCall) -> Cost | None:
    """Twilio's price is negative: it is taken from the account. It covers the connection only."""
    try:
        amount = abs(Decimal(call.price or ""))
    except InvalidOperation:
        return None
    return Cost(amount, (call.price_unit or "USD").upper(), estimated=False)


def _custom_parameters(proof: signing.Proof) -> dict[str, str]:
    """What stands in the voice URL's query, and in a SIP caller's headers. Names of Twilio's own are capitalized.

    A caller can send what he likes: what is too long for a `<Parameter>`, or one too many, is left out.
    """
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(proof.url).query)
    custom = [(name, value) for name, value in query if name != TOKEN_FIELD and not name[:1].isupper()]
    headers = [
        (name.removeprefix(_SIP_HEADER), value) for name, value in proof.fields.items() if name.startswith(_SIP_HEADER)
    ]
    fitting = [(name, value) for name, value in [*custom, *headers] if len(name) + len(value) < _LONGEST_PARAMETER]
    return dict(fitting[:_MOST_PARAMETERS])
