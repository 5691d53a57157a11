"""Telnyx on a loopback port: place a call to a webhook, or have the app dial, and it behaves like the real thing."""

from __future__ import annotations

import base64
import functools
import secrets
import uuid
from collections.abc import Mapping
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp

from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_telnyx.carrier import Telnyx
from patter_telnyx.testing.call import TelnyxCall
from patter_telnyx.testing.media import LegNeeds
from patter_telnyx.testing.requests import DialBody
from patter_telnyx.testing.rest import ApiRequest, EmulatedNumber, RestApi
from patter_telnyx.testing.stream import FORMATS
from patter_telnyx.testing.webhooks import WebhookSender

__all__ = ["TelnyxEmulator"]


class TelnyxEmulator(CarrierEmulator):
    """Plays Telnyx for one account. Its attributes are for tests, to have it behave or misbehave.

    Args:
        leg_codec: what telephones speak: PCMU as in the US, or PCMA as in Europe.
        announces: have `start` announce another codec than was asked for.
        disorder: send what callers say, and press, out of order.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    def __init__(
        self,
        *,
        leg_codec: Literal["PCMU", "PCMA"] = "PCMU",
        announces: str = "",
        disorder: bool = False,
        tunnels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(tunnels=tunnels)
        self.format = FORMATS[leg_codec]
        self.api_key = f"KEY{secrets.token_hex(16)}"
        self.connection_id = str(secrets.randbelow(10**19))
        self.webhook_url = ""
        """Where the application's webhooks go; `place` sets it, if it is empty."""
        self._key = Ed25519PrivateKey.generate()
        self._leg_codec = leg_codec
        self._announces = announces
        self._disorder = disorder
        self._calls: dict[str, TelnyxCall] = {}
        self.api = RestApi(self.api_key, self.connection_id, self._calls, self._dial)

    @property
    def app(self) -> ASGIApp:
        return self.api.app

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    @property
    def public_key(self) -> str:
        """As the portal shows it."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def carrier(self) -> Telnyx:
        return Telnyx(self.api_key, self.connection_id, self.public_key, base_url=self.base_url)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TELNYX_API_KEY": self.api_key,
            "TELNYX_CONNECTION_ID": self.connection_id,
            "TELNYX_PUBLIC_KEY": self.public_key,
            "TELNYX_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[TelnyxCall]:
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST API, in order."""
        return self.api.requests

    @functools.cached_property
    def needs(self) -> LegNeeds:
        """What all calls share: announcements, disorder."""
        return LegNeeds(
            sender=WebhookSender(self.client, self._key, self.tunnels),
            tunnels=self.tunnels,
            connection_id=self.connection_id,
            leg_codec=self._leg_codec,
            announces=self._announces,
            disorder=self._disorder,
        )

    @property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call, and to have all of them repeated or out of order."""
        return self.needs.sender

    def add_number(self, number: str) -> None:
        self.api.numbers.append(EmulatedNumber(id=secrets.token_hex(8), phone_number=number))

    def voice_url(self, number: str) -> str:
        application = self.api.application
        found = any(one.phone_number == number and one.connection_id == application.id for one in self.api.numbers)
        return application.webhook_event_url if found else ""

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = CALLER,
        to_number: str = CALLED,
        fallback_url: str = "",
    ) -> TelnyxCall:
        """As in the base class.

        Args:
            voice_url: where the application's webhooks go.
            caller: who says and hears it all.
            from_number: as Telnyx writes it.
            to_number: as above.
            fallback_url: the application's failover URL: for webhooks that the other does not take.
        """
        self.webhook_url = self.webhook_url or voice_url
        return self._add(
            TelnyxCall(
                self.needs,
                self._new_id(),
                webhook_url=voice_url,
                caller=caller,
                from_number=from_number,
                to_number=to_number,
                transfer=self._transfer,
                call_of=self._calls.get,
                fallback_url=fallback_url,
            )
        )

    # --- calls that the app has made -------------------------------------------------------------------------------

    def _dial(self, body: DialBody) -> TelnyxCall:
        callee = self.callee_at(body.to)
        call = self._add(
            TelnyxCall(
                self.needs,
                self._new_id(),
                webhook_url=body.webhook_url or self.webhook_url,
                caller=Caller(callee.steps, self.format),
                from_number=body.from_,
                to_number=body.to,
                callee=callee,
                transfer=self._transfer,
                call_of=self._calls.get,
                client_state=body.client_state,
                machine_detection=body.answering_machine_detection,
            )
        )
        self.tasks.start_soon(call.run)
        return call

    def _transfer(self, call: TelnyxCall, to: str, client_state: str) -> None:
        callee = self.callee_at(to)
        leg = self._add(
            TelnyxCall(
                self.needs,
                self._new_id(),
                webhook_url=call.webhook_url,
                caller=Caller([], self.format),
                from_number=call.to_number,
                to_number=to,
                callee=callee,
                session_id=call.session_id,
                client_state=client_state,
            )
        )
        self.tasks.start_soon(call.join, leg, callee)

    def _new_id(self) -> str:
        return self.next_call_id(f"v3:{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()}")

    def _add(self, call: TelnyxCall) -> TelnyxCall:
        self._calls[call.call_id] = call
        return call
