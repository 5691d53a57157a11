"""Telnyx's REST API: commands in, JSON out, errors as ours.

A command that got no answer, or a 5xx, may have been carried out or not. It is sent again at once under the same
`command_id`, by which Telnyx knows it for 60 s and does not do it twice (Telnyx's page "Call Control", "Retries").
"""

from __future__ import annotations

import time
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import TypeVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.http import HttpAnswer, send_request
from patter_telnyx.commands import Command, Dial

__all__ = ["CALL_OVER", "NOT_ANSWERED_YET", "TelnyxApi", "is_gone", "new_command_id"]

ANSWER_TIMEOUTS = (0.5, 1.5, 5.0)
"""Seconds that each attempt waits for an answer. The first is the vendor's advice; the last is patient."""
CONNECT_TIMEOUT = 5.0
LONGEST_PAUSE = 5.0
"""Seconds that a request waits for the rate limit to be over; beyond that it fails, and says so."""

CALL_OVER = "90018"
NOT_ANSWERED_YET = "90034"
_NOT_FOUND = frozenset({"10005", "90015"})
_RATE_LIMITED = 429

_REMEDIES = {
    "10005": "Telnyx knows no such call or resource: it may be over since long.",
    "10009": "Check api_key (TELNYX_API_KEY).",
    "10010": "The API key may not do this: check its permissions in Telnyx's portal.",
    "10011": "Too many requests at once: try again in some seconds, or ask Telnyx for a higher limit.",
    "10015": "Telnyx found a value that it does not take: see the fields above.",
    "10016": "Phone numbers must be in E.164: a plus sign and digits.",
    "90018": "The call is over.",
    "90034": "The call has not been answered yet: wait for it.",
    "90102": "Only an incoming call can be answered.",
    "90103": "Too many calls are placed at once: dial more slowly.",
}

T = TypeVar("T")


class _Error(msgspec.Struct, frozen=True):
    code: str | int = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error] = []


class _Dialled(msgspec.Struct, frozen=True):
    call_control_id: str


class _Answer(msgspec.Struct, frozen=True):
    data: _Dialled


_ERRORS = msgspec.json.Decoder(_Errors, strict=False)


class TelnyxApi:
    """One account at the API."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._root = f"{base_url}/v2"
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}

    async def command(self, call_id: str, command: Command) -> None:
        """Have something done with a call.

        Raises:
            CarrierRequestFailed: Telnyx would not, or could not be reached.
        """
        path = f"/calls/{_quoted(call_id)}/actions/{command.action}"
        await self._request("POST", path, msgspec.json.encode(command), wish=f"carry out {command.action}")

    async def dial(self, command: Dial) -> str:
        """Place a call. Gives its call_control_id.

        Raises:
            CarrierRequestFailed: as above.
        """
        body = await self._request("POST", "/calls", msgspec.json.encode(command), wish="place the call")
        return _read(body, _Answer, "place the call").data.call_control_id

    async def fetch(self, path: str, query: Mapping[str, str], answer: type[T], *, wish: str) -> T:
        """GET something, as a struct.

        Raises:
            CarrierRequestFailed: as above, or the answer is not as documented.
        """
        return _read(await self._request("GET", path + _query(query), b"", wish=wish), answer, wish)

    async def change(self, path: str, change: msgspec.Struct, *, wish: str) -> None:
        """PATCH something.

        Raises:
            CarrierRequestFailed: as above.
        """
        await self._request("PATCH", path, msgspec.json.encode(change), wish=wish)

    async def _request(self, method: str, path: str, body: bytes, *, wish: str) -> bytes:
        """Each attempt waits longer than the one before; a rate limit is waited for."""
        failure = CarrierRequestFailed(f"Telnyx could not be asked to {wish}.")
        for attempt, timeout in enumerate(ANSWER_TIMEOUTS, start=1):
            try:
                answer = await send_request(
                    method,
                    self._root + path,
                    headers=self._headers,
                    body=body,
                    connect_timeout=CONNECT_TIMEOUT,
                    answer_timeout=timeout,
                )
            except (ConnectionError, TimeoutError) as error:
                failure = CarrierRequestFailed(
                    f"Telnyx could not be asked to {wish}.",
                    got=str(error),
                    remedy="Check the network, and base_url or TELNYX_BASE_URL if one is set.",
                )
                continue
            if 200 <= answer.status < 300:
                return answer.body
            failure = _refusal(answer, wish)
            if answer.status == _RATE_LIMITED:
                pause = _pause(answer.headers, time.time())
                if pause > LONGEST_PAUSE or attempt == len(ANSWER_TIMEOUTS):
                    break
                await anyio.sleep(pause)
            elif answer.status < 500:
                break
        raise failure


def new_command_id(*about: str) -> str:
    """An id for a command: a new one; or, from what it is about, one that every worker makes the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(about)) if about else uuid.uuid4())


def is_gone(error: CarrierRequestFailed) -> bool:
    """Does it say that the call is over, or that nobody knows it any more?"""
    return error.status == 404 or error.code == CALL_OVER or error.code in _NOT_FOUND


def _refusal(answer: HttpAnswer, wish: str) -> CarrierRequestFailed:
    code = _error_code(answer.body)
    return CarrierRequestFailed(
        f"Telnyx refused to {wish}.",
        status=answer.status,
        code=code,
        got=f"HTTP status {answer.status}" + (f", error {code}" if code else ""),
        remedy=_REMEDIES.get(code, "See Telnyx's list of API errors." if code else ""),
    )


def _error_code(body: bytes) -> str:
    """Telnyx's error code, or "". Its text is not used: it may repeat a phone number."""
    try:
        errors = _ERRORS.decode(body).errors
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    code = str(errors[0].code) if errors else ""
    return code if code.isascii() and code.isdigit() and len(code) <= 6 else ""


def _pause(headers: Mapping[str, str], now: float) -> float:
    """Seconds until the rate limit is over: `x-ratelimit-reset` is that, or the Unix time of it."""
    try:
        reset = float(headers.get("x-ratelimit-reset", "1"))
    except ValueError:
        return 1.0
    return max(0.0, reset - now if reset > 1_000_000_000 else reset) if reset == reset else 1.0  # noqa: PLR0124 - NaN


def _read(body: bytes, answer: type[T], wish: str) -> T:
    try:
        return msgspec.json.decode(body, type=answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise CarrierRequestFailed(
            f"Telnyx was asked to {wish}, and its answer is not as documented.", remedy="Check base_url."
        ) from None


def _query(fields: Mapping[str, str]) -> str:
    return f"?{urllib.parse.urlencode(fields)}" if fields else ""


def _quoted(call_id: str) -> str:
    """Telnyx's ids hold colons."""
    return urllib.parse.quote(call_id, safe="")
