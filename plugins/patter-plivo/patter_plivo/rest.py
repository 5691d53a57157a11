"""Plivo's REST API: JSON in, JSON out.

Making a call and starting a recording are not repeatable (`patter_core.net.rest`): Plivo has no idempotency key, and a
person is never called twice for one request.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.rest import RestApi, path_segment

__all__ = ["CallDetails", "CallRequest", "LiveCall", "PlivoApi", "is_gone"]

_T = TypeVar("_T")

_JSON = "application/json"
_REMEDIES = {
    401: "Check auth_id and auth_token; a subaccount has its own.",
    402: "The account has no credit.",
    403: "The account may not do that: see the geographic permissions in Plivo's console.",
    429: "Too many requests at once: Plivo takes 300 in 5 s.",
}


class CallRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call to be made. Its `repr` shows none of it: it holds numbers and tokens."""

    from_: str = msgspec.field(name="from")
    to: str
    answer_url: str
    fallback_url: str
    ring_url: str
    hangup_url: str
    answer_method: str = "POST"
    ring_timeout: int = 0
    machine_detection: str = ""
    machine_detection_url: str = ""

    def __repr__(self) -> str:
        return "<CallRequest>"


class _Made(msgspec.Struct, frozen=True):
    request_uuid: str | list[str]


class _Transfer(msgspec.Struct, frozen=True):
    aleg_url: str
    legs: str = "aleg"
    aleg_method: str = "POST"


class _Digits(msgspec.Struct, frozen=True):
    digits: str
    leg: str = "aleg"


class _Record(msgspec.Struct, frozen=True):
    callback_url: str
    callback_method: str = "POST"
    file_format: str = "wav"
    record_channel_type: str = "stereo"
    time_limit: int = 86_400
    """Seconds. Plivo's default is 60."""


class _Recording(msgspec.Struct, frozen=True):
    recording_id: str


class LiveCall(msgspec.Struct, frozen=True):
    """A call that is not over."""

    call_status: str = ""


class _LiveCalls(msgspec.Struct, frozen=True):
    calls: list[str]
    """At most 20 of them."""


class CallDetails(msgspec.Struct, frozen=True):
    """The detail record of a call that is over."""

    answer_time: str | None = None
    total_amount: str | None = None
    hangup_cause_code: int | None = None


