"""Twilio's REST API: forms in, JSON out.

Making a call and starting a recording are not repeatable (`patter_core.net.rest`): a person is never called twice for
one request.
"""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.json import UNREADABLE
from patter_core.net.rest import RestApi, path_segment

__all__ = ["LONGEST_TWIML", "ApiCall", "Form", "TwilioApi"]

LONGEST_TWIML = 4_000
"""Characters of TwiML inside a request (Twilio's page "Call resource")."""

Form = Sequence[tuple[str, str]]

_CALL_GONE = frozenset({"20404", "21220"})
"""Twilio's codes for a call that is unknown, and for a call that is no longer in progress."""
_FORM = "application/x-www-form-urlencoded"


class ApiCall(msgspec.Struct, frozen=True):
    """The fields of a call that are used here."""

    sid: str
    status: str = ""
    price: str | None = None
    """Negative, since it is taken from the account; None until it is known."""
    price_unit: str | None = None


class _Recording(msgspec.Struct, frozen=True):
    sid: str


class _Problem(msgspec.Struct):
    """The body of a refusal: Twilio's own shape has a `code`, that of RFC 9457 a `type` that may end in one."""

    code: int | str | None = None
    type: str = ""


_PROBLEM = msgspec.json.Decoder(_Problem)


class TwilioApi(RestApi):
    """One account at the API. Each method raises `CarrierRequestFailed` if Twilio refuses or is not reached.

    Args:
        base_url: of the API.
        account_sid: the account.
        credentials: user name and password: account SID and auth token, or API key and secret.
        sleep: waits between attempts; for tests.
    """

    vendor: ClassVar[str] = "Twilio"
    base_url_setting: ClassVar[str] = "base_url or TWILIO_BASE_URL"
    connect_timeout: ClassVar[float] = 10.0
    remedies: ClassVar[Mapping[str, str]] = {
        "20003": "Check account_sid and auth_token, or the API key; credentials belong to one region.",
        "20429": "Too many requests at once: try again in some seconds.",
        "21210": "The calling number is neither one of this account's nor verified.",
        "21211": "The called number is not valid.",
        "21212": "The calling number is not valid.",
        "21213": "A calling number is needed.",
        "21214": "The called number cannot be reached.",
        "21215": "The account may not call that country: see Twilio's geographic permissions.",
        "21216": "The account may not call that number.",
        "21217": "The called number is not valid.",
    }

    def __init__(
        self,
        base_url: str,
        account_sid: str,
        credentials: tuple[str, str],
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.account_path = f"/2010-04-01/Accounts/{path_segment(account_sid)}"
        authorization = f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"
        super().__init__(base_url + self.account_path, {"authorization": authorization}, sleep=sleep)

    def error_code(self, body: bytes) -> str:
        try:
            problem = _PROBLEM.decode(body)
        except UNREADABLE:
            return ""
        return str(problem.code or problem.type.rstrip("/").rpartition("/")[2])

    def remedy(self, code: str) -> str:
        return super().remedy(code) or f"See https://www.twilio.com/docs/api/errors/{code}."

    async def post(self, path: str, form: Form, *, action: str, repeatable: bool = True) -> bytes:
        """Sends a form, and returns the body of the answer."""
        body = urllib.parse.urlencode(form).encode()
        return await self.request("POST", path, body, action=action, content_type=_FORM, repeatable=repeatable)

    # --- calls -----------------------------------------------------------------------------------------------------

    async def create_call(self, form: Form) -> str:
        """Makes a call, and returns its SID."""
        action = "make the call"
        return self.read(
            await self.post("/Calls.json", form, action=action, repeatable=False), ApiCall, action=action
        ).sid

    async def update_call(self, call_sid: str, form: Form, *, action: str) -> None:
        """Changes a call in progress: `Twiml` or `Url` interrupt its current verb."""
        await self.post(f"{_call_path(call_sid)}.json", form, action=action)

    async def end_call(self, call_sid: str) -> None:
        """Ends a call that is ringing or in progress. Succeeds if it is over."""
        try:
            await self.update_call(call_sid, [("Status", "completed")], action="end the call")
        except CarrierRequestFailed as error:
            if not _is_gone(error):
                raise

    async def fetch_call(self, call_sid: str) -> ApiCall:
        """Returns the status and the price of a call."""
        return await self.fetch(f"{_call_path(call_sid)}.json", ApiCall, action="look up the call")

    # --- recordings ------------------------------------------------------------------------------------------------

    async def start_recording(self, call_sid: str, form: Form) -> str:
        """Records a call, and returns the recording's SID."""
        action = "record the call"
        body = await self.post(f"{_call_path(call_sid)}/Recordings.json", form, action=action, repeatable=False)
        return self.read(body, _Recording, action=action).sid

    async def update_recording(self, call_sid: str, recording_sid: str, form: Form) -> None:
        """Pauses, resumes or stops a recording."""
        path = f"{_call_path(call_sid)}/Recordings/{path_segment(recording_sid)}.json"
        await self.post(path, form, action="change the recording")

    async def end_recording(self, call_sid: str, recording_sid: str) -> None:
        """Stops a recording. Succeeds if it is over."""
        try:
            await self.update_recording(call_sid, recording_sid, [("Status", "stopped")])
        except CarrierRequestFailed as error:
            if not _is_gone(error):
                raise


def _call_path(call_sid: str) -> str:
    return f"/Calls/{path_segment(call_sid)}"


def _is_gone(error: CarrierRequestFailed) -> bool:
    return error.status == 404 or error.code in _CALL_GONE
