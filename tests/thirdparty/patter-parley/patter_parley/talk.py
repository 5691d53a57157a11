"""One conversation of the emulated service."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Mapping, Sequence

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.audio import AudioChunk
from patter_core.testing.echo_agent import EchoAgent, EchoVoice
from patter_parley import wire
from patter_parley.memory import Memory

__all__ = ["Talk"]

_ITEMS = 3
"""In how many items the agent says what it says."""
_CHUNK_MS = 200


class Talk(EchoVoice):
    """A conversation: what its agent says, and remembers.

    Args:
        socket: the client's.
        format_name: of its audio.
        first: the items of the first turn; by default what the agent would say.
        pace: speed of sending.
        tools: the names of those that its agent knows.
    """

    def __init__(
        self, socket: WebSocket, format_name: str, first: Sequence[bytes], pace: float, tools: Collection[str] = ()
    ) -> None:
        self.session_id = f"sess_{secrets.token_hex(8)}"
        self.format_name = format_name
        self.is_open = True
        self.has_begun = False
        self.response = ""
        """The one that is being made; "" if none is."""
        self._format = wire.FORMATS[format_name]
        self.memory = Memory(self._format)
        self.agent = EchoAgent(self, self._format, self._format)
        self._socket = socket
        self._first = list(first)
        self._pace = pace
        self.calls: set[str] = set()
        """The ids of the agent's calls of tools."""
        self._tools = tools
        self._heard = 0
        self._item = ""
        self._count = 0

    # --- the socket ------------------------------------------------------------------------------------------------

    async def send(self, message: wire.ServerMessage) -> None:
        """Sends a message of the service."""
        await self.send_raw(wire.encode(message).decode())

    async def send_raw(self, message: str | bytes) -> None:
        """Sends anything."""
        self._require_open()
        await (self._socket.send_text(message) if isinstance(message, str) else self._socket.send_bytes(message))

    async def receive(self) -> str:
        """Returns the client's next text."""
        self._require_open()
        return await self._socket.receive_text()

    async def close(self, code: int) -> None:
        """Closes the socket."""
        self.is_open = False
        await self._socket.close(code)

    def _require_open(self) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect

    # --- the agent -------------------------------------------------------------------------------------------------

    @property
    def speaking(self) -> bool:
        return True  # the service tells of all speech of the caller, whatever is playing

    def hear(self, audio: str) -> None:
        """Takes caller audio.

        Raises:
            AudioError: it is malformed.
        """
        chunk = AudioChunk.from_base64(audio, self._format)
        self._heard += chunk.size
        self.agent.hear(chunk.data)

    async def say(self, text: str, audio: bytes) -> None:
        size = self._format.size(self._format.duration_ms(len(audio)) // _ITEMS)
        items = self._first or [audio[:size], audio[size : 2 * size], audio[2 * size :]]
        self._first = []
        response = self.response = self._new_id("resp")
        await self.send(wire.ResponseCreated(response))
        for number, item in enumerate(items):
            await self._say_item(response, f"{text} ({number + 1} of {len(items)})", item)
        self.response = ""
        await self.send(wire.ResponseDone(response))

    async def _say_item(self, response: str, text: str, audio: bytes) -> None:
        await self._add_item(response)
        size = self._format.size(_CHUNK_MS)
        for start in range(0, len(audio), size):
            piece = audio[start : start + size]
            await self._send_audio(response, piece)
            await anyio.sleep(self._format.duration_ms(len(piece)) / 1000 / self._pace)
        await self.send(wire.Spoken(response, self._item, text))

    async def interrupt(self) -> None:
        response, self.response = self.response, ""
        await self.send(wire.SpeechStarted(round(self._format.duration_ms(self._heard))))
        if response:
            await self.send(wire.ResponseDone(response, "cancelled"))

    async def send_late(self, response: str) -> None:
        """Sends what was made of that response before it was cancelled: more of its last item, and one item more."""
        if response:
            await self._send_audio(response, self._format.silence * self._format.sample_rate)
            await self._add_item(response)
            await self._send_audio(response, self._format.silence * self._format.sample_rate)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        """Calls a tool, if the agent knows it."""
        if name in self._tools:
            call = wire.FunctionCall(self._new_id("call"), name, msgspec.json.encode(arguments).decode())
            self.calls.add(call.call_id)
            await self.send(wire.ItemDone(self.response, call))

    async def user_said(self, text: str) -> None:
        await self.send(wire.SpeechStopped(round(self._format.duration_ms(self._heard))))
        await self.send(wire.Transcribed(text))

    async def answer(self, refusal: str) -> None:
        """Tells the client why something was not done, if it was not."""
        if refusal:
            await self.send(wire.Refused(refusal))

    async def _add_item(self, response: str) -> None:
        self._item = self._new_id("item")
        self.memory.say(self._item, b"")
        await self.send(wire.ItemAdded(response, self._item))

    async def _send_audio(self, response: str, audio: bytes) -> None:
        self.memory.say(self._item, audio)
        await self.send(wire.AudioDelta(response, self._item, base64.b64encode(audio).decode()))

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"
