"""Plivo as a carrier."""

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
from patter_core.webhook import Accept, Webhook, WebhookRequest
from patter_plivo import signing
from patter_plivo.checks import run_checks
from patter_plivo.config import read_account, read_other_tokens
from patter_plivo.control import Control
from patter_plivo.formats import ContentType, audio_format, check_content_type
from patter_plivo.numbers import PlivoNumbers
from patter_plivo.rest import PlivoApi
from patter_plivo.webhooks import Webhooks
from patter_plivo.wire import PlivoMediaCodec

__all__ = ["Plivo"]


@dataclasses.dataclass(frozen=True)
class Plivo(Carrier):
    """Calls over Plivo Voice, with their audio over its audio streaming.

    Args:
        auth_id: `MA…`, or `SA…` of a subaccount, from the console; by default PLIVO_AUTH_ID.
        auth_token: from the console; by default PLIVO_AUTH_TOKEN. Verifies signatures, and authenticates requests.
        other_auth_tokens: accepted in signatures, too: the next or the previous token, while it is being rotated;
            by default PLIVO_OTHER_AUTH_TOKENS.
        content_type: of the audio, both ways: `audio/x-mulaw;rate=8000`, or `audio/x-l16;rate=` 8000, 16000 or 24000.
        voice: speaks the texts that Plivo says, as in `<Speak voice>`; by default Plivo's own default.
        language: of those texts, as in `<Speak language>`.
        base_url: of the REST API, for tests; by default PLIVO_BASE_URL.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    name: ClassVar[str] = "plivo"
    credentials: ClassVar[tuple[str, ...]] = ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN")
    voice_setting: ClassVar[str] = "your application's answer URL"
    emulator: ClassVar[str] = "patter_plivo.testing:PlivoEmulator"
    asks_at_stream_end: ClassVar[bool] = True
    stream_end_is_call_end: ClassVar[bool] = False
    longest_media_url: ClassVar[int] = 2_048
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {
        Capability.HUMAN_DETECTION,  # Plivo reports machines only
        Capability.PAUSE_RECORDING,
    }

    auth_id: str = ""
    auth_token: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    other_auth_tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    content_type: ContentType = "audio/x-mulaw;rate=8000"
    voice: str = ""
    language: Language = ""
    base_url: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        check_content_type(self.content_type)
        account = read_account(auth_id=self.auth_id, auth_token=self.auth_token, base_url=self.base_url)
        # A frozen dataclass sets its own fields like this.
        for name in account.__struct_fields__:
            object.__setattr__(self, name, getattr(account, name))
        object.__setattr__(self, "other_auth_tokens", read_other_tokens(self.other_auth_tokens))

    def token_secret(self) -> bytes:
        return hmac.digest(self.auth_token.encode(), b"patter: stream tokens", "sha256")

    # --- webhooks and media ----------------------------------------------------------------------------------------

    def webhooks(self) -> Mapping[str, Webhook]:
        return self._webhooks.served

    async def settle(self) -> None:
        await self._control.unrequested.wait()

    def verify_upgrade(self, request: WebhookRequest) -> None:
        signing.verify_upgrade(request, self._auth_tokens)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return PlivoMediaCodec(audio_format(self.content_type), leg, self._control.outbound.learn)

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
        await self._control.resume(leg, accept)

    async def connect(self, leg: Leg, other: Leg) -> None:
        await self._control.connect(leg, other)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        return await self._control.start_recording(leg, callbacks)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        await self._control.stop_recording(leg)

    async def look_up(self, leg: Leg) -> LegFacts:
        return await self._control.look_up(leg)

    async def set_voice_url(self, number: str, url: str) -> None:
        await PlivoNumbers(self._control.api).ensure(number, url)

    async def voice_target(self, number: str) -> VoiceTarget:
        return await PlivoNumbers(self._control.api).voice_target(number)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        await PlivoNumbers(self._control.api).put_back(number, target)

    async def check(self, base: str = "", number: str = "") -> Sequence[CheckResult]:
        return await run_checks(PlivoNumbers(self._control.api), base, number)

    # --- parts -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _control(self) -> Control:
        api = PlivoApi(self.base_url, self.auth_id, self.auth_token)
        return Control(api, self.content_type, self.voice, self.language)

    @functools.cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.name, self._auth_tokens, self._control)

    @property
    def _auth_tokens(self) -> tuple[str, ...]:
        return (self.auth_token, *self.other_auth_tokens)
