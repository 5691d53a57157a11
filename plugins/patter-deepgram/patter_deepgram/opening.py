"""How a socket to the service is opened."""

from __future__ import annotations

from patter_core.errors import EngineRefused
from patter_core.net.websocket import EngineSocket
from patter_deepgram.config import Parameters, Service
from patter_deepgram.failures import REASON_HEADER, remedied

__all__ = ["OPEN_TIMEOUT", "open_socket"]

OPEN_TIMEOUT = 5.0
"""Seconds until a session is open. A caller is waiting."""
_AUDIO_LIMIT = 400
"""Messages of audio that are kept for a slow peer, 8 s as a rule: a session may be given some seconds at once."""
_MAX_SIZE = 2**20
"""Bytes of one message."""


async def open_socket(
    service: Service, path: str, parameters: Parameters, within: float = OPEN_TIMEOUT
) -> EngineSocket:
    """Connects.

    Raises:
        EngineRefused: the service refused the key, the model or an option.
        EngineTimeout: no connection in time.
        EngineError: the service cannot be reached.
    """
    try:
        return await EngineSocket.open(
            service.url(path, parameters),
            vendor="Deepgram",
            headers=service.headers,
            max_size=_MAX_SIZE,
            open_timeout=within,
            audio_limit=_AUDIO_LIMIT,
            reason_header=REASON_HEADER,
        )
    except EngineRefused as error:
        raise remedied(error) from None
