"""Vonage on a loopback port: place a call to an answer webhook, or have the app dial, and it behaves like one."""

from __future__ import annotations

import functools
import secrets
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp

from patter_core.audio import AudioFormat, Encoding
from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_vonage.application import event_url_for
from patter_vonage.carrier import Vonage
from patter_vonage.config import SampleRate
from patter_vonage.testing.call import Network, VonageCall
from patter_vonage.testing.keys import new_key
from patter_vonage.testing.requests import CreateCallBody, PhoneTarget, SipTarget
from patter_vonage.testing.rest import ApiRequest, EmulatedNumber, RestApi
from patter_vonage.testing.webhooks import WebhookSender

__all__ = ["VonageEmulator"]


class VonageEmulator(CarrierEmulator):
    """Plays Vonage for one application.

    Args:
        sample_rate: of its telephones, and of the media sockets that its carrier asks for.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    def __init__(self, *, sample_rate: SampleRate = 16_000, tunnels: Mapping[str, str] | None = None) -> None:
        super().__init__(tunnels=tunnels)
        self.format = AudioFormat(Encoding.PCM16, sample_rate)
        self.sample_rate: SampleRate = sample_rate
        self.application_id = str(uuid.uuid4())
        self.api_key = secrets.token_hex(4)
        self.api_secret = secrets.token_urlsafe(12)
        self.signature_secret = secrets.token_urlsafe(32)
        self.private_key, self.public_key = new_key()
        """PEM."""
        self._calls: dict[str, VonageCall] = {}
        self.api = RestApi(
            application_id=self.application_id,
            public_key=self.public_key,
            account=(self.api_key, self.api_secret),
            calls=self._calls,
            place=self._dial,
        )
        """The REST APIs: their numbers, the application, and how they fail."""

    @property
    def app(self) -> ASGIApp:
        return self.api.app

    @property
    def secrets(self) -> tuple[str, ...]:
        body = "".join(self.private_key.splitlines()[1:-1])
        return (self.api_secret, self.signature_secret, self.private_key, body)

    def carrier(self) -> Vonage:
        return Vonage(
            self.application_id,
            self.private_key,
            self.api_key,
            self.signature_secret,
            api_secret=self.api_secret,
            sample_rate=self.sample_rate,
            base_url=self.base_url,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "VONAGE_APPLICATION_ID": self.application_id,
            "VONAGE_PRIVATE_KEY": self.private_key,
            "VONAGE_API_KEY": self.api_key,
            "VONAGE_API_SECRET": self.api_secret,
            "VONAGE_SIGNATURE_SECRET": self.signature_secret,
            "VONAGE_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[VonageCall]:
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST APIs, in order."""
        return self.api.requests

    @functools.cached_property
    def network(self) -> Network:
        """What all calls share. Its attributes are for tests, to have it behave or misbehave."""
        sender = WebhookSender(
            self.client,
            signature_secret=self.signature_secret,
            api_key=self.api_key,
            application_id=self.application_id,
            tunnels=self.tunnels,
        )
        rooms: dict[str, Conference] = {}
        return Network(sender=sender, tunnels=self.tunnels, callee_at=self.callee_at, rooms=rooms)

    @property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call: repeated, forged, or of a made-up kind."""
        return self.network.sender

    def add_number(self, number: str) -> None:
        self.api.numbers.append(EmulatedNumber(msisdn=number.removeprefix("+")))

    def voice_url(self, number: str) -> str:
        found = next((one for one in self.api.numbers if one.msisdn == number.removeprefix("+")), None)
        is_linked = found is not None and found.app_id == self.application_id
        return self.api.application.answer_url if is_linked else ""

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = CALLER,
        to_number: str = CALLED,
        fallback_url: str = "",
        event_url: str | None = None,
    ) -> VonageCall:
        """As in the base class.

        Args:
            voice_url: the application's answer URL.
            caller: who says and hears it all.
            from_number: as Vonage writes it, or with a plus.
            to_number: as above.
            fallback_url: the application's fallback answer URL.
            event_url: the application's; by default beside the voice webhook, where `set_voice_url` points it; "" for
                none.
        """
        return self._add(
            VonageCall(
                self.network,
                self._new_id(),
                caller,
                answer_url=voice_url,
                fallback_url=fallback_url,
                event_url=event_url_for(voice_url) if event_url is None else event_url,
                from_number=from_number,
                to_number=to_number,
            )
        )

    def _dial(self, body: CreateCallBody) -> VonageCall:
        """The app has a call made: it runs by itself."""
        to_number = _number(body.to[0])
        call = self._add(
            VonageCall(
                self.network,
                self._new_id(),
                Caller(self.callee_at(to_number).steps, self.format),
                answer_url="" if body.answer_url is None else body.answer_url[0],
                event_url=self.api.application.event_url if body.event_url is None else body.event_url[0],
                from_number="" if body.from_ is None else _number(body.from_),
                to_number=to_number,
                dialling=body,
            )
        )
        self.tasks.start_soon(call.run)
        return call

    def _new_id(self) -> str:
        return self.next_call_id(str(uuid.uuid4()))

    def _add(self, call: VonageCall) -> VonageCall:
        self._calls[call.call_id] = call
        return call


def _number(target: PhoneTarget | SipTarget) -> str:
    return target.uri if isinstance(target, SipTarget) else f"+{target.number}"
