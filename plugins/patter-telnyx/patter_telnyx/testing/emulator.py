"""Telnyx on a loopback port: place a call to a webhook, or have the app dial, and it behaves like the real thing."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Mapping
from typing import Literal

import anyio
import httpx
from nacl.signing import SigningKey

from patter_core.errors import CarrierError
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.emulator import CallRecording, CarrierEmulator
from patter_core.testing.network import Tunnels
from patter_telnyx.carrier import Telnyx
from patter_telnyx.testing.call import EmulatedCall
from patter_telnyx.testing.callee import Callee
from patter_telnyx.testing.media import LegNeeds
from patter_telnyx.testing.requests import DialBody
from patter_telnyx.testing.rest import ApiRequest, RestApi
from patter_telnyx.testing.stream import FORMATS
from patter_telnyx.testing.webhooks import WebhookSender

__all__ = ["TelnyxEmulator"]

_FOREVER = 3_600.0


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
        self.format = FORMATS[leg_codec]
        self.api_key = f"KEY{secrets.token_hex(16)}"
        self.connection_id = str(secrets.randbelow(10**19))
        self.base_url = ""
        """Of the REST API, once it runs."""
        self.webhook_url = ""
        """Where the application's webhooks go; `place` sets it, if it is empty."""
        self.callees: dict[str, Callee] = {}
        """Who answers which number when the app calls it; others listen for ever."""
        self._key = SigningKey.generate()
        self._leg_codec = leg_codec
        self._announces = announces
        self._disorder = disorder
        self._tunnels = Tunnels(tunnels or {})
        self._calls: dict[str, EmulatedCall] = {}
        self.api = RestApi(self.api_key, self.connection_id, self._calls, self._dial)
        self._open = contextlib.AsyncExitStack()
        self._needs: LegNeeds | None = None

    async def start(self) -> None:
        fresh = httpx.Limits(max_keepalive_connections=0)  # a kept connection may be one to a worker that is gone
        client = await self._open.enter_async_context(httpx.AsyncClient(trust_env=False, limits=fresh))
        tasks = await self._open.enter_async_context(anyio.create_task_group())
        self._open.callback(tasks.cancel_scope.cancel)
        self._needs = LegNeeds(
            sender=WebhookSender(client, self._key, self._tunnels),
            tunnels=self._tunnels,
            connection_id=self.connection_id,
            leg_codec=self._leg_codec,
            announces=self._announces,
            disorder=self._disorder,
            tasks=tasks,
        )
        self.base_url = await self._open.enter_async_context(serve_app(self.api.app))

    async def stop(self) -> None:
        for call in self.calls:
            call.end()
        await self._open.aclose()

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    @property
    def public_key(self) -> str:
        """As the portal shows it."""
        return base64.b64encode(bytes(self._key.verify_key)).decode()

    def carrier(self) -> Telnyx:
        return Telnyx(self.api_key, self.connection_id, self.public_key, base_url=self.base_url)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which `Telnyx()` finds this emulator."""
        return {
            "TELNYX_API_KEY": self.api_key,
            "TELNYX_CONNECTION_ID": self.connection_id,
            "TELNYX_PUBLIC_KEY": self.public_key,
            "TELNYX_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[EmulatedCall]:
        """All calls, placed and dialled, far legs of transfers too; the latest last."""
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST API, in order."""
        return self.api.requests

    @property
    def needs(self) -> LegNeeds:
        """What all calls share: costs, announcements, disorder."""
        if self._needs is None:
            raise CarrierError("The emulator does not run.", remedy="Use it as an asynchronous context manager.")
        return self._needs

    @property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call, and to have all of them repeated or out of order."""
        return self.needs.sender

    async def call(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = "+15005550006",
        to_number: str = "+15005550001",
        fallback_url: str = "",
    ) -> CallRecording:
        """Place an incoming call and return when it is over; it is the last of `calls`, with all that happened.

        Args:
            voice_url: where the application's webhooks go.
            caller: who says and hears it all.
            from_number: as Telnyx writes it.
            to_number: as above.
            fallback_url: the application's failover URL: for webhooks that the other does not take.
        """
        call = self.place(voice_url, caller, from_number=from_number, to_number=to_number, fallback_url=fallback_url)
        return await call.run()

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = "+15005550006",
        to_number: str = "+15005550001",
        fallback_url: str = "",
    ) -> EmulatedCall:
        """As `call`, but it waits for `run`, so that a test can watch and disturb it."""
        self.webhook_url = self.webhook_url or voice_url
        call = EmulatedCall(
            self.needs,
            webhook_url=voice_url,
            caller=caller,
            from_number=from_number,
            to_number=to_number,
            transfer=self._transfer,
            fallback_url=fallback_url,
        )
        self._calls[call.control_id] = call
        return call

    # --- calls that the app has made -------------------------------------------------------------------------------

    def _dial(self, body: DialBody) -> EmulatedCall:
        callee = self._callee(body.to)
        call = EmulatedCall(
            self.needs,
            webhook_url=body.webhook_url or self.webhook_url,
            caller=callee.caller or Caller([Pause(_FOREVER)], self.format),
            from_number=body.from_,
            to_number=body.to,
            callee=callee,
            transfer=self._transfer,
            client_state=body.client_state,
            machine_detection=body.answering_machine_detection,
        )
        self._calls[call.control_id] = call
        assert self.needs.tasks is not None  # it runs: its API was asked
        self.needs.tasks.start_soon(call.run)
        return call

    def _transfer(self, call: EmulatedCall, to: str, client_state: str) -> None:
        callee = self._callee(to)
        leg = EmulatedCall(
            self.needs,
            webhook_url=call.webhook_url,
            caller=None,
            from_number=call.to_number,
            to_number=to,
            callee=callee,
            session_id=call.session_id,
            client_state=client_state,
        )
        self._calls[leg.control_id] = leg
        assert self.needs.tasks is not None  # as above
        self.needs.tasks.start_soon(call.join, leg, callee)

    def _callee(self, number: str) -> Callee:
        return self.callees.get(number, Callee())
