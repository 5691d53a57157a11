"""Vonage's REST APIs: calls with a token of the application, applications and numbers with key and secret.

A request to make a call is not repeatable (`patter_core.net.rest`): Vonage knows no idempotency key.
"""

from __future__ import annotations

import base64
import time
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.json import UNREADABLE
from patter_core.net.rest import RestApi, path_segment
from patter_vonage.config import Credentials
from patter_vonage.jwt import ApplicationClaims, sign_rs256
from patter_vonage.ncco import Action

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["AccountApi", "ApiCall", "CreateCall", "CreatePhone", "VonageApi"]

TOKEN_SECONDS = 900
"""How long a token of ours is valid."""
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class _Refusal(msgspec.Struct, frozen=True):
    error_code: str = msgspec.field(name="error-code", default="")


class _Api(RestApi):
    vendor: ClassVar[str] = "Vonage"
    base_url_setting: ClassVar[str] = "base_url or VONAGE_BASE_URL"

    def error_code(self, body: bytes) -> str:
        try:
            return msgspec.json.decode(body, type=_Refusal).error_code
        except UNREADABLE:
            return ""


# --- calls ---------------------------------------------------------------------------------------------------------


class CreatePhone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is called, or calls: a phone number without its plus, or a SIP address."""

    type: str
    number: str = ""
    uri: str = ""

    def __repr__(self) -> str:
        return "<CreatePhone>"


class Detection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Machine detection. The call goes on whatever it finds."""

    behavior: str = ""
    mode: str = ""


class CreateCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call to be made."""

    to: tuple[CreatePhone, ...]
    from_: CreatePhone = msgspec.field(name="from")
    answer_url: tuple[str, ...]
    answer_method: str = ""
    event_url: tuple[str, ...]
    event_method: str = ""
    ringing_timer: int = 0
    advanced_machine_detection: Detection | None = None

    def __repr__(self) -> str:
        return "<CreateCall>"


class ApiCall(msgspec.Struct, frozen=True):
    """The fields of a call that are used here."""

    uuid: str
    status: str = ""
    price: str | None = None


class _Destination(msgspec.Struct, frozen=True, kw_only=True):
    type: str = "ncco"
    ncco: tuple[Action, ...]


class _Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    action: str
    destination: _Destination | None = None


class _Play(msgspec.Struct, frozen=True, kw_only=True):
    stream_url: tuple[str, ...]
    loop: int


class _Digits(msgspec.Struct, frozen=True):
    digits: str


class VonageApi(_Api):
    """The calls of one application. Each method raises `CarrierRequestFailed` if Vonage refuses or is not reached.

    Args:
        base_url: of the API: of the region that has the call.
        application_id: the application.
        key: its private key.
        sleep: waits between attempts; for tests.
        clock: the wall clock, Unix s; for tests.
    """

    remedies: ClassVar[Mapping[str, str]] = {
        "400": "Vonage does not accept one of the values.",
        "401": "Check application_id and private_key: the key must be the latest one of that application.",
        "403": "The account may not do this: see its balance, and which numbers a trial account may call.",
        "404": "Vonage knows no such call: it may be over, or in another region.",
        "429": "Too many requests at once: Vonage takes 3 new calls a second. Dial more slowly.",
    }

    def __init__(
        self,
        base_url: str,
        application_id: str,
        key: RSAPrivateKey,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(f"{base_url}/v1", {}, sleep=sleep)
        self._application_id = application_id
        self._key = key
        self._clock = clock

    def headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.token()}"}

    def token(self) -> str:
        """Returns a new token of the application."""
        now = int(self._clock())
        claims = ApplicationClaims(self._application_id, iat=now, exp=now + TOKEN_SECONDS, jti=str(uuid.uuid4()))
        return sign_rs256(self._key, claims)

    async def create_call(self, call: CreateCall) -> str:
        """Makes a call, and returns its id."""
        action = "make the call"
        body = await self._send("POST", "/calls", call, action=action, repeatable=False)
        return self.read(body, ApiCall, action=action).uuid

    async def redirect(self, call_id: str, actions: tuple[Action, ...], *, action: str) -> None:
        """Has a call leave what it does for other instructions. Its media socket is closed."""
        await self._change(call_id, _Change(action="transfer", destination=_Destination(ncco=actions)), action=action)

    async def end_call(self, call_id: str) -> None:
        """Ends a call, ringing or answered. Succeeds if it is over."""
        try:
            await self._change(call_id, _Change(action="hangup"), action="end the call")
        except CarrierRequestFailed as error:
            if error.status != 404:
                raise

    async def play(self, call_id: str, url: str) -> None:
        """Plays audio to a call, in a loop."""
        await self._send("PUT", f"{_path(call_id)}/stream", _Play(stream_url=(url,), loop=0), action="play audio")

    async def stop_playing(self, call_id: str) -> None:
        """Ends the audio that is played to a call. Succeeds if there is none, also for a call that is over."""
        try:
            await self.request("DELETE", f"{_path(call_id)}/stream", action="stop the audio")
        except CarrierRequestFailed as error:
            if error.status not in {400, 404}:
                raise

    async def send_keys(self, call_id: str, digits: str) -> None:
        """Sends keys: 0-9, *, #, and p for half a second of silence."""
        await self._send("PUT", f"{_path(call_id)}/dtmf", _Digits(digits), action="send keys")

    async def fetch_call(self, call_id: str) -> ApiCall:
        """Returns the status and the price of a call."""
        return await self.fetch(_path(call_id), ApiCall, action="look up the call")

    async def check(self) -> None:
        """Does nothing at Vonage, but succeeds only if it accepts the application's tokens."""
        await self.request("GET", "/calls?page_size=1", action="list the calls")

    async def _change(self, call_id: str, change: _Change, *, action: str) -> None:
        await self._send("PUT", _path(call_id), change, action=action)

    async def _send(
        self, method: str, path: str, body: msgspec.Struct, *, action: str, repeatable: bool = True
    ) -> bytes:
        return await self.request(
            method, path, msgspec.json.encode(body), action=action, content_type=_JSON, repeatable=repeatable
        )


def _path(call_id: str) -> str:
    return f"/calls/{path_segment(call_id)}"


# --- applications and numbers --------------------------------------------------------------------------------------


class AccountApi(_Api):
    """One account at one of Vonage's hosts. Each method raises as those of `VonageApi`."""

    remedies: ClassVar[Mapping[str, str]] = {
        "401": "Check api_key and api_secret (VONAGE_API_KEY, VONAGE_API_SECRET).",
        "404": "The account has no such application: check application_id (VONAGE_APPLICATION_ID).",
        "420": "The number is not one of this account, or the application is not.",
    }

    def __init__(self, base_url: str, credentials: Credentials) -> None:
        pair = f"{credentials.api_key}:{credentials.api_secret}"
        super().__init__(base_url, {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})

    async def change(self, path: str, body: bytes, *, action: str) -> None:
        """Replaces a resource."""
        await self.request("PUT", path, body, action=action, content_type=_JSON)

    async def post_form(self, path: str, form: Mapping[str, str], *, action: str) -> None:
        """Sends a form. A refusal comes with status 200, too."""
        body = urllib.parse.urlencode(form).encode()
        answer = await self.request("POST", path, body, action=action, content_type=_FORM)
        code = self.error_code(answer)
        if code != "200":
            code = code if code.isdigit() and len(code) <= 6 else ""
            raise CarrierRequestFailed(
                f"Could not {action}: Vonage refused.",
                taken=False,
                status=200,
                code=code,
                got=f"error {code}" if code else "an answer that is not as documented",
                remedy=self.remedy(code),
            )
