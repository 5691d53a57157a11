"""Twilio's REST API: forms in, JSON out, errors as ours.

What is tried again: a request that was told to wait (429), and one that never left us. One that may have been heard,
because the answer failed to come or was a fault of the server's, is tried again only if doing it twice is the same as
doing it once. To make a call is not: nobody is ever dialled twice for one wish.
"""

from __future__ import annotations

import base64
import random
import urllib.parse
from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.http import send_request

__all__ = ["LONGEST_TWIML", "ApiCall", "ApiNumber", "TwilioApi"]

TIMEOUT = 10.0
"""For each step of a request, in s."""
ATTEMPTS = 4
LONGEST_WAIT = 8.0
"""Seconds between two attempts, whatever the server asks for."""
LONGEST_TWIML = 4_000
"""Characters of TwiML inside a request (Twilio's page "Call resource")."""
PAGE_SIZE = 200
MOST_PAGES = 50

_TOO_MANY = 429
_SERVER_FAULT = 500

_CALL_GONE = frozenset({"20404", "21220"})
"""Twilio's codes for a call that is unknown, and for one that is not in progress any more."""

_REMEDIES = {
    "20003": "Check account_sid and auth_token, or the API key; credentials belong to one region.",
    "20429": "Too many requests at once: try again in some seconds.",
    "21210": "The calling number is not one of this account's, nor verified.",
    "21211": "The called number is not valid.",
    "21212": "The calling number is not valid.",
    "21213": "A calling number is needed.",
    "21214": "The called number cannot be reached.",
    "21215": "The account may not call that country: see Twilio's geographic permissions.",
    "21216": "The account may not call that number.",
    "21217": "The called number is not valid.",
}

Form = Sequence[tuple[str, str]]
_T = TypeVar("_T")


class ApiCall(msgspec.Struct, frozen=True):
    """A call, as far as we read it."""

    sid: str
    status: str = ""
    price: str | None = None
    """Negative, as what is taken from the account; None until it is known."""
    price_unit: str | None = None


class ApiNumber(msgspec.Struct, frozen=True):
    """A number of the account."""

    sid: str
    phone_number: str
    friendly_name: str = ""
    voice_url: str | None = None

    def __repr__(self) -> str:
        return f"<ApiNumber {self.sid}>"


class _Recording(msgspec.Struct, frozen=True):
    sid: str


class _Numbers(msgspec.Struct, frozen=True):
    incoming_phone_numbers: tuple[ApiNumber, ...]
    next_page_uri: str | None = None


