"""The handshake of a conversation: connect, send the initiation, wait for the metadata."""

from __future__ import annotations

import anyio

from patter_core.errors import ConfigurationError, EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs import wire
from patter_elevenlabs.close_codes import error_for
from patter_elevenlabs.config import Service
from patter_elevenlabs.formats import audio_format
from patter_elevenlabs.refusals import refused_upgrade
from patter_elevenlabs.rest import REMEDIES, signed_url
from patter_elevenlabs.session import ConvAISession

__all__ = ["METADATA_TIMEOUT", "open_session"]

METADATA_TIMEOUT = 10.0
"""Seconds from the initiation to the metadata. Audio before the metadata may be refused, and a caller is waiting."""


async def open_session(
    service: Service,
    initiation: wire.Initiation,
    *,
    dtmf_as_message: bool = False,
    metadata_timeout: float = METADATA_TIMEOUT,
) -> ConvAISession:
    """Opens a conversation. Returns once the agent is ready for audio. Cancelling it leaves nothing open.

    Args:
        service: address and credentials.
        initiation: the first message.
        dtmf_as_message: send a pressed key as a message of the user, which is answered, instead of as context.
        metadata_timeout: in s.

    Raises:
        EngineRefused: the service refused the key, the agent or an option; or the agent's format is not supported.
        EngineTimeout: no connection, no signed URL or no metadata in time.
        EngineError: the service cannot be reached, or the connection was lost.
    """
    socket = await _connect(service)
    try:
        decoder = wire.Decoder()
        socket.send(wire.encode(initiation))
        metadata = await _metadata(socket, decoder, metadata_timeout)
        return ConvAISession(
            socket,
            decoder,
            conversation_id=metadata.conversation_id,
            input_format=audio_format(metadata.user_input_audio_format),
            output_format=audio_format(metadata.agent_output_audio_format),
            dtmf_as_message=dtmf_as_message,
        )
    except ConfigurationError as error:
        await socket.aclose()
        raise EngineRefused(
            "The agent's audio format is not supported.", expected=error.expected, got=error.got
        ) from None
    except BaseException:
        await socket.aclose()
        raise


async def _connect(service: Service) -> EngineSocket:
    signed = await signed_url(service) if service.use_signed_url else ""
    headers = {} if signed else service.headers
    try:
        return await EngineSocket.open(signed or service.conversation_url, vendor="ElevenLabs", headers=headers)
    except EngineRefused as error:
        raise refused_upgrade(error, "convai_write", REMEDIES) from None


async def _metadata(socket: EngineSocket, decoder: wire.Decoder, within: float) -> wire.MetadataEvent:
    problem = ""
    try:
        with anyio.fail_after(within):
            while True:
                match decoder.decode(await socket.receive()):
                    case wire.Metadata(event=metadata):
                        return metadata
                    case wire.Ping(event=ping):
                        socket.send(wire.encode(wire.Pong(event_id=ping.event_id)))
                    case wire.Error(text=problem):
                        pass
                    case _:  # such as queue_status, which may come first
                        pass
    except TimeoutError:
        raise EngineTimeout(
            "ElevenLabs did not start the conversation.",
            retry=True,
            expected=f"conversation_initiation_metadata within {within:g} s",
            got=problem,
        ) from None
    except SocketClosed as closed:
        error = error_for(closed.code, closed.reason or problem)
        raise error or EngineRefused("ElevenLabs ended the conversation before it started.", got=problem) from None
