"""One HTTP request, for plugins that talk to a vendor's API.

The client is imported and its certificates are read when the first request is made, and in a thread: both take longer
than any call in progress should wait.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpAnswer", "send_request"]


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Its `repr` shows the status only."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"


async def send_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    connect_timeout: float = 5.0,
    answer_timeout: float = 10.0,
) -> HttpAnswer:
    """Send a request and read the whole answer, whatever its status; redirects are not followed.

    Args:
        method: GET, POST and so on.
        url: absolute.
        headers: as they are sent.
        body: as it is sent; its content-type is among the headers.
        connect_timeout: s, to be connected.
        answer_timeout: s, for each step after that.

    Raises:
        ConnectionRefusedError: the peer was not reached; the request never left.
        ConnectionResetError: it was reached and hung up; it may have heard the request.
        TimeoutError: it was reached and did not answer in time; as above.
            The text of each is the kind of failure, and names no address.
    """
    new_client = await anyio.to_thread.run_sync(_client_factory)
    import httpx  # noqa: PLC0415 - the factory has loaded it by now

    try:
        async with new_client(timeout=httpx.Timeout(answer_timeout, connect=connect_timeout)) as client:
            answer = await client.request(method, url, headers=dict(headers), content=body)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ConnectionRefusedError(type(error).__name__) from None
    except httpx.TimeoutException as error:
        raise TimeoutError(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise ConnectionResetError(type(error).__name__) from None
    return HttpAnswer(status=answer.status_code, headers=dict(answer.headers), body=answer.content)


@functools.cache
def _client_factory() -> Callable[..., httpx.AsyncClient]:
    """Makes clients that share one set of certificates."""
    import httpx  # noqa: PLC0415 - not when this module is imported: see above

    return functools.partial(httpx.AsyncClient, verify=httpx.create_ssl_context())
