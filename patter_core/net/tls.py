"""The TLS context of all connections that Patter opens. Certificates are always verified."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from asyncio import sslproto

import certifi

from patter_core.aio.threads import DaemonThreads
from patter_core.errors import NetworkMisconfigured

__all__ = ["keep_session", "make_tls_context", "shrink_buffer", "tls_context"]

_MOST_SESSIONS = 64
"""Hosts whose sessions are kept."""
_READ_SIZE = 16 * 1024
"""Bytes that are read at once from a connection with TLS on asyncio's own loop: a record of TLS."""

_contexts: dict[tuple[str, str], ssl.SSLContext] = {}
_making = threading.Lock()


async def tls_context() -> ssl.SSLContext:
    """Returns the context of this process. It is made in a thread: it reads all certificates, for 50 ms and more.

    Trusted are SSL_CERT_FILE and SSL_CERT_DIR, if one of them is set; else the system's certificates, to which a
    company may have added its own, and those of certifi, since a small container has none.

    Raises:
        NetworkMisconfigured: the variables lead to no certificates.
    """
    made = _contexts.get(_trusted())
    return await DaemonThreads(1).run(make_tls_context) if made is None else made


def make_tls_context() -> ssl.SSLContext:
    """Returns the same, for code that runs in a thread.

    Raises:
        NetworkMisconfigured: as above.
    """
    trusted = _trusted()
    with _making:
        context = _contexts.get(trusted)
        if context is None:
            context = _contexts[trusted] = _new_context(*trusted)
    return context


def _trusted() -> tuple[str, str]:
    return os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")


def _new_context(file: str, folder: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        raise NetworkMisconfigured(
            "The trusted certificates cannot be read.",
            expected="PEM files",
            got=type(error).__name__,
            remedy="Check SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from None
    if not file and not folder:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])  # WebSockets are upgraded from it, too
    context.__class__ = _Resuming  # `create_default_context` makes none of another class
    return context


class _Resuming(ssl.SSLContext):
    """A context by which connections resume the last session with their host: no certificate is verified again."""

    sessions: dict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As in `ssl.SSLContext`."""
        if session is None and not server_side and isinstance(server_hostname, str):
            session = vars(self).get("sessions", {}).get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def keep_session(stream: asyncio.BaseTransport) -> None:
    """Keeps the TLS session of a connection of ours, for the next one to its host. To be called at its end.

    With TLS 1.3 a session comes after the handshake, with what is read then.
    """
    connection = stream.get_extra_info("ssl_object")
    if not isinstance(connection, ssl.SSLObject) or not isinstance(connection.server_hostname, str):
        return  # a transport's library may have a TLS of its own
    context = connection.context
    if not isinstance(context, _Resuming):
        return
    sessions: dict[str, ssl.SSLSession] = vars(context).setdefault("sessions", {})
    if connection.session is not None:
        sessions.pop(connection.server_hostname, None)
        sessions[connection.server_hostname] = connection.session
        if len(sessions) > _MOST_SESSIONS:
            del sessions[next(iter(sessions))]


def shrink_buffer(stream: asyncio.BaseTransport) -> None:
    """Has a connection with TLS read a record at a time, where it is of asyncio's own loop.

    That keeps a buffer of 256 KiB for each connection, all of it in use from its start. uvloop's is not touched by what
    is not read into it.
    """
    protocol = getattr(stream, "_ssl_protocol", None)
    if isinstance(protocol, sslproto.SSLProtocol) and hasattr(protocol, "_ssl_buffer_view"):
        buffer = bytearray(_READ_SIZE)
        vars(protocol).update(max_size=_READ_SIZE, _ssl_buffer=buffer, _ssl_buffer_view=memoryview(buffer))
