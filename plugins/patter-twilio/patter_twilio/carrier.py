"""Twilio as a carrier."""

from __future__ import annotations

import dataclasses
import functools
import hmac
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.carrier import Carrier
from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.media import MediaCodec
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.webhook import Accept, Webhook, WebhookRequest, WebhookResponse
from patter_twilio import signing, twiml
from patter_twilio.checks import run_checks
from patter_twilio.config import Account, read_account, read_other_tokens
from patter_twilio.control import Control
from patter_twilio.numbers import TwilioNumbers
from patter_twilio.prices import RATES
from patter_twilio.rest import TwilioApi
from patter_twilio.webhooks import Webhooks
from patter_twilio.wire import TwilioMediaCodec

__all__ = ["Twilio"]


@dataclasses.dataclass(frozen=True)
class Twilio(Carrier):
    """Calls over Twilio Programmable Voice, with their audio over Media Streams.

    Args:
        account_sid: `AC…`, from the console; by default TWILIO_ACCOUNT_SID.
        auth_token: from the console; by default TWILIO_AUTH_TOKEN. Verifies signatures, and authenticates requests
            without api_key.
        api_key: `SK…`, for requests; by default TWILIO_API_KEY.
        api_secret: of the api_key; by default TWILIO_API_SECRET.
        other_auth_tokens: accepted in signatures, too: the next or the previous token, while it is being rotated;
            by default TWILIO_OTHER_AUTH_TOKENS.
        region: where calls are processed, such as `ie1`; by default TWILIO_REGION. A region has its own credentials.
        edge: where requests enter Twilio's network, such as `dublin`; by default TWILIO_EDGE.
        voice: speaks the texts that Twilio says, as in `<Say voice>`; by default Twilio's own default.
        language: of those texts, as in `<Say language>`.
        base_url: of the REST API, for tests; by default TWILIO_BASE_URL.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    name: ClassVar[str] = "twilio"
    credentials: ClassVar[tuple[str, ...]] = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
    emulator: ClassVar[str] = "patter_twilio.testing:TwilioEmulator"
    demo_rank: ClassVar[int] = 10
    asks_at_stream_end: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.SEND_DTMF}
    # Twilio sends keys only by a redirect to <Play digits>: the stream would end and come back a second later, and the
    # agent would miss what a telephone menu says in between. So the core plays the tones into the stream.

    account_sid: str = ""
    auth_token: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    api_key: str = ""
    api_secret: str = dataclasses.field(default="", repr=False)
    other_auth_tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    region: str = ""
    edge: str = ""
    voice: str = ""
    language: Language = ""
    base_url: str = ""
    _account: Account = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        account = read_account(
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            api_key=self.api_key,
            api_secret=self.api_secret,
            region=self.region,
            edge=self.edge,
            base_url=self.base_url,
        )
        # A frozen dataclass sets its own fields like this.
        for name in account.__struct_fields__:
            object.__setattr__(self, name, getattr(account, name))
        object.__setattr__(self, "_account", account)
        object.__setattr__(self, "other_auth_tokens", read_other_tokens(self.other_auth_tokens))

    @property
    def rates(self) -> CarrierRates:
        return RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.auth_token.encode(), b"patter: stream tokens", "sha256")

    # --- webhooks and media ----------------------------------------------------------------------------------------

    def webhooks(self) -> Mapping[str, Webhook]:
        return self._webhooks.served

    def stopping_response(self) -> WebhookResponse:
        """Twilio asks again after a second. After a 503 the call would fail if the number has no fallback URL."""
        document = twiml.document(twiml.pause(1), twiml.redirect())
        return WebhookResponse(body=document, content_type=twiml.CONTENT_TYPE)

    def verify_upgrade(self, request: WebhookRequest) -> None:
        signing.verify_upgrade(request, self._auth_tokens)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return TwilioMediaCodec()

    # --- control ---------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        await self._control.hang_up(leg.call_id)

    async def dial(self, request: DialRequest) -> str:
        return await self._control.dial(request)

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        await self._control.transfer(leg, transfer)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        await self._control.say_and_hang_up(leg, text)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        await self._control.hold(leg, audio_url)

    async def resume(self, leg: Leg, accept: Accept) -> None:
        await self._control.resume(leg, accept)

    async def connect(self, leg: Leg, other: Leg) -> None:
        await self._control.connect(leg, other)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        return await self._control.start_recording(leg, callbacks)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        await self._control.pause_recording(leg, recording_id, paused=paused)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        await self._control.stop_recording(leg, recording_id)

    async def look_up(self, leg: Leg) -> LegFacts:
        return await self._control.look_up(leg)

    async def set_voice_url(self, number: str, url: str) -> None:
        await TwilioNumbers(self._control.api).ensure(number, url)

    async def voice_target(self, number: str) -> VoiceTarget:
        return await TwilioNumbers(self._control.api).voice_target(number)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        await TwilioNumbers(self._control.api).put_back(number, target)

    async def check(self, base: str = "", number: str = "") -> Sequence[CheckResult]:
        return await run_checks(TwilioNumbers(self._control.api), base, number)

    # --- parts -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _control(self) -> Control:
        account = self._account
        api = TwilioApi(account.base_url, account.account_sid, account.credentials)
        return Control(api, self.voice, self.language)

    @functools.cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.name, self.account_sid, self._auth_tokens, self._control)

    @property
    def _auth_tokens(self) -> tuple[str, ...]:
        return (self.auth_token, *self.other_auth_tokens)
