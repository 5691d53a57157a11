"""How a conversation is opened: connect, send the initiation, wait for the metadata."""

from __future__ import annotations

import anyio

from patter_core.errors import ConfigurationError, EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs import wire
from patter_elevenlabs.close_codes import ending
from patter_elevenlabs.config import Service
from patter_elevenlabs.formats import audio_format
from patter_elevenlabs.rest import signed_url
from patter_elevenlabs.session import ConvAISession
from patter_elevenlabs.tools import Toolbox

__all__ = ["METADATA_TIMEOUT", "open_session"]

METADATA_TIMEOUT = 10.0
"""Seconds from the initiation to the metadata: audio before it can be refused, and a caller is waiting."""


async def open_session(
    service: Service,
    initiation: wire.Initiation,
    *,
    toolbox: Toolbox | None = None,
    dtmf_as_message: bool = False,
    metadata_timeout: float = METADATA_TIMEOUT,
) -> ConvAISession:
    """Open a conversation, and return when the agent is ready for audio. Cancelling it leaves nothing open.

    Args:
        service: where, and who asks.
        initiation: the first message.
        toolbox: what the agent may call.
        dtmf_as_message: are keys that the caller presses something that he says, or something for the agent to know?
        metadata_timeout: in s.

    Raises:
        EngineRefused: the service said no: to the key, the agent, an option; or the agent's format is none we know.
        EngineTimeout: no connection, no signed URL or no metadata in time.
        EngineError: the service cannot be reached, or the connection broke.
    """
    if service.use_signed_url:
        socket = await EngineSocket.open(await signed_url(service))
    else:
        socket = await EngineSocket.open(service.conversation_url, headers=service.headers)
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
            toolbox=toolbox or Toolbox(),
            dtmf_as_message=dtmf_as_message,
        )
    except ConfigurationError as error:
        await socket.aclose()
        raise EngineRefused(
            "The agent's audio format is none that is known here.", expected=error.expected, got=error.got
        ) from None
    except BaseException:
        await socket.aclose()
        raise


async def _metadata(socket: EngineSocket, decoder: wire.Decoder, patience: float) -> wire.MetadataEvent:
    trouble = ""
    try:
        with anyio.fail_after(patience):
            while True:
                match decoder.decode(await socket.receive()):
                    case wire.Metadata(event=metadata):
                        return metadata
                    case wire.Ping(event=ping):
                        socket.send(wire.encode(wire.Pong(event_id=ping.event_id)))
                    case wire.Error(text=trouble):
                        pass
                    case _:  # such as queue_status, which may come first
                        pass
    except TimeoutError:
        raise EngineTimeout(
            "ElevenLabs did not begin the conversation.",
            retry=True,
            expected=f"conversation_initiation_metadata within {patience:g} s",
            got=trouble,
        ) from None
    except SocketClosed as closed:
        error = ending(closed.code, closed.reason or trouble)
        raise error or EngineRefused("ElevenLabs ended the conversation before it began.", got=trouble) from None
