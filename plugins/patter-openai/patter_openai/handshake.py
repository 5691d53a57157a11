"""The opening of a session: connect, configure, give it the history, and have the first message said."""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import msgspec

from patter_core.errors import EngineFailed, EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from patter_openai import wire
from patter_openai.config import Service
from patter_openai.failures import closed, refused, remedied
from patter_openai.formats import wire_format
from patter_openai.session import RealtimeSession, SessionOptions

__all__ = ["CONFIGURE_TIMEOUT", "open_session"]

CONFIGURE_TIMEOUT = 10.0
"""Seconds from the connection to the confirmed configuration. A caller is waiting."""
_LONGEST = 3_600.0
"""Seconds that a session lives at most, by the vendor's documentation."""
_UPDATE = "configure"


class _Format(msgspec.Struct, frozen=True):
    type: str = ""


class _Side(msgspec.Struct, frozen=True):
    format: _Format = _Format()


class _Audio(msgspec.Struct, frozen=True):
    """What the service says of a session's audio, as far as it is looked at."""

    input: _Side = _Side()
    output: _Side = _Side()


_audio = msgspec.json.Decoder(_Audio).decode


async def open_session(
    service: Service,
    config: wire.SessionConfig,
    options: SessionOptions,
    *,
    history: Sequence[wire.Item] = (),
    first_message: str = "",
    within: float = CONFIGURE_TIMEOUT,
) -> RealtimeSession:
    """Opens a session. Returns once it is ready for audio. Cancelling it leaves nothing open.

    Args:
        service: address and credentials.
        config: the configuration.
        options: the same, as far as the session has to know it.
        history: what was said before.
        first_message: what the agent says now; "" to let the user speak first.
        within: bound for the configuration, in s.

    Raises:
        EngineRefused: the service refused the key, the model or an option.
        EngineTimeout: no connection or no configuration in time.
        EngineFailed: the service has configured another audio format.
        EngineError: the service cannot be reached, or the connection was lost.
    """
    try:
        socket = await EngineSocket.open(service.realtime_url(options.model), vendor="OpenAI", headers=service.headers)
    except EngineRefused as error:
        raise remedied(error) from None
    try:
        decoder = wire.Decoder()
        socket.send(wire.encode(wire.SessionUpdate(event_id=_UPDATE, session=config)))
        info = await _configured(socket, decoder, within)
        _require_format(info, wire_format(options.format))
        options = msgspec.structs.replace(options, lifetime=_lifetime(info))
        session = RealtimeSession(socket, decoder, options, conversation_id=info.id)
    except BaseException:
        await socket.aclose()
        raise
    for item in history:
        socket.send(wire.encode(wire.ItemCreate(item=item)))
    if first_message:
        session.say(first_message)
    return session


async def _configured(socket: EngineSocket, decoder: wire.Decoder, within: float) -> wire.SessionInfo:
    try:
        with anyio.fail_after(within):
            while True:
                match decoder.decode(await socket.receive()):
                    case wire.SessionUpdated(session=info):
                        return info
                    case wire.Error(error=error):
                        raise refused(error)
                    case _:  # session.created and conversation.created
                        pass
    except TimeoutError:
        raise EngineTimeout(
            "OpenAI did not configure the session.", retry=True, expected=f"session.updated within {within:g} s"
        ) from None
    except SocketClosed as told:
        raise closed(told.code, told.reason) from None


def _require_format(info: wire.SessionInfo, format: wire.WireFormat) -> None:
    """In another format all audio would be noise. What the service does not say is as it was asked for."""
    if not isinstance(info.audio, msgspec.Raw):
        return
    try:
        told = _audio(info.audio)
    except msgspec.DecodeError:
        return
    asked = str(format.__struct_config__.tag)
    for side in (told.input, told.output):
        if side.format.type not in {"", asked}:
            raise EngineFailed(
                "OpenAI configured the session with another audio format than it was asked for.",
                retry=True,
                expected=asked,
                got=side.format.type[:100],
            )


def _lifetime(info: wire.SessionInfo) -> float:
    """Returns how long the session lives, in s. Two clocks are compared, so that it is only about right."""
    if not isinstance(info.expires_at, int):
        return _LONGEST
    seconds = info.expires_at - time.time()
    return seconds if 0 < seconds <= _LONGEST else _LONGEST
