"""A live conversation: what its socket delivers, and what that is to whoever listens."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import EngineSession
from patter_core.errors import AudioError, EngineError, SocketClosed
from patter_core.events import EngineEvent, Error, TranscriptInput
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs import wire
from patter_elevenlabs.close_codes import ending
from patter_elevenlabs.inbox import Inbox
from patter_elevenlabs.toolrunner import ToolRunner
from patter_elevenlabs.tools import Toolbox
from patter_elevenlabs.turns import Turns

__all__ = ["ConvAISession"]

_logger = logging.getLogger(__name__)


class ConvAISession(EngineSession):
    """A conversation whose metadata has come. Made by `open_session`.

    It is told each message as the socket reads it, whatever the consumer of `events()` does, so that pings are answered
    at once and an interruption overtakes the audio that it makes void.
    """

    def __init__(
        self,
        socket: EngineSocket,
        decoder: wire.Decoder,
        *,
        conversation_id: str,
        input_format: AudioFormat,
        output_format: AudioFormat,
        toolbox: Toolbox,
        dtmf_as_message: bool = False,
    ) -> None:
        self._socket = socket
        self._decoder = decoder
        self._conversation_id = conversation_id
        self._input_format = input_format
        self._output_format = output_format
        self._dtmf_as_message = dtmf_as_message
        self._turns = Turns()
        self._inbox = Inbox(self._turns.is_void)
        self._tools = ToolRunner(toolbox, socket.send, self._inbox.put)
        self._loop = asyncio.get_running_loop()
        self._silence: asyncio.TimerHandle | None = None
        self._over = False
        socket.deliver(self._take, self._closed)

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
        """How much of the agent's audio, and only then of its events, was dropped as nobody took it."""
        return self._inbox.dropped

    @property
    def oddities(self) -> Counter[wire.Oddity]:
        """What the service sent that was not as it should be, counted."""
        return self._decoder.oddities

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
        """Say something in the user's place, as text: the agent answers it."""
        self._send(wire.UserMessage(text=text))

    def user_activity(self) -> None:
        """Tell the agent that the user is there, so that it does not prompt him."""
        self._send(wire.UserActivity())

    def send_feedback(self, *, like: bool, turn: str = "") -> None:
        """Rate what the agent said in that turn, as told by `TranscriptOutput`, or in its latest, if there is one."""
        turn = turn or self._turns.latest
        if turn:
            event_id = int(turn) if turn.isdecimal() else turn
            self._send(wire.Feedback(event_id=event_id, score="like" if like else "dislike"))

    async def aclose(self) -> None:
        self._inbox.end()
        self._finish()
        await self._socket.aclose()
        await self._tools.aclose()

    # --- what arrives ----------------------------------------------------------------------------------------------

    def _take(self, text: bytes) -> None:
        try:
            message = self._decoder.decode(text)
            if type(message) is wire.Audio:
                self._take_audio(message.event)
            else:
                self._take_other(message)
        except Exception:  # the boundary of a call: a fault of ours ends one conversation, and tells its story
            _logger.exception("A fault in reading from ElevenLabs ended conversation %s.", self._conversation_id)
            self._socket.deliver(_ignore, _ignore)
            self._finish(EngineError("Reading from ElevenLabs failed.", remedy="This is a fault of ours: see the log."))

    def _take_audio(self, event: wire.AudioEvent) -> None:
        number = event.event_id
        if type(number) is not int:
            number = self._decoder.number(number)
        if self._turns.is_void(number):
            return
        try:
            chunk = AudioChunk.from_base64(event.base64, self._output_format)
        except AudioError:
            self._decoder.oddities[wire.Oddity.BAD_AUDIO] += 1
            return
        if not chunk.size:
            return
        before = self._turns.audio(number, self._loop.time())
        if before:
            self._tell(before)
            self._watch_silence()
        self._inbox.put(chunk, number)

    def _take_other(self, message: wire.ServerMessage | wire.Ignored) -> None:
        number = self._decoder.number
        match message:
            case wire.Ping(event=ping):
                self._send(wire.Pong(event_id=ping.event_id))
            case wire.Interruption(event=event):
                self._tell(self._turns.interruption(number(event.event_id)))
            case wire.UserTranscript(event=heard):
                self._inbox.put(TranscriptInput(heard.text))
            case wire.AgentResponse(event=said):
                self._tell(self._turns.agent_response(said.text, number(said.event_id), self._loop.time()))
                self._watch_silence()
            case wire.Correction(event=really):
                self._tell(self._turns.correction(really.text, really.original, number(really.event_id)))
            case wire.ToolCall(event=call):
                self._tools.start(call)
            case wire.Error() as error:
                self._inbox.put(Error(error.text, error.label))
            case _:  # metadata again, or what is passed over
                pass

    def _closed(self, closed: SocketClosed) -> None:
        self._finish(ending(closed.code, closed.reason))

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing more comes: by the service's will, by ours, or by a fault. Only the first time counts."""
        if self._over:
            return
        self._over = True
        if self._silence is not None:
            self._silence.cancel()
        self._tell(self._turns.finish())
        self._inbox.end(error)
        if self.oddities:
            _logger.info("Oddities of ElevenLabs in conversation %s: %s", self._conversation_id, self._odd_list())

    # --- means -----------------------------------------------------------------------------------------------------

    def _send(self, message: wire.ClientMessage) -> None:
        self._socket.send(wire.encode(message))

    def _tell(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            self._inbox.put(event)

    def _watch_silence(self) -> None:
        """One timer for a whole response: it looks when the silence might be over, and again if audio came since."""
        due = self._turns.due
        if self._silence is None and due is not None:
            self._silence = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._silence = None
        self._tell(self._turns.elapsed(self._loop.time()))
        self._watch_silence()

    def _odd_list(self) -> str:
        return ", ".join(f"{count} × {oddity.value}" for oddity, count in sorted(self.oddities.items()))


def _ignore(_: object) -> None:
    """What comes after a fault of ours."""
