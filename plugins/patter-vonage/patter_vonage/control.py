"""Control of Vonage's calls: outcomes as NCCOs, and requests to the API."""

from __future__ import annotations

import dataclasses
import math
import urllib.parse
import uuid
from typing import TYPE_CHECKING

import anyio

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import DialRequest, LegFacts
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import reported_cost
from patter_core.webhook import Accept, Reject
from patter_vonage import ncco
from patter_vonage.config import is_vonage_host
from patter_vonage.events import CURRENCY, PROGRESS
from patter_vonage.rest import CreateCall, CreatePhone, Detection, VonageApi
from patter_vonage.wire import SocketHeaders

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["REGION", "Control", "Voice"]

REGION = "region_url"
"""The name of the `Leg` parameter that holds the address of the API that has the call."""
RING_SECONDS = (1, 120)
"""The range of `ringing_timer`."""
_UNTIL_CONNECTED = 20.0
"""Seconds: longer than `connect` takes."""
_MOST_REGIONS = 16
_STOP_WITHIN = 1.0
"""Seconds of the five in which Vonage wants an answer."""
_POST = "POST"


@dataclasses.dataclass(frozen=True)
class Voice:
    """What speaks the texts that Vonage says."""

    language: str = ""
    style: int = 0
    premium: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Control:
    """The calls of one application. Each method raises `CarrierRequestFailed` if Vonage refuses or is not reached."""

    base_url: str
    application_id: str
    key: RSAPrivateKey
    sample_rate: int
    voice: Voice
    record: bool
    _apis: dict[str, VonageApi] = dataclasses.field(default_factory=dict, init=False)

    def api(self, leg: Leg | None = None) -> VonageApi:
        """Returns the API that has a call; the usual one where it is not known."""
        region = _region(leg, self.base_url) or self.base_url
        found = self._apis.get(region)
        if found is None:
            found = VonageApi(region, self.application_id, self.key)
            if len(self._apis) < _MOST_REGIONS:
                self._apis[region] = found
        return found

    # --- outcomes as instructions ----------------------------------------------------------------------------------

    def actions(
        self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer, *, is_first: bool = False
    ) -> list[ncco.Action]:
        """Returns the actions of an outcome. After the last one the call ends; without any it is rejected."""
        match outcome:
            case Accept():
                recording = self._recording(outcome, is_first=is_first)
                return [*self._say(outcome.notice), *recording, self._stream(leg, outcome)]
            case Reject():
                return []
            case Transfer(to=to, say=text):
                return [*self._say(text), _connect(leg, to)]
            case HangUp(say=text):
                return [*self._say(text)]

    def _recording(self, accept: Accept, *, is_first: bool) -> list[ncco.Action]:
        """One that was begun goes on beside all later actions."""
        if not (self.record and is_first):
            return []
        url = accept.callbacks.url("recording")
        return [ncco.Record(format="wav", split="conversation", channels=2, event_url=(url,), event_method=_POST)]

    def _stream(self, leg: Leg, accept: Accept) -> ncco.Action:
        number = ncco.plain_number(_own_number(leg))
        headers = SocketHeaders(leg=leg.call_id, number=number, region=_region(leg, self.base_url))
        return ncco.websocket(
            accept.media_url,
            sample_rate=self.sample_rate,
            headers=headers,
            event_url=accept.callbacks.url("stream"),
        )

    def _say(self, text: str) -> list[ncco.Talk]:
        voice = self.voice
        return ncco.talks(text, language=voice.language, style=voice.style, premium=voice.premium)

    def briefing(self, leg: Leg, text: str, then: str) -> list[ncco.Action]:
        """Returns the actions that tell a human what a warm transfer is about, and then report it to a URL."""
        payload = SocketHeaders(leg=leg.call_id, region=_region(leg, self.base_url))
        report = ncco.Notify(payload=payload, event_url=(then,), event_method=_POST)
        return [*self._say(text), report, ncco.Wait(timeout=_UNTIL_CONNECTED)]

    # --- start -----------------------------------------------------------------------------------------------------

    async def dial(self, request: DialRequest) -> str:
        """Makes a call, and returns its id."""
        shortest, longest = RING_SECONDS
        detection = None
        if request.machine_detection:
            detection = Detection(behavior="continue", mode="detect_beep" if request.await_greeting_end else "detect")
        return await self.api().create_call(
            CreateCall(
                to=(_party(request.to_number),),
                from_=_party(request.from_number),
                answer_url=(request.callbacks.url("answered"),),
                answer_method=_POST,
                event_url=(request.callbacks.url("event"),),
                event_method=_POST,
                ringing_timer=min(max(math.ceil(request.ring_timeout), shortest), longest),
                advanced_machine_detection=detection,
            )
        )

    # --- during the call -------------------------------------------------------------------------------------------

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Transfers the call, after speaking its text."""
        actions = self.actions(leg, transfer)
        await self.api(leg).redirect(leg.call_id, tuple(actions), action="transfer the call")

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        """Speaks a text, then hangs up."""
        actions = self.actions(leg, HangUp(text))
        await self.api(leg).redirect(leg.call_id, tuple(actions), action="speak to the caller")

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Sends keys."""
        await self.api(leg).send_keys(leg.call_id, digits.lower().replace("w", "p"))

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Plays audio in a loop; or nothing, which is silence. The media stream goes on."""
        if audio_url:
            await self.api(leg).play(leg.call_id, audio_url)
        else:
            await self.api(leg).stop_playing(leg.call_id)

    async def resume(self, leg: Leg) -> None:
        """Ends a hold."""
        await self.api(leg).stop_playing(leg.call_id)

    async def stop_hold_music(self, leg: Leg) -> None:
        """Ends what is played on hold, if Vonage does it at once; a failure is none."""
        with anyio.move_on_after(_STOP_WITHIN):
            try:
                await self.resume(leg)
            except CarrierRequestFailed:
                return

    async def connect(self, leg: Leg, other: Leg) -> None:
        """Connects a call on hold with another one, in a room that ends when one of the two leaves."""
        room = ncco.Conversation(name=f"patter-{uuid.uuid4()}", end_on_exit=True)
        await self.api(other).redirect(other.call_id, (room,), action="connect the call")  # if it is over: no change
        try:
            await self.api(leg).stop_playing(leg.call_id)
            await self.api(leg).redirect(leg.call_id, (room,), action="connect the call")
        except CarrierRequestFailed as error:
            error.taken = True
            raise

    async def look_up(self, leg: Leg) -> LegFacts:
        """Queries the call's status and price."""
        call = await self.api(leg).fetch_call(leg.call_id)
        progress = PROGRESS.get(call.status, Progress.DIALLING)
        cost = reported_cost(call.price, CURRENCY) if progress.is_final else None
        return LegFacts(progress=progress, cost=cost)

    async def hang_up(self, leg: Leg) -> None:
        """Ends a call, ringing or answered. Succeeds if it is over."""
        await self.api(leg).end_call(leg.call_id)


def _region(leg: Leg | None, base_url: str) -> str:
    """Returns the address of the API that has a call; "" if it is not known, or none that may have our token."""
    url = "" if leg is None else leg.parameters.get(REGION, "")
    try:
        parts, own = urllib.parse.urlsplit(url), urllib.parse.urlsplit(base_url)
        host = parts.hostname or ""
        is_ours = (parts.scheme == "https" and is_vonage_host(host)) or (parts.scheme, host) == (
            own.scheme,
            own.hostname,
        )
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if host and is_ours and not parts.username else ""


def _own_number(leg: Leg) -> str:
    return leg.from_number if leg.direction is Direction.OUTBOUND else leg.to_number


def _connect(leg: Leg, to: str) -> ncco.Connect:
    number = ncco.plain_number(_own_number(leg))
    return ncco.Connect(endpoint=(ncco.endpoint_of(to),), from_=number, random_from_number=not number)


def _party(address: str) -> CreatePhone:
    match ncco.endpoint_of(address):
        case ncco.SipEndpoint(uri=uri):
            return CreatePhone(type="sip", uri=uri)
        case ncco.PhoneEndpoint(number=number):
            return CreatePhone(type="phone", number=number)
