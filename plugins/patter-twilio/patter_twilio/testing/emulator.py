"""Twilio on a loopback port: place a call to a voice webhook, and it behaves like one from a telephone."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp

from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_twilio.carrier import Twilio
from patter_twilio.testing.call import TwilioCall
from patter_twilio.testing.dialling import read_dialling
from patter_twilio.testing.rest import ApiRequest, EmulatedNumber, EmulatedRecording, RestApi, Task
from patter_twilio.testing.webhooks import WebhookSender

__all__ = ["ACCOUNT_SID", "TwilioEmulator"]

ACCOUNT_SID = "AC" + 32 * "0"
"""Of no account: for what needs one without an emulator."""


class TwilioEmulator(CarrierEmulator):
    """Plays Twilio for one account.

    Args:
        account_sid: made up if not given.
        auth_token: made up if not given.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    def __init__(
        self, *, account_sid: str = "", auth_token: str = "", tunnels: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(tunnels=tunnels)
        self.account_sid = account_sid or f"AC{secrets.token_hex(16)}"
        self.auth_token = auth_token or secrets.token_hex(16)
        self._calls: dict[str, TwilioCall] = {}
        self._rooms: dict[str, Conference] = {}
        self.api = RestApi(self.account_sid, self.auth_token, self._calls, self._dial, self._spawn)
        """The REST API: its numbers, recordings, and how it fails."""

    @property
    def app(self) -> ASGIApp:
        return self.api.app

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.auth_token,)

    def carrier(self) -> Twilio:
        return Twilio(self.account_sid, self.auth_token, base_url=self.base_url)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[TwilioCall]:
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST API, in order."""
        return self.api.requests

    @functools.cached_property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call: repeated, forged, or of a made-up kind."""
        return WebhookSender(
            self.client, account_sid=self.account_sid, auth_token=self.auth_token, tunnels=self.tunnels
        )

    def add_number(self, number: str) -> None:
        self.api.numbers.append(EmulatedNumber(phone_number=number))

    def voice_url(self, number: str) -> str:
        return next((one.voice_url for one in self.api.numbers if one.phone_number == number), "")

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = CALLER,
        to_number: str = CALLED,
        parameters: Mapping[str, str] | None = None,
        fallback_url: str = "",
    ) -> TwilioCall:
        """As in the base class.

        Args:
            voice_url: where the called number's calls are pointed.
            caller: who says and hears it all.
            from_number: as Twilio writes it.
            to_number: as above.
            parameters: further fields of the webhooks, such as `CallerName`.
            fallback_url: asked what to do where another URL gave no document.
        """
        return self._add(
            TwilioCall(
                self._new_id(),
                voice_url,
                caller,
                sender=self.webhooks,
                callee_at=self.callee_at,
                rooms=self._rooms,
                from_number=from_number,
                to_number=to_number,
                parameters=parameters,
                fallback_url=fallback_url,
            )
        )

    def _dial(self, form: Sequence[tuple[str, str]]) -> TwilioCall:
        """The app has a call made: it runs by itself."""
        fields = dict(form)
        callee = self.callee_at(fields["To"])
        call = self._add(
            TwilioCall(
                self._new_id(),
                fields.get("Url", ""),
                Caller(callee.steps, self.format),
                sender=self.webhooks,
                callee_at=self.callee_at,
                rooms=self._rooms,
                from_number=fields["From"],
                to_number=fields["To"],
                dialling=read_dialling(form, callee),
                twiml=fields.get("Twiml", "").encode(),
                fallback_url=fields.get("FallbackUrl", ""),
            )
        )
        self.tasks.start_soon(call.run)
        return call

    def _new_id(self) -> str:
        return self.next_call_id(f"CA{secrets.token_hex(16)}")

    def _spawn(self, task: Task, recording: EmulatedRecording) -> None:
        self.tasks.start_soon(task, recording)

    def _add(self, call: TwilioCall) -> TwilioCall:
        self._calls[call.call_id] = call
        return call
