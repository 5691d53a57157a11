"""Telnyx as a carrier."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hmac
import logging
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, Literal, get_args

import msgspec

from patter_core.carrier import Carrier
from patter_core.checks import CheckResult
from patter_core.config import from_environment, required
from patter_core.errors import ConfigurationError
from patter_core.media import MediaCodec
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.webhook import Accept, CallRouter, WebhookHandler, WebhookRequest, WebhookResponse
from patter_telnyx import signing
from patter_telnyx.account import Account
from patter_telnyx.checks import run_checks
from patter_telnyx.control import Control
from patter_telnyx.events import read_event
from patter_telnyx.formats import ByteOrder, Codec
from patter_telnyx.rest import TelnyxApi
from patter_telnyx.webhooks import Webhooks
from patter_telnyx.wire import TelnyxMediaCodec

__all__ = ["API_KEY_WHERE", "API_URL", "Telnyx"]

_log = logging.getLogger("patter.telnyx")

API_URL = "https://api.telnyx.com"
API_KEY_WHERE = "in Telnyx's portal, under “API Keys”"

_RATES = CarrierRates(
    inbound=Decimal("0.0055"),
    outbound=Decimal("0.007"),
    streaming=Decimal("0.0035"),
    recording=Decimal("0.002"),
    machine_detection=Decimal("0.002"),
    as_of=dt.date(2026, 6, 30),
    source="Telnyx's list prices for local numbers in the US, from a secondary source of mid-2026",
)
_PREMIUM_DETECTION = Decimal("0.0065")

CodecName = Literal["PCMU", "PCMA", "L16"]
TargetLegs = Literal["", "self", "opposite", "both"]
MachineDetection = Literal["standard", "premium"]


@dataclasses.dataclass(frozen=True)
class Telnyx(Carrier):
    """Calls from Telnyx Call Control, with their audio over its media streaming.

    Args:
        api_key: `KEY…`, from the portal; else the environment's TELNYX_API_KEY.
        connection_id: of the Call Control application whose numbers these are; else TELNYX_CONNECTION_ID.
        public_key: what webhooks are checked with, in base64; else TELNYX_PUBLIC_KEY.
        base_url: of the REST API; else TELNYX_BASE_URL; else https://api.telnyx.com. For tests.
        verify_webhooks: False takes webhooks from anybody: anybody can then start paid conversations. For tests.
        codec: what audio is asked for, both ways: PCMU, PCMA, or L16 (16 kHz). What `start` then announces rules.
        l16_byte_order: of L16, which the vendor documents nowhere.
        target_legs: who hears the agent: self, opposite or both. "" leaves it to Telnyx.
        machine_detection: which of Telnyx's kinds, for calls that ask for one: `premium` is better, costs more, and
            tells a machine's beep only, where `standard` tells a silence too.
        voice: for what Telnyx itself says: announcements, and messages for machines.

    Raises:
        ConfigurationError: a value is missing, or cannot be what it should be.
    """

    name: ClassVar[str] = "telnyx"
    emulator: ClassVar[str] = "patter_telnyx.testing:TelnyxEmulator"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.PRICE}
    stream_end_is_call_end: ClassVar[bool] = False
    asks_at_stream_end: ClassVar[bool] = True

    api_key: str = dataclasses.field(default="", repr=False)
    connection_id: str = ""
    public_key: str = ""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    verify_webhooks: bool = True
    codec: CodecName = "PCMU"
    l16_byte_order: ByteOrder = "little"
    target_legs: TargetLegs = ""
    machine_detection: MachineDetection = "standard"
    voice: str = "AWS.Polly.Joanna"

    def __post_init__(self) -> None:
        api_key = required(
            self.api_key,
            parameter="Telnyx(api_key=…)",
            variable="TELNYX_API_KEY",
            where=API_KEY_WHERE,
        )
        connection_id = required(
            self.connection_id,
            parameter="Telnyx(connection_id=…)",
            variable="TELNYX_CONNECTION_ID",
            where="in Telnyx's portal, under “Voice”, “Programmable Voice”: the ID of your application",
        )
        base_url = from_environment(self.base_url, "TELNYX_BASE_URL") or API_URL
        if not base_url.startswith(("https://", "http://")):
            raise ConfigurationError(
                "Telnyx(base_url=…) is not an address.", expected="https://host, without a path", got=repr(base_url)
            )
        for parameter, kind in _CHOICES.items():
            value, choices = getattr(self, parameter), get_args(kind)
            if value not in choices:
                raise ConfigurationError(
                    f"Telnyx({parameter}=…) is none of those that can be had.",
                    expected=" or ".join(map(repr, choices)),
                    got=repr(value),
                )
        # Frozen for everybody else: https://docs.python.org/3/library/dataclasses.html, “Frozen instances”.
        object.__setattr__(self, "api_key", api_key)
        object.__setattr__(self, "connection_id", connection_id)
        object.__setattr__(self, "base_url", base_url.rstrip("/"))
        object.__setattr__(self, "public_key", self._checked_public_key())

    def _checked_public_key(self) -> str:
        public_key = from_environment(self.public_key, "TELNYX_PUBLIC_KEY")
        if public_key:
            signing.verify_key(public_key)
        elif self.verify_webhooks:
            raise ConfigurationError(
                "Telnyx(public_key=…) is missing, and nobody could tell a webhook of Telnyx's from a stranger's.",
                expected="the parameter, or the environment variable TELNYX_PUBLIC_KEY",
                got="neither",
                remedy=f"{signing.WHERE} For tests, say verify_webhooks=False.",
            )
        if not self.verify_webhooks:
            _log.warning("Telnyx(verify_webhooks=False): anybody who finds this server can start paid conversations.")
        return public_key

    @property
    def rates(self) -> CarrierRates:
        if self.machine_detection == "premium":
            return msgspec.structs.replace(_RATES, machine_detection=_PREMIUM_DETECTION)
        return _RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")

    def webhooks(self) -> Mapping[str, WebhookHandler]:
        return {"voice": self._voice}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        """Telnyx signs no upgrade: the stream token in the path is the proof, and the core has checked it."""

    def media_codec(self, leg: Leg) -> MediaCodec:
        return TelnyxMediaCodec(Codec(self.codec), self.l16_byte_order)

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """Every event of every call. The answer's body is not read."""
        if self.verify_webhooks:
            signing.verify_webhook(request, self.public_key, time.time())
        await self._webhooks.take(read_event(request), router)
        return WebhookResponse()

    # --- control ---------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        await self._control.hang_up(leg.call_id)

    async def dial(self, request: DialRequest) -> str:
        return await self._control.dial(request)

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        await self._control.transfer(leg, transfer.to, transfer.say)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        await self._control.say_and_hang_up(leg, text)

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        await self._control.send_dtmf(leg, digits)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        await self._control.hold(leg, audio_url)

    async def resume(self, leg: Leg, accept: Accept) -> None:
        await self._control.resume(leg, accept)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        return await self._control.start_recording(leg)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        await self._control.pause_recording(leg, paused=paused)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        await self._control.stop_recording(leg)

    async def look_up(self, leg: Leg) -> LegFacts:
        return LegFacts(progress=await self._account.progress_of(leg.call_id))

    async def set_voice_url(self, number: str, url: str) -> None:
        await self._account.point_number(number, self.connection_id)
        await self._account.set_webhook_url(self.connection_id, url)

    async def check(self) -> Sequence[CheckResult]:
        return await run_checks(self._account, self.connection_id)

    # --- what the parts are made with ------------------------------------------------------------------------------

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

    @functools.cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.name, self._control)

    @property
    def _account(self) -> Account:
        return Account(self._control.api)


_CHOICES = {
    "codec": CodecName,
    "l16_byte_order": ByteOrder,
    "target_legs": TargetLegs,
    "machine_detection": MachineDetection,
}
