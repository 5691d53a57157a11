"""The TLS context of all connections that Patter opens. Certificates are always verified."""

from __future__ import annotations

import os
import ssl
import threading

import certifi

from patter_core.aio.threads import DaemonThreads
from patter_core.errors import NetworkMisconfigured

__all__ = ["make_tls_context", "tls_context"]

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
    return context
