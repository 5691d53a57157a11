"""HTTP requests, for plugins that talk to a vendor's API. Connections are kept and used again.

There is one pool of connections for each event loop. It is made with the loop's first request and closed when the loop
ends: every runner, `asyncio.run` among them, has its loop close its asynchronous generators then, and one of these
holds the pool. All pools share one SSL context. httpx is imported and the context is made in a thread, since both take
longer than a call in progress should wait.

A request is sent once. A kept connection that the peer has closed meanwhile is found out before anything is written,
and replaced. If the peer closes it while the request is on its way, the peer may have heard it or not: that is an
error, and the caller decides. Connections are kept for a shorter time than servers keep theirs, so it is rare.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec

if TYPE_CHECKING:  # none of these is loaded with a plugin
    import asyncio
    import ssl

    import httpx

__all__ = ["HttpAnswer", "send_request"]

KEPT_IDLE = 4.0
"""Seconds that an unused connection is kept. Servers close theirs after 5 (uvicorn, Node) to 75 (nginx), and a request
that crosses with that fails."""
KEPT = 100
"""Unused connections that are kept."""
DISCARDED = 65_536
"""Bytes of an unwanted body that are read so that the connection can be kept; a longer one costs the connection."""
DISCARD_TIMEOUT = 1.0
"""Seconds that this may take."""


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
    discard_body: bool = False,
) -> HttpAnswer:
    """Sends a request once and reads the whole answer, whatever its status; redirects are not followed.

    Args:
        method: GET, POST and so on.
        url: absolute.
        headers: as they are sent.
        body: as it is sent; its content-type is among the headers.
        connect_timeout: s, to be connected.
        answer_timeout: s, for each step after that.
        discard_body: the answer's body is not wanted, and may be endless: `HttpAnswer.body` is empty.

    Raises:
        ConnectionRefusedError: the peer was not reached; the request never left.
        ConnectionResetError: it was reached and hung up; it may have heard the request.
        TimeoutError: it was reached and did not answer in time; as above.
            The text of each is the kind of failure, and names no address.
    """
    client = await _pooled_client()
    import httpx  # noqa: PLC0415 - loaded by now, and in a thread: see above

    never_left = (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
    )
    timeout = httpx.Timeout(answer_timeout, connect=connect_timeout)
    try:
        async with client.stream(method, url, headers=dict(headers), content=body, timeout=timeout) as answer:
            content = await (_discard(answer) if discard_body else answer.aread())
    except never_left as error:
        raise ConnectionRefusedError(type(error).__name__) from None
    except httpx.TimeoutException as error:
        raise TimeoutError(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise ConnectionResetError(type(error).__name__) from None
    return HttpAnswer(status=answer.status_code, headers=dict(answer.headers), body=content)


async def _discard(answer: httpx.Response) -> bytes:
    """Reads a short body, so that the connection can be kept. A failure is none: the answer itself has come."""
    import httpx  # noqa: PLC0415 - as above

    if answer.status_code == 204 or int(answer.headers.get("content-length", DISCARDED + 1)) <= DISCARDED:
        with contextlib.suppress(httpx.HTTPError), anyio.move_on_after(DISCARD_TIMEOUT):
            async for _ in answer.aiter_raw():
                pass
    return b""


class _Pool(NamedTuple):
    client: httpx.AsyncClient
    lifetime: AsyncGenerator[None]


_pools: dict[asyncio.AbstractEventLoop, _Pool] = {}
_making = threading.Lock()


async def _pooled_client() -> httpx.AsyncClient:
    """The client of this event loop."""
    import asyncio  # noqa: PLC0415 - it has loaded ssl by now, and plugins that are never used should not

    from patter_core.threads import DaemonThreads  # noqa: PLC0415 - it loads asyncio

    loop = asyncio.get_running_loop()
    if loop not in _pools:
        client = await DaemonThreads(1).run(_new_client)
        if loop not in _pools:  # else another request was first, and this client goes unused
            for closed in [other for other in list(_pools) if other.is_closed()]:
                _pools.pop(closed, None)  # it was closed without its generators
            lifetime = _lifetime(client, loop)
            _pools[loop] = _Pool(client, lifetime)
            await anext(lifetime)  # from now on the loop knows it
    return _pools[loop].client


async def _lifetime(client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
    """Closes the client when the event loop closes its asynchronous generators."""
    try:
        yield
    finally:
        _pools.pop(loop, None)
        await client.aclose()


def _new_client() -> httpx.AsyncClient:
    """A client without a limit of connections, as a peer that stalls must not hold up others, and without cookies."""
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - as below

    import httpx  # noqa: PLC0415 - not when this module is imported: see above

    return httpx.AsyncClient(
        verify=_ssl_context(),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=KEPT, keepalive_expiry=KEPT_IDLE),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


def _ssl_context() -> ssl.SSLContext:
    """The one context of all clients. To be called in a thread: it reads all certificates, for 50 ms and more."""
    with _making:
        return _made_ssl_context()


@functools.cache
def _made_ssl_context() -> ssl.SSLContext:
    import httpx  # noqa: PLC0415 - as above

    return httpx.create_ssl_context()
