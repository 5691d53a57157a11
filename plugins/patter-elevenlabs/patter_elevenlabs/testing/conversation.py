"""One conversation of the emulated service: its record, for tests, and its actions, for agents."""

from __future__ import annotations

import binascii
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NoReturn

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.testing.voice import spoken
from patter_elevenlabs import wire

__all__ = ["Conversation", "ConversationOver", "ConversationSocket"]


_CLOSE_TIMEOUT = 5.0
"""Seconds for the close frame to follow what was sent before it."""


class ConversationOver(Exception):
    """The conversation is closed, by either side. The emulator catches this."""


class ConversationSocket(msgspec.Struct, frozen=True):
    """The functions of the socket that a conversation needs."""

    send: Callable[[str | bytes], Awaitable[None]]
    """As a text or a binary message."""
    close: Callable[[int, str], Awaitable[None]]


class Conversation:
    """The record of a conversation, and the actions of its agent.

    Times are the event loop's. `heard` is the caller audio that arrived; `said` the agent audio that was sent, by event
    id.
    """

    def __init__(
        self,
        socket: ConversationSocket,
        *,
        conversation_id: str,
        input_format: AudioFormat,
        output_format: AudioFormat,
        client_events: frozenset[str],
        chunk_ms: float,
        pace: float,
    ) -> None:
        self.conversation_id = conversation_id
        self.input_format = input_format
        self.output_format = output_format
        self.initiation = wire.Initiation()
        """The client's first message."""
        self.initiation_json = b""
        """The same, as received."""
        self.ready = False
        """The metadata was sent."""
        self.heard = bytearray()
        """Every byte of caller audio, in order."""
        self.heard_sizes: list[int] = []
        """The size of each message with caller audio, in bytes."""
        self.said: dict[int, bytearray] = {}
        """Every byte of agent audio, by event id, in the order of sending."""
        self.messages: list[wire.ClientMessage] = []
        """All messages of the client except audio and the initiation."""
        self.pings: dict[wire.EventId, float] = {}
        """When each ping was sent."""
        self.pongs: dict[wire.EventId, float] = {}
        """When each was answered."""
        self.tool_calls: dict[str, wire.ToolCallEvent] = {}
        """By the id of the tool call."""
        self.tool_results: dict[str, wire.ToolResult] = {}
        """The client's results, the first of each tool call."""
        self.interruptions: list[int] = []
        """Event ids."""
        self.close_code: int | None = None
        """None while it is open; 1006 if there was no close frame."""
        self.close_reason = ""
        self.closed_by = ""
        """`client` or `service`."""
        self._socket = socket
        self._client_events = client_events
        self._chunk_ms = chunk_ms
        self._pace = pace
        self._last_id = 0
        self._live_id: int | None = None
        self._playing_until = -math.inf
        self._speech: anyio.CancelScope | None = None
        self._response: tuple[int, str, float] | None = None
        self._changes = Changes()
        self._deaf = False

    # --- state -----------------------------------------------------------------------------------------------------

    @property
    def agent_audio(self) -> bytes:
        """All agent audio, in order."""
        return b"".join(bytes(self.said[event_id]) for event_id in self.said)

    @property
    def unplayed_ms(self) -> float:
        """Length of the audio that was sent and cannot have been played yet."""
        return max(0.0, self._playing_until - anyio.current_time()) * 1000

    @property
    def speaking(self) -> bool:
        """True while sent audio is still playing."""
        return self.unplayed_ms > 0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the record of the conversation makes `condition` true."""
        await self._changes.wait_until(condition)

    async def caller_audio(self) -> AsyncIterator[bytes]:
        """Yields the caller's audio, piece by piece, from the beginning."""
        taken = 0
        while True:
            await self.until(lambda: len(self.heard) > taken)  # noqa: B023 - meant to see it grow
            piece = bytes(memoryview(self.heard)[taken:])
            taken += len(piece)
            yield piece

    # --- actions ---------------------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """Returns the next event id."""
        self._last_id += 1
        return self._last_id

    async def send(self, message: wire.ServerMessage | str | bytes) -> None:
        """Sends a message, any text, or a binary frame. Messages that are not in `client_events` are not sent.

        Raises:
            ConversationOver: the conversation is closed.
        """
        if self.close_code is not None:
            raise ConversationOver
        if isinstance(message, wire.ToolCall):
            self.tool_calls[message.event.tool_call_id] = message.event
        if isinstance(message, str | bytes):
            await self._socket.send(message)
        elif message.__struct_config__.tag in self._client_events or isinstance(message, wire.Error | wire.ToolCall):
            await self._socket.send(msgspec.json.encode(message).decode())

    async def send_metadata(self) -> None:
        """Sends the metadata: the conversation is ready for audio."""
        event = wire.MetadataEvent(
            conversation_id=self.conversation_id,
            agent_output_audio_format=str(self.output_format),
            user_input_audio_format=str(self.input_format),
        )
        self.ready = True
        await self.send(wire.Metadata(event))

    async def send_audio(self, audio: bytes, event_id: int) -> None:
        """Sends agent audio, and notes until when it plays."""
        base64 = binascii.b2a_base64(audio, newline=False).decode()
        await self.send(wire.Audio(wire.AudioEvent(base64=base64, event_id=event_id)))
        self.said.setdefault(event_id, bytearray()).extend(audio)
        start = max(self._playing_until, anyio.current_time())
        self._playing_until = start + self.output_format.duration_ms(len(audio)) / 1000
        self.notify()

    async def say(self, text: str, audio: bytes | None = None) -> None:
        """Speaks a turn, faster than it plays, until all is sent or `interrupt` stops it.

        Args:
            text: what is said.
            audio: in the output format; None for a voice of this machine (`spoken`).
        """
        if audio is None:
            audio = await spoken(text, self.output_format)
        event_id = self._live_id or self.new_id()
        self._live_id = None
        self._response = (event_id, text, self.output_format.duration_ms(len(audio)))
        await self.send(wire.AgentResponse(wire.AgentResponseEvent(text=text, event_id=event_id)))
        size = self.output_format.size(self._chunk_ms)
        with anyio.CancelScope() as self._speech:
            for start in range(0, len(audio), size):
                piece = audio[start : start + size]
                await self.send_audio(piece, event_id)
                await anyio.sleep(self.output_format.duration_ms(len(piece)) / 1000 / self._pace)

    async def interrupt(self) -> None:
        """Stops speaking, and sends an interruption. The next turn has its event id, which is live."""
        if self._speech is not None:
            self._speech.cancel()
        unplayed, self._playing_until = self.unplayed_ms, -math.inf
        event_id = self._live_id = self.new_id()
        self.interruptions.append(event_id)
        await self.send(wire.Interruption(wire.Numbered(event_id=event_id)))
        if self._response is not None:
            spoken_id, text, whole_ms = self._response
            sent_ms = self.output_format.duration_ms(len(self.said.get(spoken_id, b"")))
            said = _beginning(text, (sent_ms - unplayed) / whole_ms if whole_ms else 0.0)
            correction = wire.CorrectionEvent(text=said, original=text, event_id=spoken_id)
            await self.send(wire.Correction(correction))
        self.notify()

    async def send_late_audio(self) -> None:
        """Sends audio of the turn that was spoken last, as if it had been on its way when that was interrupted."""
        if self._response is not None:
            spoken_id, _, _ = self._response
            late = self.output_format.silence * round(self.output_format.sample_rate * self._chunk_ms / 1000)
            base64 = binascii.b2a_base64(late, newline=False).decode()
            await self.send(wire.Audio(wire.AudioEvent(base64=base64, event_id=spoken_id)))

    async def ping(self) -> None:
        """Sends a ping."""
        event_id = self.new_id()
        latency = self._latency_ms()
        self.pings[event_id] = anyio.current_time()
        await self.send(wire.Ping(wire.PingEvent(event_id=event_id, ping_ms=latency)))

    async def call_tool(self, name: str, parameters: Mapping[str, object] | None = None) -> wire.ToolResult:
        """Calls a client tool, and waits for its result."""
        call_id = await self.send_tool_call(name, parameters or {})
        await self.until(lambda: call_id in self.tool_results)
        return self.tool_results[call_id]

    async def send_tool_call(self, name: str, parameters: Mapping[str, object]) -> str:
        """Calls a client tool. Returns the id of the call, under which its result will be in `tool_results`."""
        call_id = f"call_{len(self.tool_calls)}"
        raw = msgspec.Raw(msgspec.json.encode(parameters))
        event = wire.ToolCallEvent(tool_name=name, tool_call_id=call_id, parameters=raw, event_id=self.new_id())
        await self.send(wire.ToolCall(event))
        return call_id

    def stop_reading(self) -> None:
        """Stops reading from the socket, as a service that hangs. One message may still be read."""
        self._deaf = True

    def resume_reading(self) -> None:
        """Reads from the socket again."""
        self._deaf = False
        self.notify()

    async def readable(self) -> None:
        """Waits while reading is stopped."""
        if self._deaf:
            await self.until(lambda: not self._deaf)

    def abort(self) -> NoReturn:
        """Drops the connection without a close frame (code 1006 at the client).

        The server does that to the connection of an app that returns without closing it.

        Raises:
            ConversationOver: always.
        """
        self.over(1006, "", by="service")
        raise ConversationOver

    async def close(self, code: int, reason: str = "") -> NoReturn:
        """Closes the conversation.

        Raises:
            ConversationOver: always, which ends the agent's script.
        """
        if self.close_code is None:
            self.over(code, reason, by="service")
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):  # its tasks may be cancelled meanwhile
                await self._socket.close(code, reason)
        raise ConversationOver

    async def abandon(self) -> None:
        """Closes the conversation after its script failed, as the service does after an internal error."""
        with contextlib.suppress(ConversationOver):
            await self.close(1011, "Internal error")

    # --- called by the emulator ------------------------------------------------------------------------------------

    def hear(self, audio: bytes) -> None:
        """Records caller audio."""
        self.heard += audio
        self.heard_sizes.append(len(audio))
        self.notify()

    def note(self, message: wire.ClientMessage) -> None:
        """Records another message of the client."""
        if isinstance(message, wire.Pong):
            self.pongs.setdefault(message.event_id, anyio.current_time())
        elif isinstance(message, wire.ToolResult):
            self.tool_results.setdefault(message.tool_call_id, message)
        self.messages.append(message)
        self.notify()

    def over(self, code: int, reason: str, *, by: str) -> None:
        """Records the end. Only the first call counts."""
        if self.close_code is None:
            self.close_code, self.close_reason, self.closed_by = code, reason, by
            self.notify()

    def notify(self) -> None:
        """Wakes the tasks that wait in `until`."""
        self._changes.notify()

    def _latency_ms(self) -> float | None:
        if not self.pongs:
            return None
        event_id = next(reversed(self.pongs))
        return (self.pongs[event_id] - self.pings[event_id]) * 1000


def _beginning(text: str, share: float) -> str:
    """Returns the words that were heard."""
    words = text.split()
    heard = words[: int(len(words) * max(0.0, share))]
    return " ".join(heard) + "…" if len(heard) < len(words) else text
