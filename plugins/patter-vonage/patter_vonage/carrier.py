"""Vonage as a carrier."""

from __future__ import annotations

import dataclasses
import functools
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from patter_core.carrier import Carrier
from patter_core.checks import CheckResult, Level
from patter_core.config import Language, check_fields
from patter_core.media import MediaCodec
from patter_core.telephony.control import Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.webhook import Accept, Webhook, WebhookRequest
from patter_vonage.application import Application
from patter_vonage.checks import check_account, check_key
from patter_vonage.config import (
    Credentials,
    SampleRate,
    account_url,
    check_rate,
    private_key_set_by,
    read_account,
    read_other_secrets,
    rest_url,
)
from patter_vonage.control import Control, Voice
from patter_vonage.jwt import read_private_key
from patter_vonage.number_target import NumberTarget
from patter_vonage.numbers import VonageNumbers
from patter_vonage.prices import RATES
from patter_vonage.rest import AccountApi
from patter_vonage.signing import WebhookKey
from patter_vonage.webhooks import Webhooks
from patter_vonage.wire import VonageMediaCodec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["Vonage"]


@dataclasses.dataclass(frozen=True)
class Vonage(Carrier):
    """Calls over Vonage's Voice API, with their audio over its WebSockets.

    Args:
        application_id: of the application that the numbers are linked to; by default VONAGE_APPLICATION_ID.
        private_key: of the application, in PEM, or the path of its file; by default VONAGE_PRIVATE_KEY.
        api_key: of the account; by default VONAGE_API_KEY.
        signature_secret: of the account, verifies webhooks and media sockets; by default VONAGE_SIGNATURE_SECRET.
        api_secret: of the account; by default VONAGE_API_SECRET. Only numbers and the application's settings need it.
        other_signature_secrets: accepted, too: the next or the previous one, while it is being rotated;
            by default VONAGE_OTHER_SIGNATURE_SECRETS.
        sample_rate: of the audio, both ways, in Hz: 8000, 16000 or 24000.
        record: has Vonage record each call from its answer on, both sides, as WAV.
        language: of the texts that Vonage says, such as `en-GB`.
        style: of the voice that says them, as in Vonage's list of voices.
        premium: has the premium version of that voice say them.
        base_url: of the API: of a region, or for tests; by default VONAGE_BASE_URL.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    name: ClassVar[str] = "vonage"
    credentials: ClassVar[tuple[str, ...]] = (
        "VONAGE_APPLICATION_ID",
        "VONAGE_PRIVATE_KEY",
        "VONAGE_API_KEY",
        "VONAGE_SIGNATURE_SECRET",
    )
    voice_setting: ClassVar[str] = "your application's answer URL"
    emulator: ClassVar[str] = "patter_vonage.testing:VonageEmulator"
    stream_end_is_call_end: ClassVar[bool] = False
    asks_at_stream_end: ClassVar[bool] = True
    dtmf_keys: ClassVar[str] = "0123456789*#"
    # A recording begins with an NCCO and ends with the call: it cannot be paused or stopped, so RECORD is not there.
    # The price comes with the event of the call's end.
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.DIAL,
            Capability.MACHINE_DETECTION,
            Capability.HUMAN_DETECTION,
            Capability.TRANSFER,
            Capability.SAY,
            Capability.NOTICE,
            Capability.SEND_DTMF,
            Capability.HOLD,
            Capability.CONNECT,
            Capability.LOOK_UP,
            Capability.CONFIGURE_NUMBER,
        }
    )

    application_id: str = ""
    private_key: str = dataclasses.field(default="", repr=False)
    api_key: str = dataclasses.field(default="", repr=False)
    signature_secret: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    api_secret: str = dataclasses.field(default="", repr=False)
    other_signature_secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    sample_rate: SampleRate = 16_000
    record: bool = False
    language: Language = ""
    style: int = 0
    premium: bool = False
    base_url: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        account = read_account(
            application_id=self.application_id,
            private_key=self.private_key,
            api_key=self.api_key,
            api_secret=self.api_secret,
            signature_secret=self.signature_secret,
            base_url=self.base_url,
        )
        check_rate(self.sample_rate)
        # It is read now, so that a wrong one is found now. A frozen dataclass sets its own fields like this.
        object.__setattr__(self, "_key", read_private_key(account.private_key, private_key_set_by(self.private_key)))
        for name in account.__struct_fields__:
            object.__setattr__(self, name, getattr(account, name))
        object.__setattr__(self, "other_signature_secrets", read_other_secrets(self.other_signature_secrets))

    @property
    def rates(self) -> CarrierRates:
        return RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.signature_secret.encode(), b"patter: stream tokens", "sha256")

    # --- webhooks and media ----------------------------------------------------------------------------------------

    def webhooks(self) -> Mapping[str, Webhook]:
        return self._webhooks.served

    def verify_upgrade(self, request: WebhookRequest) -> None:
        self._webhook_key.verify_upgrade(request, time.time())

    def media_codec(self, leg: Leg) -> MediaCodec:
        return VonageMediaCodec(leg.call_id, self.sample_rate)

    # --- control ---------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        await self._control.hang_up(leg)

    async def dial(self, request: DialRequest) -> str:
        return await self._control.dial(request)

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        await self._control.transfer(leg, transfer)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        await self._control.say_and_hang_up(leg, text)

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        await self._control.send_dtmf(leg, digits)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        await self._control.hold(leg, audio_url)

    async def resume(self, leg: Leg, accept: Accept) -> None:
        await self._control.resume(leg)  # the media stream has gone on

    async def connect(self, leg: Leg, other: Leg) -> None:
        await self._control.connect(leg, other)

    async def look_up(self, leg: Leg) -> LegFacts:
        return await self._control.look_up(leg)

    async def set_voice_url(self, number: str, url: str) -> None:
        await self._numbers.ensure(number, self.application_id)
        await self._application.set_webhooks(url)

    async def voice_target(self, number: str) -> VoiceTarget:
        return await self._number_target.read(number)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        await self._number_target.put_back(number, target)

    async def check(self, base: str = "", number: str = "") -> Sequence[CheckResult]:
        results = [await check_key(self._control.api())]
        if self.api_secret:
            account = await check_account(
                self._numbers, self._application, self.application_id, base=base, number=number
            )
            return [*results, *account]
        remedy = "Set api_secret (VONAGE_API_SECRET), to have them checked."
        return [*results, CheckResult(Level.UNKNOWN, "The application and its numbers were not checked.", remedy)]

    # --- parts -----------------------------------------------------------------------------------------------------

    @property
    def _number_target(self) -> NumberTarget:
        return NumberTarget(self._numbers, self._application, self.application_id)

    @functools.cached_property
    def _key(self) -> RSAPrivateKey:
        return read_private_key(self.private_key)

    @functools.cached_property
    def _webhook_key(self) -> WebhookKey:
        return WebhookKey(
            secrets=(self.signature_secret, *self.other_signature_secrets),
            api_key=self.api_key,
            application_id=self.application_id,
        )

    @functools.cached_property
    def _control(self) -> Control:
        return Control(
            base_url=self.base_url,
            application_id=self.application_id,
            key=self._key,
            sample_rate=self.sample_rate,
            voice=Voice(self.language, self.style, self.premium),
            record=self.record,
        )

    @functools.cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.name, self._webhook_key, self._control)

    @property
    def _credentials(self) -> Credentials:
        return Credentials.read(self.api_key, self.api_secret)

    @property
    def _numbers(self) -> VonageNumbers:
        return VonageNumbers(AccountApi(rest_url(self.base_url), self._credentials))

    @property
    def _application(self) -> Application:
        return Application(AccountApi(account_url(self.base_url), self._credentials), self.application_id)
