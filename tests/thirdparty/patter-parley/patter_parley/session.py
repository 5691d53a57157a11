"""A conversation at Parley. The model believes that all it said was heard, unless it is told otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import EngineSession, Heard
from patter_core.errors import AudioError, SocketClosed
from patter_core.events import (
    EngineEvent,
    Error,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.net.websocket import EngineSocket
from patter_parley import wire
from patter_parley.items import output_of

__all__ = ["ParleySession"]

_ROUNDING_MS = 1
"""What is heard counts in the carrier's samples, what was given in Parley's."""


class ParleySession(EngineSession):
    """A response is a turn of several items. What is void is told item by item, once the core says what was heard."""

    def __init__(self, socket: EngineSocket, session_id: str, format: AudioFormat) -> None:
        self._socket = socket
        self._session_id = session_id
        self._format = format
        self._closed = False
        self._response = ""
        """The one that is being made."""
        self._void = ""
        """The one that was being made when the caller spoke: its audio is on its way."""
        self._given: dict[str, dict[str, int]] = {}
        """By response and item, how many bytes of it were given to the core, of turns whose end was not heard yet."""
        self._calls: set[str] = set()
        """Of tools, whose output is not there yet."""

    @property
    def conversation_id(self) -> str:
        return self._session_id

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        self._socket.send_audio(wire.encode(wire.Append(chunk.base64)))

    def say(self, text: str) -> None:
        self._send(wire.CreateResponse(f"Tell the caller: {text}"))

    def send_user_message(self, text: str) -> None:
        self._send(wire.CreateItem(wire.Message("user", text)))

    def send_tool_result(self, result: ToolResult) -> None:
        """Sends the output. Once no other one is missing, the agent goes on: not by itself."""
        self._send(wire.CreateItem(output_of(result)))
        self._calls.discard(result.id)
        if not self._calls:
            self._send(wire.CreateResponse())

    def heard(self, heard: Heard) -> None:
        """Cuts the model's memory of a turn that was not heard to its end."""
        given = self._given.pop(heard.turn, {})
        if not heard.interrupted:
            return
        heard_ms = {item.item: item.heard_ms for item in heard.items}
        last = next(reversed(given), "") if heard.turn == self._void else ""
        for item, size in given.items():
            length_ms = self._format.duration_ms(size)
            ms = min(heard_ms.get(item, 0.0), length_ms)
            if ms < 1:
                self._send(wire.DeleteItem(item))
            elif ms < length_ms - _ROUNDING_MS or item == last:  # of the last one there is more, which was not given
                self._send(wire.TruncateItem(item, int(ms)))

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        while True:
            try:
                text = await self._socket.receive()
            except SocketClosed as closed:
                if closed.code == 1000 or self._closed:
                    return
                raise
            for event in self._events_of(wire.read_server(text)):
                yield event

    async def aclose(self) -> None:
        self._closed = True
        await self._socket.aclose()

    def _events_of(self, message: wire.ServerMessage | None) -> list[AudioChunk | EngineEvent]:
        match message:
            case wire.AudioDelta() if message.response_id == self._response:
                return self._audio(message)
            case wire.ResponseCreated(response_id=response):
                self._response = response
                self._given[response] = {}
                return [ResponseStart(turn=response)]
            case wire.ItemAdded() | wire.ItemDone():
                return self._item(message)
            case wire.Spoken(response_id=response, transcript=text) if response == self._response:
                return [TranscriptOutput(text, response)]
            case wire.ResponseDone(response_id=response) if response == self._response:
                self._response = ""
                return [ResponseDone(response)]
            case wire.SpeechStarted(audio_start_ms=at):
                self._void, self._response = self._response, ""
                self._forget_silent(self._void)
                return [SpeechStarted(at), Interruption(self._void)]
            case wire.SpeechStopped(audio_end_ms=at):
                return [SpeechStopped(at)]
            case wire.Transcribed(transcript=text):
                return [TranscriptInput(text)]
            case wire.Refused(message=text):
                return [Error("Parley refused something.", text)]
            case _:
                return []

    def _forget_silent(self, response: str) -> None:
        """Deletes items without audio: the core does not know of them."""
        given = self._given.get(response, {})
        for item in [item for item, size in given.items() if not size]:
            del given[item]
            self._send(wire.DeleteItem(item))

    def _item(self, message: wire.ItemAdded | wire.ItemDone) -> list[AudioChunk | EngineEvent]:
        if isinstance(message, wire.ItemDone):
            call = message.item
            self._calls.add(call.call_id)
            return [ToolCall(call.call_id, call.name, call.arguments)]
        response, item = message.response_id, message.item_id
        if response == self._response:
            self._given[response][item] = 0
            return [SpeechItem(item=item, turn=response)]
        self._send(wire.DeleteItem(item))  # made before the model knew that the caller speaks
        return []

    def _audio(self, message: wire.AudioDelta) -> list[AudioChunk | EngineEvent]:
        items = self._given.get(message.response_id, {})
        try:
            chunk = AudioChunk.from_base64(message.delta, self._format)
        except AudioError:
            return []
        if message.item_id not in items:
            return []
        items[message.item_id] += chunk.size
        return [chunk]

    def _send(self, message: wire.ClientMessage) -> None:
        self._socket.send(wire.encode(message))
