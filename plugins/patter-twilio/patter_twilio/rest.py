"""Twilio's REST API: forms in, JSON out, errors as ours.

The HTTP client is imported and its certificates are read when the first request is made, and in a thread: both take
longer than any call in progress should wait.
"""

from __future__ import annotations

import functools
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from patter_core.errors import CarrierRequestFailed

if TYPE_CHECKING:
    import httpx

__all__ = ["TwilioApi"]

TIMEOUT = 10.0
"""For each step of a request, in s."""

_CALL_GONE = frozenset({"20404", "21220"})
"""Twilio's codes for a call that is unknown, and for one that is not in progress any more."""

_REMEDIES = {
    "20003": "Check account_sid and auth_token; credentials belong to one region.",
    "20429": "Too many requests at once: try again in some seconds.",
}


class TwilioApi:
    """One account at the API."""

    def __init__(self, base_url: str, account_sid: str, username: str, password: str) -> None:
        """Basic authentication is by account SID and auth token, or by API key and secret."""
        self._root = f"{base_url}/2010-04-01/Accounts/{_quoted(account_sid)}"
        self._credentials = (username, password)

    async def end_call(self, call_sid: str) -> None:
        """End a call that is in progress. One that is over is a success.

        Raises:
            CarrierRequestFailed: Twilio would not, or could not be reached.
        """
        try:
            await self._post(f"/Calls/{_quoted(call_sid)}.json", {"Status": "completed"}, wish="end the call")
        except CarrierRequestFailed as error:
            if error.status != 404 and error.code not in _CALL_GONE:
                raise

    async def _post(self, path: str, form: Mapping[str, str], *, wish: str) -> bytes:
        new_client = await anyio.to_thread.run_sync(_client_factory)
        return await _send(new_client, self._root + path, self._credentials, form, wish)


async def _send(
    new_client: Callable[[], httpx.AsyncClient],
    url: str,
    credentials: tuple[str, str],
    form: Mapping[str, str],
    wish: str,
) -> bytes:
    import httpx  # noqa: PLC0415 - the factory has loaded it by now

    try:
        async with new_client() as client:
            response = await client.post(url, data=dict(form), auth=credentials)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CarrierRequestFailed(
            f"Twilio could not be asked to {wish}.",
            got=type(error).__name__,
            remedy="Check the network, and base_url or TWILIO_BASE_URL if one is set.",
        ) from None
    if response.is_success:
        return response.content
    code = _error_code(response.content)
    raise CarrierRequestFailed(
        f"Twilio refused to {wish}.",
        status=response.status_code,
        code=code,
        got=f"HTTP status {response.status_code}" + (f", error {code}" if code else ""),
        remedy=_REMEDIES.get(code, f"See https://www.twilio.com/docs/api/errors/{code}." if code else ""),
    )


@functools.cache
def _client_factory() -> Callable[[], httpx.AsyncClient]:
    """Makes clients that share one set of certificates."""
    import httpx  # noqa: PLC0415 - not when this module is imported: see above

    return functools.partial(httpx.AsyncClient, verify=httpx.create_ssl_context(), timeout=TIMEOUT)


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