class TwilioApi:
    """One account at the API. Every method raises `CarrierRequestFailed` if Twilio would not, or was not reached."""

    def __init__(
        self,
        base_url: str,
        account_sid: str,
        username: str,
        password: str,
        *,
        pause: Callable[[int], float] | None = None,
    ) -> None:
        """Basic authentication is by account SID and auth token, or by API key and secret.

        `pause` tells how many seconds to wait after so many attempts; by default longer each time, and never the same.
        """
        self._base_url = base_url
        self._root = f"/2010-04-01/Accounts/{_quoted(account_sid)}"
        self._credentials = (username, password)
        self._pause = pause or _pause

    # --- calls -----------------------------------------------------------------------------------------------------

    async def create_call(self, form: Form) -> str:
        """Make a call; gives its SID. Never dials twice."""
        body = await self._request("POST", f"{self._root}/Calls.json", form, wish="make a call", once=True)
        return _read(body, ApiCall, "make a call").sid

    async def update_call(self, call_sid: str, form: Form, *, wish: str) -> None:
        """Change a call in progress: `Twiml` or `Url` interrupt what it does."""
        await self._request("POST", self._call(call_sid), form, wish=wish)

    async def end_call(self, call_sid: str) -> None:
        """End a call that rings or is in progress. One that is over is a success."""
        try:
            await self._request("POST", self._call(call_sid), [("Status", "completed")], wish="end the call")
        except CarrierRequestFailed as error:
            if not _is_gone(error):
                raise

    async def fetch_call(self, call_sid: str) -> ApiCall:
        """What became of a call."""
        wish = "tell what became of a call"
        return _read(await self._request("GET", self._call(call_sid), wish=wish), ApiCall, wish)

    # --- recordings ------------------------------------------------------------------------------------------------

    async def start_recording(self, call_sid: str, form: Form) -> str:
        """Record a call; gives the recording's SID."""
        wish = "record the call"
        path = self._call(call_sid).removesuffix(".json") + "/Recordings.json"
        return _read(await self._request("POST", path, form, wish=wish, once=True), _Recording, wish).sid

    async def update_recording(self, call_sid: str, recording_sid: str, form: Form) -> None:
        """Pause, go on with or stop a recording."""
        path = f"{self._call(call_sid).removesuffix('.json')}/Recordings/{_quoted(recording_sid)}.json"
        await self._request("POST", path, form, wish="change the recording")

    async def end_recording(self, call_sid: str, recording_sid: str) -> None:
        """Stop a recording. One that is over is a success."""
        try:
            await self.update_recording(call_sid, recording_sid, [("Status", "stopped")])
        except CarrierRequestFailed as error:
            if not _is_gone(error):
                raise

    # --- numbers ---------------------------------------------------------------------------------------------------

    async def numbers(self, phone_number: str = "") -> list[ApiNumber]:
        """The account's numbers, or the one that is asked for."""
        wish = "list the account's numbers"
        query = {"PageSize": str(PAGE_SIZE), **({"PhoneNumber": phone_number} if phone_number else {})}
        path = f"{self._root}/IncomingPhoneNumbers.json?{urllib.parse.urlencode(query)}"
        found: list[ApiNumber] = []
        for _ in range(MOST_PAGES):
            page = _read(await self._request("GET", path, wish=wish), _Numbers, wish)
            found.extend(page.incoming_phone_numbers)
            path = page.next_page_uri or ""
            if not path.startswith(self._root):  # the credentials go nowhere else
                break
        return found

    async def set_voice_url(self, number_sid: str, url: str) -> None:
        """Point a number's incoming calls at a URL."""
        form = [("VoiceUrl", url), ("VoiceMethod", "POST"), ("VoiceApplicationSid", "")]  # one would win over the URL
        path = f"{self._root}/IncomingPhoneNumbers/{_quoted(number_sid)}.json"
        await self._request("POST", path, form, wish="configure the number")

    # --- requests --------------------------------------------------------------------------------------------------

    def _call(self, call_sid: str) -> str:
        return f"{self._root}/Calls/{_quoted(call_sid)}.json"

    async def _request(self, method: str, path: str, form: Form = (), *, wish: str, once: bool = False) -> bytes:
        """`once`: doing it twice would be worse than not doing it."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await _send(method, self._base_url + path, credentials=self._credentials, form=form, wish=wish)
            except _Failed as failed:
                if attempt == ATTEMPTS or not (failed.nothing_done or (failed.may_pass and not once)):
                    raise failed.error from None
                await anyio.sleep(min(max(self._pause(attempt), failed.wait), LONGEST_WAIT))
        raise AssertionError  # the loop returns or raises


class _Failed(Exception):
    """One attempt failed."""

    def __init__(self, error: CarrierRequestFailed, *, nothing_done: bool, may_pass: bool, wait: float = 0.0) -> None:
        self.error = error
        self.nothing_done = nothing_done
        """Twilio has certainly not done it, and may if asked again."""
        self.may_pass = may_pass
        """It may have been done or not, and may work if asked again."""
        self.wait = wait
        """Seconds that the server asks for."""
        super().__init__()


async def _send(
    method: str,
    url: str,
    *,
    credentials: tuple[str, str],
    form: Form,
    wish: str,
) -> bytes:
    headers = {"Authorization": f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"}
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        answer = await send_request(
            method,
            url,
            headers=headers,
            body=urllib.parse.urlencode(form).encode(),
            connect_timeout=TIMEOUT,
            answer_timeout=TIMEOUT,
        )
    except (ConnectionError, TimeoutError) as error:
        raise _Failed(
            CarrierRequestFailed(
                f"Twilio could not be asked to {wish}.",
                got=str(error),
                remedy="Check the network, and base_url or TWILIO_BASE_URL if one is set.",
            ),
            nothing_done=isinstance(error, ConnectionRefusedError),
            may_pass=True,
        ) from None
    if 200 <= answer.status < 300:
        return answer.body
    status, code = answer.status, _error_code(answer.body)
    raise _Failed(
        CarrierRequestFailed(
            f"Twilio refused to {wish}.",
            status=status,
            code=code,
            got=f"HTTP status {status}" + (f", error {code}" if code else ""),
            remedy=_REMEDIES.get(code, f"See https://www.twilio.com/docs/api/errors/{code}." if code else ""),
        ),
        nothing_done=status == _TOO_MANY,
        may_pass=status >= _SERVER_FAULT,
        wait=_seconds(answer.headers.get("retry-after", "")),
    )


def _pause(attempt: int) -> float:
    return 0.25 * 2.0 ** (attempt - 1) * random.uniform(0.75, 1.25)


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _is_gone(error: CarrierRequestFailed) -> bool:
    return error.status == 404 or error.code in _CALL_GONE


def _read(body: bytes, shape: type[_T], wish: str) -> _T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError):
        raise CarrierRequestFailed(
            f"Twilio was asked to {wish}, and its answer cannot be read.", expected=f"the JSON of an {shape.__name__}"
        ) from None


class _Problem(msgspec.Struct):
    """An error body: Twilio's own shape has a `code`, RFC 9457's a `type` that may end in one."""

    code: int | str | None = None
    type: str = ""


_PROBLEM = msgspec.json.Decoder(_Problem)


def _error_code(body: bytes) -> str:
    """Twilio's error code, or "". Its text is not used: it may repeat a phone number."""
    try:
        problem = _PROBLEM.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    code = str(problem.code or problem.type.rstrip("/").rpartition("/")[2])
    return code if code.isascii() and code.isdigit() and len(code) <= 6 else ""


def _quoted(sid: str) -> str:
    return urllib.parse.quote(sid, safe="")
