"""Plivo on a loopback port: place a call to a voice webhook, and it behaves like one from a telephone."""

from __future__ import annotations

import functools
import secrets
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp

from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_plivo.carrier import Plivo
from patter_plivo.formats import ContentType, audio_format
from patter_plivo.testing.account import EmulatedNumber
from patter_plivo.testing.call import PlivoCall
from patter_plivo.testing.dialling import CallBody, Dialling
from patter_plivo.testing.rest import ApiRequest, EmulatedRecording, RestApi, Task
from patter_plivo.testing.webhooks import WebhookSender

__all__ = ["PlivoEmulator"]


class PlivoEmulator(CarrierEmulator):
    """Plays Plivo for one account.

    Args:
        auth_id: made up if not given.
        auth_token: made up if not given.
        content_type: of the streams of `carrier()`, and of the telephones.
        says_stop: whether streams say `stop` before they are closed, which Plivo does not document.
        same_ids: whether a call that the app makes has the id of its request, which Plivo does not promise.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    def __init__(
        self,
        *,
        auth_id: str = "",
        auth_token: str = "",
        content_type: ContentType = "audio/x-mulaw;rate=8000",
        says_stop: bool = False,
        same_ids: bool = False,
        tunnels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(tunnels=tunnels)
        self.auth_id = auth_id or f"MA{secrets.token_hex(9).upper()}"
        self.auth_token = auth_token or secrets.token_urlsafe(30)
        self.format = audio_format(content_type)  # telephones speak what streams do: nothing is converted
        self._content_type = content_type
        self._says_stop = says_stop
        self.same_ids = same_ids
        """As above; for the calls that are made from now on."""
        self._calls: dict[str, PlivoCall] = {}
        self._rooms: dict[str, Conference] = {}
        self.api = RestApi(self.auth_id, self.auth_token, self._calls, self._dial, self._spawn)
        """The REST API: its numbers, recordings, and how it fails."""

    @property
    def app(self) -> ASGIApp:
        return self.api.app

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.auth_token,)

    def carrier(self) -> Plivo:
        return Plivo(self.auth_id, self.auth_token, base_url=self.base_url, content_type=self._content_type)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PLIVO_AUTH_ID": self.auth_id,
            "PLIVO_AUTH_TOKEN": self.auth_token,
            "PLIVO_BASE_URL": self.base_url,
        }

    @property
    def calls(self) -> list[PlivoCall]:
        return list(self._calls.values())

    @property
    def api_requests(self) -> list[ApiRequest]:
        """All requests to the REST API, in order."""
        return self.api.requests

    @functools.cached_property
    def webhooks(self) -> WebhookSender:
        """For webhooks beside those of a call: repeated, forged, or of a made-up kind."""
        return WebhookSender(self.client, auth_id=self.auth_id, auth_token=self.auth_token, tunnels=self.tunnels)

    def add_number(self, number: str) -> None:
        self.api.account.numbers.append(EmulatedNumber(number=number.removeprefix("+")))

    def voice_url(self, number: str) -> str:
        application = self.api.account.application_of(number)
        return application.answer_url if application is not None else ""

    def place(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str = CALLER,
        to_number: str = CALLED,
        parameters: Mapping[str, str] | None = None,
        fallback_url: str = "",
        hangup_url: str | None = None,
    ) -> PlivoCall:
        """As in the base class.

        Args:
            voice_url: the answer URL of the called number's application.
            caller: who says and hears it all.
            from_number: in E.164, of which Plivo leaves out the plus.
            to_number: as above.
            parameters: further fields of the webhooks, such as `X-PH-Name`.
            fallback_url: of the application.
            hangup_url: of the application; by default the one beside the answer URL; "" for none.
        """
        if hangup_url is None:
            hangup_url = f"{voice_url.partition('?')[0].rpartition('/')[0]}/status"
        return self._add(
            PlivoCall(
                self.next_call_id(str(uuid.uuid4())),
                voice_url,
                caller,
                hangup_url=hangup_url,
                sender=self.webhooks,
                callee_at=self.callee_at,
                rooms=self._rooms,
                from_number=from_number,
                to_number=to_number,
                parameters=parameters,
                fallback_url=fallback_url,
                says_stop=self._says_stop,
            )
        )

    def _dial(self, body: CallBody) -> PlivoCall:
        """The app has a call made: it runs by itself."""
        callee = self.callee_at(body.to)
        request_uuid = self.next_call_id(str(uuid.uuid4()))
        call = self._add(
            PlivoCall(
                request_uuid if self.same_ids else str(uuid.uuid4()),
                body.answer_url,
                Caller(callee.steps, self.format),
                hangup_url=body.hangup_url,
                sender=self.webhooks,
                callee_at=self.callee_at,
                rooms=self._rooms,
                from_number=body.from_,
                to_number=body.to,
                dialling=Dialling(request_uuid=request_uuid, body=body, callee=callee),
                fallback_url=body.fallback_url,
                says_stop=self._says_stop,
            )
        )
        self.tasks.start_soon(call.run)
        return call

    def _spawn(self, task: Task, recording: EmulatedRecording) -> None:
        self.tasks.start_soon(task, recording)

    def _add(self, call: PlivoCall) -> PlivoCall:
        self._calls[call.uuid] = call
        return call
