"""Connects to a host by whichever of its addresses answers first."""

from __future__ import annotations

import socket

from aiohappyeyeballs import start_connection

from patter_core.net.dns import addresses_of

__all__ = ["connect_tcp"]

_NEXT_ADDRESS = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305): IPv6 may lead nowhere."""


async def connect_tcp(host: str, port: int) -> socket.socket:
    """Returns a connected socket, which belongs to the caller. It has no time limit of its own.

    Raises:
        OSError: the host has no address, or none that takes a connection.
    """
    addresses = await addresses_of(host, port)
    try:
        return await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
    except RuntimeError as error:  # uvloop's
        raise ConnectionRefusedError(str(error)) from None
