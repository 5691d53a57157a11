"""Twilio on a loopback port: place a call to a voice webhook, and it behaves like one from a telephone."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence

import anyio
import anyio.abc
import httpx

from patter_core.audio import ULAW_8000
from patter_core.errors import CarrierError
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CallRecording, CarrierEmulator
from patter_core.testing.network import Tunnels
from patter_twilio.carrier import Twilio
from patter_twilio.testing.call import EmulatedCall
from patter_twilio.testing.dialling import Callee, read_dialling
from patter_twilio.testing.rest import ApiRequest, EmulatedRecording, RestApi
from patter_twilio.testing.webhooks import WebhookSender

__all__ = ["TwilioEmulator"]


class TwilioEmulator(CarrierEmulator):
    """Plays Twilio for one account.

    Args:
        account_sid: made up if not given.
        auth_token: made up if not given.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    format = ULAW_8000

    def __init__(
        self, *, account_sid: str = "", auth_token: str = "", tunnels: Mapping[str, str] | None = None
    ) -> None:
        self.account_sid = account_sid or f"AC{secrets.token_hex(16)}"
        self.auth_token = auth_token or secrets.token_hex(16)
        self.base_url = ""
        """Of the REST API, once it runs."""
        self._tunnels = Tunnels(tunnels or {})
        self._calls: dict[str, EmulatedCall] = {}
        self.callee = Callee()
        """Who answers the numbers that are in nobody's place in `callees`."""
        self.callees: dict[str, Callee] = {}
        """Who answers the calls that the app makes, by number."""
        self.api = RestApi(self.account_sid, self.auth_token, self._calls, self._dial, self._spawn)
        """The REST API: its numbers, recordings, and how it fails."""
        self._tasks: anyio.abc.TaskGroup | None = None
        self._open = contextlib.AsyncExitStack()
        self._sender: WebhookSender | None = None

    async def start(self) -> None:
        self._tasks = await self._open.enter_async_context(anyio.create_task_group())
        self._open.callback(self._tasks.cancel_scope.cancel)  # once everything else is closed
        fresh = httpx.Limits(max_keepalive_connections=0)  # a kept connection may be one to a worker that is gone
        client = await self._open.enter_async_context(httpx.AsyncClient(trust_env=False, limits=fresh))
        self._sender = WebhookSender(
            client, account_sid=self.account_sid, auth_token=self.auth_token, tunnels=self._tunnels
        )
        self.base_url = await self._open.enter_async_context(serve_app(self.api.app))

    async def stop(self) -> None:
        for call in self.calls:
            call.end()
        await self._open.aclose()

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.auth_token,)

    def carrier(self) -> Twilio:
        return Twilio(self.account_sid, self.auth_token, base_url=self.base_url)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which `Twilio()` finds this emulator."""
        return {
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[EmulatedCall]:
        """All calls that were placed, the latest last."""
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST API, in order."""
        return self.api.requests

    @property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call: repeated, forged, or of a made-up kind."""
        if self._sender is None:
            raise CarrierError("The emulator does not run.", remedy="Use it as an asynchronous context manager.")
        return self._sender

    async def call(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = "+15005550006",
        to_number: str = "+15005550001",
        parameters: Mapping[str, str] | None = None,
        fallback_url: str = "",
    ) -> CallRecording:
        """Place an incoming call and return when it is over; it is the last of `calls`, with all that happened.

        Args:
            voice_url: where the called number's calls are pointed.
            caller: who says and hears it all.
            from_number: as Twilio writes it.
            to_number: as above.
            parameters: further fields of the webhooks, such as `CallerName`.
            fallback_url: asked what to do where another URL gave no document.
        """
        call = self.place(
            voice_url,
            caller,
            from_number=from_number,
            to_number=to_number,
            parameters=parameters,
            fallback_url=fallback_url,
        )
        return await call.run()

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = "+15005550006",
        to_number: str = "+15005550001",
        parameters: Mapping[str, str] | None = None,
        fallback_url: str = "",
    ) -> EmulatedCall:
        """As `call`, but it waits for `run`, so that a test can watch and disturb it."""
        call = EmulatedCall(
            voice_url,
            caller,
            sender=self.webhooks,
            from_number=from_number,
            to_number=to_number,
            parameters=parameters or {},
            fallback_url=fallback_url,
        )
        self._calls[call.sid] = call
        return call

    def _dial(self, form: Sequence[tuple[str, str]]) -> EmulatedCall:
        """The app has a call made: it runs by itself."""
        fields = dict(form)
        callee = self.callees.get(fields["To"], self.callee)
        call = EmulatedCall(
            fields.get("Url", ""),
            Caller(callee.steps, ULAW_8000),
            sender=self.webhooks,
            from_number=fields["From"],
            to_number=fields["To"],
            parameters={},
            dialling=read_dialling(form, callee),
            twiml=fields.get("Twiml", "").encode(),
        )
        self._calls[call.sid] = call
        assert self._tasks is not None  # it runs: `webhooks` saw to it
        self._tasks.start_soon(call.run)
        return call

    def _spawn(
        self, task: Callable[[EmulatedRecording], Coroutine[object, object, None]], recording: EmulatedRecording
    ) -> None:
        assert self._tasks is not None  # as above
        self._tasks.start_soon(task, recording)
