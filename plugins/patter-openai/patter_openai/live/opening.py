"""The opening of a Live session: connect, start it, and have the first message said."""

from __future__ import annotations

import time

import anyio

from patter_core.errors import EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from patter_openai.config import Service
from patter_openai.failures import closed, refused, remedied
from patter_openai.live import wire
from patter_openai.live.session import LiveSession

__all__ = ["open_session"]

_LONGEST = 3_600.0
"""Seconds after which a session is renewed at the latest: the service names its end, and no documented limit."""


async def open_session(
    service: Service, config: wire.LiveConfig, *, first_message: str = "", within: float = 10.0
) -> LiveSession:
    """Opens a session. Returns once it is ready for audio. Cancelling it leaves nothing open.

    Args:
        service: address and credentials.
        config: the configuration.
        first_message: what the agent says now; "" to say nothing.
        within: bound for the start, in s.

    Raises:
        EngineRefused: the service refused the key, the model or an option.
        EngineTimeout: no connection or no start in time.
        EngineError: the service cannot be reached, or the connection was lost.
    """
    try:
        socket = await EngineSocket.open(service.live_url, vendor="OpenAI", headers=service.headers)
    except EngineRefused as error:
        raise remedied(error) from None
    try:
        decoder = wire.Decoder()
        socket.send(wire.encode(wire.Start(event_id="start", session=config)))
        info = await _started(socket, decoder, within)
        format = wire.audio_format(config.audio.format)
        session = LiveSession(socket, decoder, info, format=format, lifetime=_lifetime(info))
    except BaseException:
        await socket.aclose()
        raise
    if first_message:
        session.greet(first_message)
    return session


async def _started(socket: EngineSocket, decoder: wire.Decoder, within: float) -> wire.SessionInfo:
    try:
        with anyio.fail_after(within):
            while True:
                match decoder.decode(await socket.receive()):
                    case wire.Started(session=info):
                        return info
                    case wire.Error(error=error):
                        raise refused(error)
                    case _:
                        pass
    except TimeoutError:
        raise EngineTimeout(
            "OpenAI did not start the session.", retry=True, expected=f"session.started within {within:g} s"
        ) from None
    except SocketClosed as told:
        raise closed(told.code, told.reason) from None


def _lifetime(info: wire.SessionInfo) -> float:
    """Returns how long the session lives, in s. Two clocks are compared, so that it is only about right."""
    if info.expires_at is None:
        return _LONGEST
    seconds = info.expires_at - time.time()
    return seconds if 0 < seconds <= _LONGEST else _LONGEST
