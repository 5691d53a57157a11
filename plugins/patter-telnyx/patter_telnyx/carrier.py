"""Telnyx as a carrier."""

from __future__ import annotations

import dataclasses
import functools
import hmac
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.carrier import Carrier
from patter_core.checks import CheckResult
from patter_core.config import check_fields
from patter_core.media import MediaCodec
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.webhook import Accept, Webhook, WebhookRequest
from patter_telnyx.application import Application
from patter_telnyx.checks import run_checks
from patter_telnyx.config import CHOICES, CodecName, MachineDetection, TargetLegs, check_choice, read_account
from patter_telnyx.control import Control
from patter_telnyx.formats import ByteOrder, Codec
from patter_telnyx.number_target import NumberTarget
from patter_telnyx.numbers import TelnyxNumbers
from patter_telnyx.prices import PREMIUM_RATES, RATES
from patter_telnyx.rest import TelnyxApi
from patter_telnyx.webhooks import Webhooks
from patter_telnyx.wire import TelnyxMediaCodec

__all__ = ["Telnyx"]


@dataclasses.dataclass(frozen=True)
class Telnyx(Carrier):
    """Calls over Telnyx Call Control, with their audio over its media streaming.

    Args:
        api_key: `KEY…`, from the portal; by default TELNYX_API_KEY.
        connection_id: of the Voice API application of the numbers; by default TELNYX_CONNECTION_ID.
        public_key: verifies webhooks; base64; by default TELNYX_PUBLIC_KEY.
        base_url: of the REST API, for tests; by default TELNYX_BASE_URL.
        codec: requested for the audio, both ways: PCMU, PCMA, or L16 (16 kHz). The caller's audio is then read in the
            codec that `start` names.
        l16_byte_order: of L16, which Telnyx does not document.
        target_legs: the legs that hear the agent: self, opposite or both. "" leaves it to Telnyx.
        machine_detection: the kind that is used for calls that ask for machine detection. `premium` is more reliable
            and more expensive, and reports only the beep of a machine, where `standard` reports silence, too.
        voice: speaks the texts that Telnyx says.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    name: ClassVar[str] = "telnyx"
    credentials: ClassVar[tuple[str, ...]] = ("TELNYX_API_KEY", "TELNYX_CONNECTION_ID", "TELNYX_PUBLIC_KEY")
    voice_setting: ClassVar[str] = "the webhook of your Voice API application"
    emulator: ClassVar[str] = "patter_telnyx.testing:TelnyxEmulator"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.PRICE}
    stream_end_is_call_end: ClassVar[bool] = False
    asks_at_stream_end: ClassVar[bool] = True

    api_key: str = dataclasses.field(default="", repr=False)
    connection_id: str = ""
    public_key: str = ""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    codec: CodecName = "PCMU"
    l16_byte_order: ByteOrder = "little"
    target_legs: TargetLegs = ""
    machine_detection: MachineDetection = "standard"
    voice: str = "AWS.Polly.Joanna"

    def __post_init__(self) -> None:
        check_fields(self)
        account = read_account(
            api_key=self.api_key,
            connection_id=self.connection_id,
            public_key=self.public_key,
            base_url=self.base_url,
        )
        for parameter in CHOICES:
            check_choice(parameter, getattr(self, parameter))
        # A frozen dataclass sets its own fields like this.
        for name in account.__struct_fields__:
            object.__setattr__(self, name, getattr(account, name))

    @property
    def rates(self) -> CarrierRates:
        return PREMIUM_RATES if self.machine_detection == "premium" else RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")

    # --- webhooks and media ----------------------------------------------------------------------------------------

    def webhooks(self) -> Mapping[str, Webhook]:
        return self._webhooks.served

    def verify_upgrade(self, request: WebhookRequest) -> None:
        """Telnyx does not sign upgrades: the stream token in the path is the proof, and the core has verified it."""

    def media_codec(self, leg: Leg) -> MediaCodec:
        return TelnyxMediaCodec(Codec(self.codec), self.l16_byte_order)

    # --- control ---------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        await self._control.hang_up(leg.call_id)

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
        await self._control.resume(leg, accept)

    async def connect(self, leg: Leg, other: Leg) -> None:
        await self._control.connect(leg, other)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        return await self._control.start_recording(leg)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        await self._control.pause_recording(leg, paused=paused)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        await self._control.stop_recording(leg)

    async def look_up(self, leg: Leg) -> LegFacts:
        return await self._control.look_up(leg)

    async def set_voice_url(self, number: str, url: str) -> None:
        await TelnyxNumbers(self._control.api).ensure(number, self.connection_id)
        await self._application.set_webhook_url(url)

    async def voice_target(self, number: str) -> VoiceTarget:
        return await self._number_target.read(number)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        await self._number_target.put_back(number, target)

    async def check(self, base: str = "", number: str = "") -> Sequence[CheckResult]:
        numbers = TelnyxNumbers(self._control.api)
        return await run_checks(numbers, self._application, self.connection_id, base=base, number=number)

    # --- parts -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _control(self) -> Control:
        return Control(
            api=TelnyxApi(self.base_url, self.api_key),
            connection_id=self.connection_id,
            codec=Codec(self.codec),
            target_legs=self.target_legs,
            voice=self.voice,
            premium_detection=self.machine_detection == "premium",
        )

    @property
    def _number_target(self) -> NumberTarget:
        return NumberTarget(TelnyxNumbers(self._control.api), self._application, self.connection_id)

    @functools.cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.name, self.public_key, self._control)

    @property
    def _application(self) -> Application:
        return Application(self._control.api, self.connection_id)
