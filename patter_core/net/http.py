"""HTTP requests, for plugins that talk to a vendor's API. Connections are kept and used again.

There is one pool of connections for each event loop. It is made with the loop's first request and closed when the loop
ends: every runner, `asyncio.run` among them, has its loop close its asynchronous generators then, and one of these
holds the pool. httpcore is imported and the TLS context is made in a thread, since both take longer than a call in
progress should wait.

A request is sent once. A kept connection that the peer has closed meanwhile is found out before anything is written,
and replaced. If the peer closes it while the request is on its way, the peer may have heard it or not: that is an
error, and the caller decides. Connections are kept for a shorter time than servers keep theirs, so it is rare.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec

from patter_core.errors import NetworkMisconfigured

if TYPE_CHECKING:  # none of these is loaded with a plugin
    import asyncio

    import httpcore

    from patter_core.net.pool import Connections

__all__ = ["HttpAnswer", "send_request"]

DISCARDED = 65_536
"""Bytes of an unwanted body that are read so that the connection can be kept; a longer one costs the connection."""
LONGEST_BODY = 8 * 1024 * 1024
"""Bytes of an answer that is read."""
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
        ConnectionRefusedError: the peer was not reached; the request never left. It is `NetworkMisconfigured`, and says
            what to do, if the environment's proxies or certificates are the cause.
        ConnectionResetError: it was reached and hung up; it may have heard the request.
        TimeoutError: it was reached and did not answer in time; as above.
            The text of each is the kind of failure, and names no address.
    """
    connections = await _kept_connections()
    import httpcore  # noqa: PLC0415 - loaded by now, and in a thread: see above

    never_left = (
        httpcore.ConnectError,
        httpcore.ConnectTimeout,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    )
    broken = (httpcore.NetworkError, httpcore.ProtocolError, anyio.BrokenResourceError)
    limits = {"connect": connect_timeout, "read": answer_timeout, "write": answer_timeout}
    try:
        async with connections.send(method, url, headers, body, limits) as answer:
            content = await (_discard(answer) if discard_body else _read(answer))
    except NetworkMisconfigured:
        raise
    except (*never_left, ValueError) as error:  # ValueError: the URL or a header is none
        raise ConnectionRefusedError(type(error).__name__) from None
    except httpcore.TimeoutException as error:
        raise TimeoutError(type(error).__name__) from None
    except broken as error:
        raise ConnectionResetError(type(error).__name__) from None
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    return HttpAnswer(status=answer.status, headers=named, body=content)


async def _read(answer: httpcore.Response) -> bytes:
    """Reads the body; one beyond what an API has to say is a broken answer."""
    import httpcore  # noqa: PLC0415 - as above

    body = bytearray()
    async for part in answer.aiter_stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise httpcore.RemoteProtocolError("the body is too long")
    return bytes(body)


async def _discard(answer: httpcore.Response) -> bytes:
    """Reads a short body, so that the connection can be kept. A failure is none: the answer itself has come."""
    import httpcore  # noqa: PLC0415 - as above

    length = next((value for name, value in answer.headers if name.lower() == b"content-length"), b"")
    if answer.status == 204 or (length.isdigit() and int(length) <= DISCARDED):
        errors = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
        with contextlib.suppress(*errors), anyio.move_on_after(DISCARD_TIMEOUT):
            async for _ in answer.aiter_stream():
                pass
    return b""


class _Kept(NamedTuple):
    connections: Connections
    lifetime: AsyncGenerator[None]


_kept: dict[asyncio.AbstractEventLoop, _Kept] = {}


async def _kept_connections() -> Connections:
    """The connections of this event loop."""
    import asyncio  # noqa: PLC0415 - it has loaded ssl by now, and plugins that are never used should not

    from patter_core.aio.threads import DaemonThreads  # noqa: PLC0415 - it loads asyncio

    loop = asyncio.get_running_loop()
    if loop not in _kept:
        connections = await DaemonThreads(1).run(_new_connections)
        if loop not in _kept:  # else another request was first, and these go unused
            for closed in [other for other in list(_kept) if other.is_closed()]:
                if (left := _kept.pop(closed, None)) is not None:  # it was closed without its generators
                    left.connections.abandon()
            lifetime = _lifetime(connections, loop)
            _kept[loop] = _Kept(connections, lifetime)
            await anext(lifetime)  # from now on the loop knows it
    return _kept[loop].connections


async def _lifetime(connections: Connections, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
    """Closes the connections when the event loop closes its asynchronous generators."""
    try:
        yield
    finally:
        _kept.pop(loop, None)
        await connections.aclose()


def _new_connections() -> Connections:
    from patter_core.net.pool import Connections  # noqa: PLC0415 - not when this module is imported: see above

    return Connections()
