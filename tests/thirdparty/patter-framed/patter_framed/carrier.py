"""Framed as a carrier."""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from patter_core.carrier import Carrier
from patter_core.config import Setting, base_url
from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.media import MediaCodec
from patter_core.net.json import UNREADABLE
from patter_core.net.rest import RestApi, path_segment
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import Leg
from patter_core.webhook import Accept, CallRouter, Reject, Webhook, WebhookRequest, WebhookResponse
from patter_framed.signing import verify
from patter_framed.wire import SUBPROTOCOL, Answer, FramedCodec, Ring

__all__ = ["Framed"]


class _Api(RestApi):
    vendor: ClassVar[str] = "Framed"
    base_url_setting: ClassVar[str] = "url or FRAMED_URL"

    def error_code(self, body: bytes) -> str:
        return ""


@dataclasses.dataclass(frozen=True)
class Framed(Carrier):
    """Calls over Framed.

    Args:
        secret: of the account; by default FRAMED_SECRET.
        url: of the API; by default FRAMED_URL.
        has_notify: False for an account whose media sockets have no marks.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    name: ClassVar[str] = "framed"
    emulator: ClassVar[str] = "patter_framed.testing:FramedEmulator"
    subprotocols: ClassVar[tuple[str, ...]] = (SUBPROTOCOL,)

    secret: str = dataclasses.field(default="", repr=False)
    url: str = ""
    has_notify: bool = True

    def __post_init__(self) -> None:
        secret = Setting(self.secret, "Framed(secret=…)", "FRAMED_SECRET").required("in your account")
        url = base_url(self.url, parameter="Framed(url=…)", variable="FRAMED_URL", default="https://api.framed.example")
        object.__setattr__(self, "secret", secret)
        object.__setattr__(self, "url", url)

    def token_secret(self) -> bytes:
        return hmac.digest(self.secret.encode(), b"patter: stream tokens", "sha256")

    def webhooks(self) -> Mapping[str, Webhook]:
        return {"voice": Webhook(self._voice)}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        verify(request, self.secret)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return FramedCodec(has_notify=self.has_notify)

    async def hang_up(self, leg: Leg) -> None:
        api = _Api(self.url, {"authorization": f"Bearer {self.secret}"})
        try:
            await api.request("DELETE", f"/calls/{path_segment(leg.call_id)}", action="hang up")
        except CarrierRequestFailed as error:
            if error.status != 404:
                raise

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        verify(request, self.secret)
        try:
            ring = msgspec.json.decode(request.body, type=Ring)
        except UNREADABLE:
            raise WebhookRefused("The webhook is not as documented.") from None
        leg = Leg(
            carrier=self.name,
            call_id=ring.call_id,
            from_number=address_of(ring.from_number),
            to_number=address_of(ring.to_number),
        )
        outcome = await router.call(leg, request.likely_url).arrived()
        if isinstance(outcome, Accept):
            answer = Answer(socket=outcome.media_url)
        else:
            answer = Answer(reject=outcome.reason if isinstance(outcome, Reject) else "rejected")
        return WebhookResponse(body=msgspec.json.encode(answer), content_type="application/json")
