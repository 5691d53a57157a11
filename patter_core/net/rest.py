"""The base of clients for carriers' REST APIs: retries, answers as structs, failures as `CarrierRequestFailed`.

When a request is sent again:

* always, if the carrier has certainly not taken it: it never left, or was refused with 429 (too many requests);
* if repeating it is harmless (`repeatable`), also after no answer and after a 5xx: it may have been taken or not;
* never after any other refusal.

A failure says whether any attempt may have been taken (`CarrierRequestFailed.taken`).

Between attempts there are pauses, which grow and differ (`Tries`), and are as long as the server asks for. If that is
too long, or the time for all attempts is over, the request has failed.
"""

from __future__ import annotations

import abc
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import anyio
import msgspec

from patter_core.errors import CarrierRequestFailed, NetworkMisconfigured
from patter_core.net.http import HttpAnswer, send_request
from patter_core.net.json import UNREADABLE
from patter_core.net.peer_name import peer_name
from patter_core.net.retry_after import TOO_MANY_REQUESTS, is_passing, seconds_asked
from patter_core.net.unreached import unreached

__all__ = ["RestApi", "path_segment"]

T = TypeVar("T")

_LONGEST_CODE = 6
_REQUEST_TIMEOUT = 408


class RestApi(abc.ABC):
    """One account at a carrier's REST API.

    Args:
        root: the URL that all paths are appended to.
        headers: sent with every request: the credentials.
        sleep: waits between attempts; for tests.
        now: a monotonic clock, in s; for tests.
    """

    vendor: ClassVar[str]
    """The carrier as its users write it."""
    base_url_setting: ClassVar[str]
    """How a user sets the API's address, for the remedy when it is not reached: `base_url or ACME_BASE_URL`."""
    remedies: ClassVar[Mapping[str, str]] = {}
    """What to do about an error code, as a sentence; or about an HTTP status, where a refusal has no code."""
    connect_timeout: ClassVar[float] = 5.0
    answer_timeouts: ClassVar[Sequence[float]] = (10.0,) * 4
    """Seconds that each attempt waits for each step of the answer; as many attempts as there are values."""
    longest_pause: ClassVar[float] = 8.0
    """Seconds between two attempts, at most: a server that asks for more is not waited for."""
    budget: ClassVar[float] = 15.0
    """Seconds after which no other attempt begins."""

    def __init__(
        self,
        root: str,
        headers: Mapping[str, str],
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._headers = headers
        self._sleep = sleep
        self._now = now

    @abc.abstractmethod
    def error_code(self, body: bytes) -> str:
        """Returns the carrier's error code in the body of a refusal, or "". Its text may repeat a phone number."""

    def headers(self) -> Mapping[str, str]:
        """Returns the headers of one attempt: `headers` as given. A vendor whose requests are signed has others."""
        return self._headers

    def remedy(self, code: str) -> str:
        """Returns what to do about an error code; "" if unknown."""
        return self.remedies.get(code, "")

    def asked_for(self, answer: HttpAnswer) -> float:
        """Returns the seconds that a refusal asks to wait before the next attempt; 0 if it asks for none."""
        return seconds_asked(answer.headers.get("retry-after", ""), time.time())

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
        """Sends a request, again if need be, and returns the body of the answer.

        Args:
            method: GET, POST and so on.
            path: appended to the root; with the query.
            body: as it is sent.
            action: what it is for, in error messages: `place the call`.
            content_type: of the body.
            repeatable: False if doing it twice would be worse than not doing it.

        Raises:
            CarrierRequestFailed: the carrier refused, or could not be reached.
        """
        from patter_core.aio.tries import Tries  # noqa: PLC0415 - it loads asyncio, and plugins that are not used should not

        named = {"content-type": content_type} if content_type else {}
        tries = Tries(len(self.answer_timeouts) - 1, longest_pause=self.longest_pause)
        due = self._now() + self.budget
        taken = False
        for timeout in self.answer_timeouts:
            asked_for = 0.0
            try:
                answer = await send_request(
                    method,
                    self._root + path,
                    headers={**self.headers(), **named},
                    body=body,
                    connect_timeout=self.connect_timeout,
                    answer_timeout=timeout,
                )
            except (ConnectionError, TimeoutError) as error:
                never_left = isinstance(error, ConnectionRefusedError)
                taken = taken or not never_left
                failure = self._unreached(error, action, taken=taken)
                again = (repeatable or never_left) and not isinstance(error, NetworkMisconfigured)
            else:
                if 200 <= answer.status < 300:
                    return answer.body
                taken = taken or not _is_refused(answer.status)
                failure = self._refusal(answer, action, taken=taken)
                asked_for = self.asked_for(answer)
                again = is_passing(answer.status) and (repeatable or answer.status == TOO_MANY_REQUESTS)
            if not again or asked_for > self.longest_pause:
                raise failure
            pause = tries.failed(asked_for=asked_for, within=due - self._now())
            if pause is None:
                raise failure
            await self._sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    async def fetch(self, path: str, shape: type[T], *, action: str, query: Mapping[str, str] | None = None) -> T:
        """Returns the answer to a GET request as a struct.

        Raises:
            CarrierRequestFailed: as `request` and `read` do.
        """
        path = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        return self.read(await self.request("GET", path, action=action), shape, action=action)

    def read(self, body: bytes, shape: type[T], *, action: str) -> T:
        """Returns the body of an answer as a struct.

        Raises:
            CarrierRequestFailed: it is not JSON of that shape.
        """
        try:
            return msgspec.json.decode(body, type=shape)
        except UNREADABLE:
            raise CarrierRequestFailed(
                f"Could not {action}: the answer of {self.vendor} is not as documented.",
                remedy=f"Check {self.base_url_setting}, if one is set.",
            ) from None

    def _unreached(self, error: OSError, action: str, *, taken: bool) -> CarrierRequestFailed:
        peer = peer_name(self.vendor, self._root)
        told = unreached(error, peer, setting=self.base_url_setting, action=action)
        return CarrierRequestFailed(told.problem, taken=taken, expected=told.expected, got=told.got, remedy=told.remedy)

    def _refusal(self, answer: HttpAnswer, action: str, *, taken: bool) -> CarrierRequestFailed:
        code = self.error_code(answer.body)
        if not (code.isascii() and code.isdigit() and len(code) <= _LONGEST_CODE):  # it is logged: no text from outside
            code = ""
        return CarrierRequestFailed(
            f"Could not {action}: {self.vendor} refused.",
            taken=taken,
            status=answer.status,
            code=code,
            got=f"HTTP status {answer.status}" + (f", error {code}" if code else ""),
            remedy=self.remedy(code) if code else self.remedies.get(str(answer.status), ""),
        )


def _is_refused(status: int) -> bool:
    """True if an answer with that status means that the request was not carried out.

    A server's fault (5xx) leaves it open, and so does a redirect. Gateways answer 408 for servers that were too slow.
    """
    return 400 <= status < 500 and status != _REQUEST_TIMEOUT


def path_segment(text: str) -> str:
    """Returns an id as one segment of a URL's path: slashes and dots in it lead nowhere else."""
    return urllib.parse.quote(text, safe="")
