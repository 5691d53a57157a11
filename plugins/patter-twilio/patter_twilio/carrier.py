"""Twilio as a carrier."""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Mapping
from typing import ClassVar
from xml.etree.ElementTree import Element

from patter_core.carrier import (
    CallDesk,
    Carrier,
    MediaCodec,
    Rejection,
    WebhookHandler,
    WebhookRequest,
    WebhookResponse,
)
from patter_core.config import from_environment, required
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.leg import Direction, Leg
from patter_twilio import signing, twiml
from patter_twilio.rest import TwilioApi
from patter_twilio.wire import TwilioMediaCodec

__all__ = ["Twilio"]

API_URL = "https://api.twilio.com"


@dataclasses.dataclass(frozen=True)
class Twilio(Carrier):
    """Calls from Twilio Programmable Voice, with their audio over Media Streams.

    Args:
        account_sid: `AC…`, from the console; else the environment's TWILIO_ACCOUNT_SID.
        auth_token: beside it; else TWILIO_AUTH_TOKEN. It checks signatures and authenticates requests.
        base_url: of the REST API; else TWILIO_BASE_URL; else https://api.twilio.com. For tests.

    Raises:
        ConfigurationError: a value is missing, or cannot be what it should be.
    """

    name: ClassVar[str] = "twilio"
    emulator: ClassVar[str] = "patter_twilio.testing:TwilioEmulator"

    account_sid: str = ""
    auth_token: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    base_url: str = ""

    def __post_init__(self) -> None:
        where = "on the start page of Twilio's console, under “Account Info”"
        account_sid = required(
            self.account_sid, parameter="Twilio(account_sid=…)", variable="TWILIO_ACCOUNT_SID", where=where
        )
        if not account_sid.startswith("AC"):
            raise ConfigurationError(
                "Twilio(account_sid=…) is not an account's SID.",
                expected="AC and 32 more characters",
                got=f"something that starts with {account_sid[:2]!r}",
                remedy=f"You find it {where}.",
            )
        auth_token = required(
            self.auth_token, parameter="Twilio(auth_token=…)", variable="TWILIO_AUTH_TOKEN", where=where
        )
        base_url = from_environment(self.base_url, "TWILIO_BASE_URL") or API_URL
        if not base_url.startswith(("https://", "http://")):
            raise ConfigurationError(
                "Twilio(base_url=…) is not an address.", expected="https://host, without a path", got=repr(base_url)
            )
        # Frozen for everybody else: https://docs.python.org/3/library/dataclasses.html, “Frozen instances”.
        object.__setattr__(self, "account_sid", account_sid)
        object.__setattr__(self, "auth_token", auth_token)
        object.__setattr__(self, "base_url", base_url.rstrip("/"))

    def token_secret(self) -> bytes:
        return hmac.digest(self.auth_token.encode(), b"patter: stream tokens", "sha256")

    def webhooks(self) -> Mapping[str, WebhookHandler]:
        return {"voice": self._voice, "action": self._action}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        signing.verify_upgrade(request, self._tokens)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return TwilioMediaCodec()

    async def hang_up(self, leg: Leg) -> None:
        await self._api.end_call(leg.call_id)

    # --- webhooks --------------------------------------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, desk: CallDesk) -> WebhookResponse:
        """A call came in: take it with a stream in both directions, or not at all."""
        proof = signing.verify_webhook(request, self._tokens)
        leg = self._leg(proof)
        outcome = await desk.announce(leg, proof.url)
        if isinstance(outcome, Rejection):
            return _answer(twiml.reject("busy" if outcome.reason == "busy" else "rejected"))
        return _answer(
            twiml.connect_stream(
                outcome.media_url,
                action=desk.webhook_url(self.name, "action", proof.url),
                parameters={**leg.parameters, "from": leg.from_number, "to": leg.to_number},
            )
        )

    async def _action(self, request: WebhookRequest, desk: CallDesk) -> WebhookResponse:
        """The stream is over, and the call waits for what comes next: nothing."""
        proof = signing.verify_webhook(request, self._tokens)
        await desk.call_over(self._leg(proof), proof.fields.get("CallStatus", ""))
        return _answer(twiml.hangup())

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
        )

    # --- what the parts are made with ------------------------------------------------------------------------------

    @property
    def _tokens(self) -> tuple[str, ...]:
        return (self.auth_token,)

    @property
    def _api(self) -> TwilioApi:
        return TwilioApi(self.base_url, self.account_sid, self.account_sid, self.auth_token)


def _answer(*verbs: Element) -> WebhookResponse:
    return WebhookResponse(body=twiml.document(*verbs), content_type=twiml.CONTENT_TYPE)
