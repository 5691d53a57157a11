"""The compiled WebSocket library picows as a transport of Patter."""

from __future__ import annotations

from patter_picows.transport import PicowsTransport

__all__ = ["PicowsTransport", "__version__"]

__version__ = "0.1.0"
