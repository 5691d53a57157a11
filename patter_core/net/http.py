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
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec

from patter_core.errors import NetworkMisconfigured

if TYPE_CHECKING:  # none of these is loaded with a plugin
    import asyncio

    import httpcore

    from patter_core.net.pool import Connections

__all__ = ["HttpAnswer", "HttpStream", "open_stream", "send_request"]

DISCARDED = 65_536
"""Bytes of an unwanted body that are read so that the connection can be kept; a longer one costs the connection."""
LONGEST_BODY = 8 * 1024 * 1024
"""Bytes of an answer that is read."""
DISCARD_TIMEOUT = 1.0
"""Seconds that this may take."""
KEPT_IDLE = 4.0
"""Seconds that an unused connection is kept. Servers close theirs after 5 (uvicorn, Node) to 75 (nginx), and a request
that crosses with that fails."""


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
    limits = {"connect": connect_timeout, "read": answer_timeout, "write": answer_timeout}
    with _plain_errors():
        async with connections.send(method, url, headers, body, limits, kept_idle=KEPT_IDLE) as answer:
            content = await (_discard(answer) if discard_body else _read(answer))
    return HttpAnswer(status=answer.status, headers=_named(answer), body=content)


class HttpStream:
    """An answer whose body is read as it comes. Made by `open_stream`."""

    def __init__(self, answer: httpcore.Response) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = _named(answer)
        """By lower-case name."""
        self._parts = aiter(answer.stream)  # type: ignore[arg-type] # that of an asynchronous pool is asynchronous

    async def read(self) -> bytes:
        """Returns the next bytes of the body, as many as there are; b"" at its end.

        Cancelling it gives the connection up.

        Raises:
            ConnectionResetError: the peer hung up before the end.
            TimeoutError: nothing came in time.
        """
        with _plain_errors():
            async for part in self._parts:
                if part:
                    return part
        return b""


@contextlib.asynccontextmanager
async def open_stream(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    connect_timeout: float = 5.0,
    answer_timeout: float = 10.0,
    kept_idle: float = KEPT_IDLE,
) -> AsyncIterator[HttpStream]:
    """Sends a request once, and gives the answer once its headers are there, whatever its status.

    The connection is kept if the body was read to its end; otherwise it is closed with the context.

    Args:
        method: as in `send_request`.
        url: as in `send_request`.
        headers: as in `send_request`.
        body: as in `send_request`.
        connect_timeout: as in `send_request`.
        answer_timeout: as in `send_request`; for each `HttpStream.read`, too.
        kept_idle: s that the unused connection is kept. More than the server keeps it is right only where a lost
            request may be sent again: the server may close it while the request is on its way.

    Raises:
        ConnectionRefusedError: as in `send_request`.
        ConnectionResetError: as in `send_request`.
        TimeoutError: as in `send_request`.
    """
    connections = await _kept_connections()
    limits = {"connect": connect_timeout, "read": answer_timeout, "write": answer_timeout}
    async with contextlib.AsyncExitStack() as open_:
        with _plain_errors():
            sent = connections.send(method, url, headers, body, limits, kept_idle=kept_idle)
            answer = await open_.enter_async_context(sent)
        yield HttpStream(answer)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Raises the library's errors as those of `send_request`."""
    import httpcore  # noqa: PLC0415 - loaded by now, and in a thread: see above

    never_left = (
        httpcore.ConnectError,
        httpcore.ConnectTimeout,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    )
    broken = (httpcore.NetworkError, httpcore.ProtocolError, anyio.BrokenResourceError)
    try:
        yield
    except NetworkMisconfigured:
        raise
    except (*never_left, ValueError) as error:  # ValueError: the URL or a header is none
        raise ConnectionRefusedError(type(error).__name__) from None
    except httpcore.TimeoutException as error:
        raise TimeoutError(type(error).__name__) from None
    except broken as error:
        raise ConnectionResetError(type(error).__name__) from None


def _named(answer: httpcore.Response) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}


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
