"""Telnyx's REST API: commands in, JSON out.

A command without an answer, or with a 5xx, may have been carried out or not. It is sent again under the same
`command_id`: Telnyx knows it for 60 s, longer than all attempts take, and does not carry it out twice (Telnyx's page
"Call Control", "Retries").
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.http import HttpAnswer
from patter_core.net.json import UNREADABLE
from patter_core.net.rest import RestApi, path_segment
from patter_telnyx.commands import Command, Dial

__all__ = ["CALL_OVER", "NOT_ANSWERED_YET", "TelnyxApi", "is_gone", "new_command_id"]

CALL_OVER = "90018"
NOT_ANSWERED_YET = "90034"
_NOT_FOUND = frozenset({"10005", "90015"})
_RATE_LIMITED = 429
_EARLIEST_TIME = 1_000_000_000.0
"""Unix s. A larger reset value of the rate limit is a time, a smaller one a duration."""
_JSON = "application/json"


class _Error(msgspec.Struct, frozen=True):
    code: str | int = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error] = []


class _Dialled(msgspec.Struct, frozen=True):
    call_control_id: str


class _DialAnswer(msgspec.Struct, frozen=True):
    data: _Dialled


_ERRORS = msgspec.json.Decoder(_Errors, strict=False)


class TelnyxApi(RestApi):
    """One account at the API. Each method raises `CarrierRequestFailed` if Telnyx refuses or is not reached.

    Args:
        base_url: of the API.
        api_key: the account's.
        sleep: waits between attempts; for tests.
        clock: the wall clock, Unix s; for tests.
    """

    vendor: ClassVar[str] = "Telnyx"
    base_url_setting: ClassVar[str] = "base_url or TELNYX_BASE_URL"
    answer_timeouts: ClassVar[Sequence[float]] = (0.5, 1.5, 5.0, 5.0)  # the first is Telnyx's advice
    longest_pause: ClassVar[float] = 5.0
    remedies: ClassVar[Mapping[str, str]] = {
        "10005": "Telnyx knows no such call or resource: it may be over.",
        "10009": "Check api_key (TELNYX_API_KEY).",
        "10010": "The API key may not do this: check its permissions in Telnyx's portal.",
        "10011": "Too many requests at once: try again in some seconds, or ask Telnyx for a higher limit.",
        "10015": "Telnyx does not accept one of the values.",
        "10016": "Phone numbers must be in E.164: a plus sign and digits.",
        CALL_OVER: "The call is over.",
        NOT_ANSWERED_YET: "The call has not been answered yet: wait for it.",
        "90102": "Only an incoming call can be answered.",
        "90103": "Too many calls are placed at once: dial more slowly.",
    }

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        super().__init__(f"{base_url}/v2", {"authorization": f"Bearer {api_key}"}, sleep=sleep)

    def error_code(self, body: bytes) -> str:
        try:
            errors = _ERRORS.decode(body).errors
        except UNREADABLE:
            return ""
        return str(errors[0].code) if errors else ""

    def remedy(self, code: str) -> str:
        return super().remedy(code) or "See Telnyx's list of API errors."

    def asked_for(self, answer: HttpAnswer) -> float:
        """Returns the seconds until the rate limit is over; of another refusal, what it asks for."""
        if answer.status != _RATE_LIMITED:
            return super().asked_for(answer)
        return self._until_reset(answer.headers.get("x-ratelimit-reset", ""))

    def _until_reset(self, reset: str) -> float:
        """Returns the seconds until `x-ratelimit-reset`, which is a duration or a Unix time; 1 if it is neither."""
        try:
            value = float(reset)
        except ValueError:
            return 1.0
        if math.isnan(value):
            return 1.0
        return max(0.0, value - self._clock() if value > _EARLIEST_TIME else value)

    async def command(self, call_id: str, command: Command) -> None:
        """Sends a command for a call."""
        path = f"/calls/{path_segment(call_id)}/actions/{command.action}"  # Telnyx's ids contain colons
        body = msgspec.json.encode(command)
        await self.request("POST", path, body, action=f"carry out {command.action}", content_type=_JSON)

    async def dial(self, command: Dial) -> str:
        """Places a call, and returns its call_control_id."""
        action = "place the call"
        body = await self.request("POST", "/calls", msgspec.json.encode(command), action=action, content_type=_JSON)
        return self.read(body, _DialAnswer, action=action).data.call_control_id

    async def change(self, path: str, change: msgspec.Struct, *, action: str) -> None:
        """Changes a resource."""
        await self.request("PATCH", path, msgspec.json.encode(change), action=action, content_type=_JSON)


def new_command_id(*about: str) -> str:
    """Returns an id for a command: a new one, or one that every worker derives from the same `about`."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(about)) if about else uuid.uuid4())


def is_gone(error: CarrierRequestFailed) -> bool:
    """True if the call is over, or no longer known to Telnyx."""
    return error.status == 404 or error.code == CALL_OVER or error.code in _NOT_FOUND
