"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.net.transport import Transport
from patter_picows.transport import PicowsTransport

__all__ = ["patter_transports"]


@hookimpl
def patter_transports() -> list[type[Transport]]:
    """Offers picows."""
    return [PicowsTransport]