class PlivoApi(RestApi):
    """One account at the API. Each method raises `CarrierRequestFailed` if Plivo refuses or is not reached.

    Args:
        base_url: of the API.
        auth_id: the account.
        auth_token: its password.
        sleep: waits between attempts; for tests.
    """

    vendor: ClassVar[str] = "Plivo"
    base_url_setting: ClassVar[str] = "base_url or PLIVO_BASE_URL"
    connect_timeout: ClassVar[float] = 10.0

    def __init__(
        self,
        base_url: str,
        auth_id: str,
        auth_token: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.account_path = f"/v1/Account/{path_segment(auth_id)}"
        authorization = f"Basic {base64.b64encode(f'{auth_id}:{auth_token}'.encode()).decode()}"
        super().__init__(base_url + self.account_path, {"authorization": authorization}, sleep=sleep)

    def error_code(self, body: bytes) -> str:
        """Returns "": Plivo's refusals have a text and no code."""
        return ""

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        action: str,
        content_type: str = "",
        repeatable: bool = True,
    ) -> bytes:
        """As in the base class; a refusal says what to do by its status, since Plivo has no codes."""
        try:
            return await super().request(
                method, path, body, action=action, content_type=content_type, repeatable=repeatable
            )
        except CarrierRequestFailed as error:
            error.remedy = error.remedy or _REMEDIES.get(error.status, "")
            raise

    async def post(self, path: str, content: msgspec.Struct, *, action: str, repeatable: bool = True) -> bytes:
        """Sends JSON, and returns the body of the answer."""
        body = msgspec.json.encode(content)
        return await self.request("POST", path, body, action=action, content_type=_JSON, repeatable=repeatable)

    # --- calls -----------------------------------------------------------------------------------------------------

    async def create_call(self, call: CallRequest) -> str:
        """Makes a call, and returns the id of the request."""
        action = "make the call"
        made = self.read(await self.post("/Call/", call, action=action, repeatable=False), _Made, action=action)
        return made.request_uuid if isinstance(made.request_uuid, str) else "".join(made.request_uuid[:1])

    async def transfer(self, call_uuid: str, url: str, *, action: str) -> None:
        """Has Plivo request other instructions for a call in progress, and leave what it does."""
        await self.post(_call(call_uuid), _Transfer(url), action=action)

    async def send_digits(self, call_uuid: str, digits: str) -> None:
        """Sends keys to who is on the telephone. `w` waits half a second, `W` a second."""
        await self.post(f"{_call(call_uuid)}DTMF/", _Digits(digits), action="send keys", repeatable=False)

    async def end_call(self, call_uuid: str) -> bool:
        """Ends a call in progress; False if there is none of that id."""
        return await self._delete(_call(call_uuid), action="end the call")

    async def cancel_call(self, request_uuid: str) -> bool:
        """Ends a call that was not answered yet, by the id of its request; False if there is none."""
        return await self._delete(f"/Request/{path_segment(request_uuid)}/", action="cancel the call")

    async def live_call(self, call_uuid: str) -> LiveCall | None:
        """Returns a call that is not over; None if it is, or is not known."""
        return await self._find(_call(call_uuid), LiveCall, "live")

    async def call_details(self, call_uuid: str) -> CallDetails | None:
        """Returns the record of a call that is over; None as long as there is none."""
        return await self._find(_call(call_uuid), CallDetails, "")

    async def live_calls(self, from_number: str, to_number: str) -> list[str]:
        """Returns the ids of the calls from one number to another that the account made and that are not over."""
        query = {
            "status": "live",
            "call_direction": "outbound",
            "from_number": from_number.removeprefix("+"),
            "to_number": to_number.removeprefix("+"),
        }
        return (await self.fetch("/Call/", _LiveCalls, action="look up the call", query=query)).calls

    # --- recordings ------------------------------------------------------------------------------------------------

    async def start_recording(self, call_uuid: str, callback_url: str) -> str:
        """Records both sides of a call, and returns the recording's id."""
        action = "record the call"
        body = await self.post(f"{_call(call_uuid)}Record/", _Record(callback_url), action=action, repeatable=False)
        return self.read(body, _Recording, action=action).recording_id

    async def end_recordings(self, call_uuid: str) -> None:
        """Stops the recordings of a call. Succeeds if there are none."""
        await self._delete(f"{_call(call_uuid)}Record/", action="stop the recording")

    # --- applications ----------------------------------------------------------------------------------------------

    async def delete_application(self, app_id: str) -> None:
        """Deletes an application, and none of its endpoints. Succeeds if there is none."""
        await self._delete(f"/Application/{path_segment(app_id)}/?cascade=false", action="delete the application")

    # --- shared ----------------------------------------------------------------------------------------------------

    async def _delete(self, path: str, *, action: str) -> bool:
        try:
            await self.request("DELETE", path, action=action)
        except CarrierRequestFailed as error:
            if is_gone(error):
                return False
            raise
        return True

    async def _find(self, path: str, shape: type[_T], status: str) -> _T | None:
        query = {"status": status} if status else None
        try:
            return await self.fetch(path, shape, action="look up the call", query=query)
        except CarrierRequestFailed as error:
            if is_gone(error):
                return None
            raise


def is_gone(error: CarrierRequestFailed) -> bool:
    """True if there is no such thing at Plivo, or no longer."""
    return error.status == 404


def _call(call_uuid: str) -> str:
    return f"/Call/{path_segment(call_uuid)}/"
