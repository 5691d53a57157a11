"""A hostile engine: it takes a conversation as the service does, and then floods it with frames made by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator

import anyio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.chaos.floods import PING, Flood, empty_fragments, frame, in_haste, repeats, spew

__all__ = ["FLOODS", "HostileEngine"]


def message(kind: str, **fields: object) -> bytes:
    """One message of the service."""
    return frame(json.dumps({"type": kind, **fields}).encode(), client=False)


def transcript(text: str) -> bytes:
    return message("user_transcript", user_transcription_event={"user_transcript": text, "event_id": 1})


def audio(seconds: float) -> bytes:
    payload = base64.b64encode(b"\x2a" * round(8_000 * seconds)).decode()
    return message("audio", audio_event={"audio_base_64": payload, "event_id": 1})


def tool_call(name: str) -> bytes:
    call = {"tool_name": name, "tool_call_id": "call_1", "parameters": {"query": "x"}}
    return message("client_tool_call", client_tool_call=call)


async def long_transcripts(transport: asyncio.Transport) -> None:
    """Eight of some MiB, full of numbers; then it is silent."""
    await spew(transport, transcript("+1 (555) 010-0199 " * 200_000), 8)


FLOODS: dict[str, Flood] = {
    "interruptions": repeats(message("interruption", interruption_event={"event_id": 1})),
    "tiny audio": repeats(audio(1 / 8_000)),
    "short transcripts": repeats(transcript("hi")),
    "responses": repeats(message("agent_response", agent_response_event={"agent_response": "hi", "event_id": 1})),
    "transcripts of MiB": long_transcripts,
    "unknown tools": repeats(tool_call("no_such_tool")),
    "known tools": repeats(tool_call("look_up")),
    "empty fragments": empty_fragments(client=False),
    "pings": repeats(frame(b"p" * 100, PING, client=False)),
    "audio 170 times as fast": in_haste(audio(1.0), seconds=1.0),
}


class HostileEngine:
    """An engine's service whose every conversation begins well, and then is `flood`."""

    def __init__(self) -> None:
        self.base_url = ""
        self.flood: Flood = FLOODS["interruptions"]
        """Of the next conversation."""
        self.talks = 0
        """Conversations, finished ones too."""
        self.close_codes: list[int] = []
        """With which conversations were closed, in order."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[HostileEngine]:
        async with serve(
            self._converse, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1
        ) as server:
            self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _converse(self, socket: ServerConnection) -> None:
        self.talks += 1
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
            event = {
                "conversation_id": "conv_hostile",
                "agent_output_audio_format": "ulaw_8000",
                "user_input_audio_format": "ulaw_8000",
            }
            metadata = message("conversation_initiation_metadata", conversation_initiation_metadata_event=event)
            transport = socket.transport
            assert isinstance(transport, asyncio.Transport)
            transport.write(metadata)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.flood, transport)
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        await socket.recv()  # what the caller says
                tasks.cancel_scope.cancel()
        self.close_codes.append(socket.close_code or 1006)
