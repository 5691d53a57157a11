"""`check_transport`: frames, limits, close codes, floods and faults, on real sockets, of engines and of carriers."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from patter_core.net.transport import TRANSPORT_API_VERSION, Transport, in_use
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.transport_client import check_client
from patter_core.testing.conformance.transport_server import check_server

__all__ = ["check_transport"]


async def check_transport(
    make: Callable[[], Transport], *, tls: ssl.SSLContext | None = None, patience: float = 1.0
) -> None:
    """Tries a transport against the whole of its contract, in some ten seconds.

    Engines' sockets are opened by `EngineSocket`. Media sockets come from `serve_app`; where the transport leaves them
    to the server, it is the server that is tried.

    Args:
        make: makes the transport; its class is one.
        tls: a server's context with a certificate for 127.0.0.1 that SSL_CERT_FILE trusts; None leaves TLS out.
        patience: a factor for all bounds in time.

    Raises:
        ConformanceError: the contract is broken; it says how.
    """
    check = Check("transport", patience)
    check.now("its making")
    with check.raises_only_failures():
        transport = make()
        check.require(isinstance(transport, Transport), "It is no Transport.", got=type(transport).__name__)
        check.require(
            transport.api_version == TRANSPORT_API_VERSION,
            "It is of another version of the contract.",
            expected=str(TRANSPORT_API_VERSION),
            got=str(transport.api_version),
        )
        chosen = in_use.set(transport)
        try:
            await check_client(check, tls)
        finally:
            in_use.reset(chosen)
        await check_server(check, transport)
