"""A live conversation: the messages of its socket, as audio and events for one consumer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import EngineSession
from patter_core.errors import AudioError, EngineError, SocketClosed
from patter_core.events import EngineEvent, Error, ToolCall, ToolResult, TranscriptInput, Usage
from patter_core.net.inbox import EngineInbox
from patter_core.net.websocket import EngineSocket
from patter_core.observe.terminal import counted
from patter_elevenlabs import wire
from patter_elevenlabs.close_codes import error_for
from patter_elevenlabs.prices import agent_usage
from patter_elevenlabs.turns import Turns

__all__ = ["ConvAISession"]

_log = logging.getLogger("patter.elevenlabs")

_UNANSWERED_LIMIT = 1_000
"""Tool calls without response that may run: more than the core runs at once."""


class ConvAISession(EngineSession):
    """A conversation whose metadata has arrived. Made by `open_session`.

    The socket calls it with each message as it is read, not when the consumer of `events()` takes it, so that pings are
    answered at once and an interruption overtakes the audio that it makes void.
    """

    def __init__(
        self,
        socket: EngineSocket,
        decoder: wire.Decoder,
        *,
        conversation_id: str,
        input_format: AudioFormat,
        output_format: AudioFormat,
        dtmf_as_message: bool = False,
    ) -> None:
        self._socket = socket
        self._decoder = decoder
        self._conversation_id = conversation_id
        self._input_format = input_format
        self._output_format = output_format
        self._dtmf_as_message = dtmf_as_message
        self._turns = Turns()
        self._inbox: EngineInbox[int | None] = EngineInbox()
        self._unanswered: dict[str, None] = {}
        """The ids of tool calls for which the service expects no response."""
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._ended_at: float | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        socket.deliver(self._on_message, self._on_closed)

    @property
    def conversation_id(self) -> str:
        return self._conversation_id

    @property
    def input_format(self) -> AudioFormat:
        return self._input_format

    @property
    def output_format(self) -> AudioFormat:
        return self._output_format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    @property
    def output_dropped(self) -> int:
        """Chunks of agent audio, and then events, that were dropped because the consumer did not take them."""
        return self._inbox.dropped

    @property
    def anomalies(self) -> Counter[wire.Anomaly]:
        """Counts of what the service sent that it should not."""
        return self._decoder.anomalies

    def send_audio(self, chunk: AudioChunk) -> None:
        self._socket.send_audio(wire.encode_audio(chunk.base64))

    def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        return self._inbox

    def send_dtmf(self, digit: str) -> None:
        if self._dtmf_as_message:
            self.send_user_message(digit)
        else:
            self.add_context(f"The caller pressed the key {digit} on the phone.")

    def add_context(self, text: str) -> None:
        self._send(wire.ContextualUpdate(text=text))

    def send_user_message(self, text: str) -> None:
        """Sends text in the user's place. The agent answers it."""
        self._send(wire.UserMessage(text=text))

    def send_tool_result(self, result: ToolResult) -> None:
        if result.id in self._unanswered:
            del self._unanswered[result.id]
        else:
            self._send(wire.ToolResult(tool_call_id=result.id, result=result.result, is_error=result.failed))

    def report(self, event: EngineEvent) -> None:
        """Puts an event among those of `events()`: for a program that runs tools itself."""
        self._inbox.put(event)

    def user_activity(self) -> None:
        """Tells the agent that the user is present, so that it does not prompt them."""
        self._send(wire.UserActivity())

    def send_feedback(self, *, like: bool, turn: str = "") -> None:
        """Rates a turn of the agent.

        Args:
            like: the rating.
            turn: as in `TranscriptOutput`; if empty, the latest, if there is one.
        """
        turn = turn or self._turns.latest
        if turn:
            event_id = int(turn) if turn.isdecimal() else turn
            self._send(wire.Feedback(event_id=event_id, score="like" if like else "dislike"))

    def unbilled(self) -> Sequence[Usage]:
        """Returns how long the conversation lasted: the service tells nothing of what it bills."""
        ended_at = self._loop.time() if self._ended_at is None else self._ended_at
        return [agent_usage(ended_at - self._began_at)]

    async def aclose(self) -> None:
        self._inbox.close()
        self._finish()
        await self._socket.aclose()

    # --- received messages -----------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        try:
            message = self._decoder.decode(text)
            if type(message) is wire.Audio:
                self._on_audio(message.event)
            else:
                self._on_other(message)
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one conversation, and is logged
            _log.exception("Conversation %s: a message from ElevenLabs could not be handled.", self._conversation_id)
            self._socket.deliver(_ignore, _ignore)
            self._finish(
                EngineError(
                    "A message from ElevenLabs could not be handled.",
                    remedy="This is a bug. Report it with the traceback in the log.",
                )
            )

    def _on_audio(self, event: wire.AudioEvent) -> None:
        event_id = event.event_id
        if type(event_id) is not int:
            event_id = self._decoder.number(event_id)
        if self._turns.is_void(event_id):
            return
        try:
            chunk = AudioChunk.from_base64(event.base64, self._output_format)
        except AudioError:
            self._decoder.anomalies[wire.Anomaly.BAD_AUDIO] += 1
            return
        if not chunk.size:
            return
        before = self._turns.audio(event_id, self._loop.time())
        if before:
            self._emit(before)
            self._watch_silence()
        self._inbox.put_audio(chunk, event_id)

    def _on_other(self, message: wire.ServerMessage | wire.Ignored) -> None:
        number = self._decoder.number
        match message:
            case wire.Ping(event=ping):
                self._send(wire.Pong(event_id=ping.event_id))
            case wire.Interruption(event=event):
                events = self._turns.interruption(number(event.event_id))
                self._inbox.discard_audio(self._turns.is_void)
                self._emit(events)
            case wire.UserTranscript(event=heard):
                self._inbox.put(TranscriptInput(heard.text))
            case wire.AgentResponse(event=said):
                self._emit(self._turns.agent_response(said.text, number(said.event_id), self._loop.time()))
                self._watch_silence()
            case wire.Correction(event=corrected):
                event_id = number(corrected.event_id)
                self._emit(self._turns.correction(corrected.text, corrected.original, event_id))
            case wire.ToolCall(event=call):
                self._on_tool_call(call)
            case wire.Error() as error:
                self._inbox.put(Error(error.text, error.label))
            case _:  # repeated metadata, or an ignored type
                pass

    def _on_tool_call(self, call: wire.ToolCallEvent) -> None:
        if call.expects_response is False:
            self._unanswered[call.tool_call_id] = None
            if len(self._unanswered) > _UNANSWERED_LIMIT:
                del self._unanswered[next(iter(self._unanswered))]
        parameters = bytes(call.parameters).decode(errors="replace")
        self._inbox.put(ToolCall(call.tool_call_id, call.tool_name, parameters))

    def _on_closed(self, closed: SocketClosed) -> None:
        self._finish(error_for(closed.code, closed.reason))

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the service or the user ended the conversation, or it failed. The first call counts."""
        if self._ended_at is not None:
            return
        self._ended_at = self._loop.time()
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        self._emit(self._turns.finish())
        self._inbox.close(error)
        if self.anomalies:
            _log.warning("Conversation %s: anomalies: %s.", self._conversation_id, wire.describe(self.anomalies))
        if self.output_dropped:
            _log.warning(
                "Conversation %s: the agent's output was not taken in time, and %s dropped.",
                self._conversation_id,
                counted(self.output_dropped, "chunk or event was", "chunks or events were"),
            )

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _send(self, message: wire.ClientMessage) -> None:
        self._socket.send(wire.encode(message))

    def _emit(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            self._inbox.put(event)

    def _watch_silence(self) -> None:
        """Keeps one timer for a whole response: it checks when the silence is due, and again if audio came since."""
        due = self._turns.due
        if self._silence_timer is None and due is not None:
            self._silence_timer = self._loop.call_at(due, self._check_silence)

    def _check_silence(self) -> None:
        self._silence_timer = None
        self._emit(self._turns.elapsed(self._loop.time()))
        self._watch_silence()


def _ignore(_: object) -> None:
    """Called with what arrives after a failure."""
