"""A live session: the messages of its socket, as audio and events for one consumer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import EngineSession, Heard
from patter_core.errors import EngineError, SocketClosed
from patter_core.events import EngineEvent, Interruption, SessionExpiring, ToolResult, Usage
from patter_core.net.inbox import EngineInbox
from patter_core.net.websocket import EngineSocket
from patter_core.observe.terminal import counted
from patter_openai import wire
from patter_openai.dialogue import Dialogue, Step
from patter_openai.failures import closed
from patter_openai.memory import SpokenItem
from patter_openai.prompts import note, say_instructions

__all__ = ["RENEW_BEFORE", "RealtimeSession", "SessionOptions"]

_log = logging.getLogger("patter.openai")

RENEW_BEFORE = 120.0
"""Seconds before its end at which a session is to be followed by another; half of its life if it is shorter."""
_LOW = 0.05
"""The share of a rate limit at which the log says that it is nearly used up."""


class SessionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is opened with, and has to know of it."""

    model: str
    transcription_model: str
    format: AudioFormat
    """Of the audio in both directions."""
    instructions: str
    interrupts: bool
    dtmf_as_message: bool
    lifetime: float = 3_600.0
    """Seconds that the service gives it, from now on."""


class RealtimeSession(EngineSession):
    """A session that is configured. Made by `open_session`.

    The socket calls it with each message as it is read, not when the consumer of `events()` takes it, so that an
    interruption overtakes the audio that it makes void.
    """

    def __init__(
        self, socket: EngineSocket, decoder: wire.Decoder, options: SessionOptions, *, conversation_id: str
    ) -> None:
        self._socket = socket
        self._decoder = decoder
        self._options = options
        self._conversation_id = conversation_id
        self._dialogue = Dialogue(
            model=options.model,
            transcription_model=options.transcription_model,
            output_format=options.format,
            interrupts=options.interrupts,
            anomalies=decoder.anomalies,
        )
        self._inbox: EngineInbox[SpokenItem] = EngineInbox(_taken)
        self._over = False
        self._low_limits: set[str] = set()
        lead = min(RENEW_BEFORE, options.lifetime / 2)
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(options.lifetime - lead, self._inbox.put, SessionExpiring(lead))
        socket.deliver(self._on_message, self._on_closed)

    @property
    def conversation_id(self) -> str:
        return self._conversation_id

    @property
    def input_format(self) -> AudioFormat:
        return self._options.format

    @property
    def output_format(self) -> AudioFormat:
        return self._options.format

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

    def heard(self, heard: Heard) -> None:
        if heard.interrupted and heard.turn:
            self._inbox.discard_audio(lambda item: item.response == heard.turn)
        self._do(self._dialogue.heard(heard))

    def say(self, text: str) -> None:
        self._do(self._dialogue.ask(self._saying(text)))

    def send_tool_result(self, result: ToolResult) -> None:
        self._do(self._dialogue.tool_result(result))

    def send_user_message(self, text: str) -> None:
        self._do(self._dialogue.text(text))

    def add_context(self, text: str) -> None:
        self._send(wire.ItemCreate(item=wire.message_item("user", note(text))))

    def send_dtmf(self, digit: str) -> None:
        text = f"The caller pressed the key {digit} on the phone."
        if self._options.dtmf_as_message:
            self._do(self._dialogue.text(note(text)))
        else:
            self.add_context(text)

    def unbilled(self) -> Sequence[Usage]:
        return self._inbox.remove(Usage)

    async def aclose(self) -> None:
        self._inbox.close()
        self._finish()
        await self._socket.aclose()

    # --- received messages -----------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        try:
            message = self._decoder.decode(text)
            if type(message) is wire.AudioDelta:
                if (audio := self._dialogue.audio(message)) is not None:
                    events, chunk, item = audio
                    if events:
                        self._do(events)
                    self._inbox.put_audio(chunk, item)
            elif type(message) is wire.RateLimits:
                self._note_limits(message)
            else:
                self._do(self._dialogue.take(message))
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            _log.exception("Session %s: a message from OpenAI could not be handled.", self._conversation_id)
            self._socket.deliver(_ignore, _ignore)
            self._finish(
                EngineError(
                    "A message from OpenAI could not be handled.",
                    remedy="This is a bug. Report it with the traceback in the log.",
                )
            )

    def _do(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, EngineEvent):
                if type(step) is Interruption:
                    self._inbox.discard_audio(lambda _: True)
                self._inbox.put(step)
            elif isinstance(step, EngineError):
                self._finish(step)
            else:
                self._send(step)

    def _on_closed(self, told: SocketClosed) -> None:
        self._finish(closed(told.code, told.reason, self._dialogue.last_error))

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the user ended the session, or it failed. The first call counts."""
        if self._over:
            return
        self._over = True
        self._expiry.cancel()
        for event in self._dialogue.finish():
            self._inbox.put(event)
        self._inbox.close(error)
        if self.anomalies:
            _log.warning("Session %s: anomalies: %s.", self._conversation_id, wire.describe(self.anomalies))
        if self.output_dropped:
            _log.warning(
                "Session %s: the agent's output was not taken in time, and %s dropped.",
                self._conversation_id,
                counted(self.output_dropped, "chunk or event was", "chunks or events were"),
            )

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _saying(self, text: str) -> wire.ResponseParameters:
        return wire.ResponseParameters(
            instructions=say_instructions(self._options.instructions, text), tool_choice="none"
        )

    def _send(self, message: wire.ClientMessage) -> None:
        self._socket.send(wire.encode(message))

    def _note_limits(self, message: wire.RateLimits) -> None:
        """Logs a rate limit that is nearly used up, once a session."""
        for limit in message.rate_limits:
            name, most, left = limit.name or "", limit.limit or 0, limit.remaining
            if left is not None and left < most * _LOW and name not in self._low_limits:
                self._low_limits.add(name)
                _log.warning(
                    "OpenAI's rate limit of %s is nearly used up: %d of %d are left for %.0f s.",
                    "requests" if name == "requests" else "tokens",
                    left,
                    most,
                    limit.reset_seconds or 0.0,
                )


def _taken(item: SpokenItem) -> None:
    item.is_taken = True


def _ignore(_: object) -> None:
    """Called with what arrives after a failure."""
