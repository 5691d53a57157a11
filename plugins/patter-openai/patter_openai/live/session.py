"""A live session without turns: its messages, as audio and events for one consumer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import EngineSession
from patter_core.errors import AudioError, EngineError, EngineLost, EngineRefused, SocketClosed
from patter_core.events import (
    EngineEvent,
    Error,
    SessionExpiring,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.net.inbox import EngineInbox
from patter_core.net.websocket import EngineSocket
from patter_openai.failures import closed, fatal
from patter_openai.live import wire
from patter_openai.live.calls import Calls
from patter_openai.live.transcripts import GAP_MS, Gathered, Gatherer
from patter_openai.prices import live_usage
from patter_openai.session import RENEW_BEFORE
from patter_openai.wire import Anomaly, ServiceError, describe

__all__ = ["LiveSession"]

_log = logging.getLogger("patter.openai")

_GREET_AGAIN = 4.0
"""Seconds without a word after which the first message is asked for once more: a session sometimes never speaks."""
_ALONE = "This cannot be looked up or done here. Go on with what you know."
"""What answers a task that the model hands to its client, which it may do where it has no tools: it waits for that."""
_HARMLESS = frozenset({"context_injection_incomplete"})


class LiveSession(EngineSession):
    """A session that has started. Made by `open_session`.

    Args:
        socket: of the session.
        decoder: its messages, and their anomalies.
        info: what the service says of it.
        format: of the audio in both directions.
        lifetime: s until the service ends it.
    """

    def __init__(
        self,
        socket: EngineSocket,
        decoder: wire.Decoder,
        info: wire.SessionInfo,
        *,
        format: AudioFormat,
        lifetime: float,
    ) -> None:
        self._socket = socket
        self._decoder = decoder
        self._info = info
        self._format = format
        self._loop = asyncio.get_running_loop()
        self._inbox: EngineInbox[None] = EngineInbox()
        self._calls = Calls()
        self._user, self._agent = Gatherer(), Gatherer()
        self._spoken_ms = 0.0
        """Of the agent's audio, which never stops: by it, quiet is measured. A stall of the network is none."""
        self._user_due = self._agent_due = math.inf
        """Where in it each gatherer's text is complete, if nothing more of it comes."""
        self._seconds = 0.0
        """That were billed."""
        self._given = 0
        """Bytes of audio, which is the session's clock."""
        self._is_settled = False
        """The service has told all that it bills."""
        self._has_spoken = False
        self._greeting: asyncio.TimerHandle | None = None
        self._last_error: ServiceError | None = None
        self._over = False
        lead = min(RENEW_BEFORE, lifetime / 2)
        self._expiry = self._loop.call_later(lifetime - lead, self._inbox.put, SessionExpiring(lead))
        socket.deliver(self._on_message, self._on_closed)

    @property
    def conversation_id(self) -> str:
        return self._info.id

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    @property
    def anomalies(self) -> Counter[Anomaly]:
        """Counts of what the service sent that it should not."""
        return self._decoder.anomalies

    def send_audio(self, chunk: AudioChunk) -> None:
        if not self._over:
            self._given += chunk.size
        self._socket.send_audio(wire.encode_audio(chunk.base64))

    def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        return self._inbox

    def greet(self, text: str) -> None:
        """Has the first message said, and asks for it once more if nothing is said."""
        self.say(text)
        self._greeting = self._loop.call_later(_GREET_AGAIN, self._greet_again, text)

    def say(self, text: str) -> None:
        self._send(wire.Commentary(content=text))

    def send_tool_result(self, result: ToolResult) -> None:
        self._do(self._calls.answer(result))

    def add_context(self, text: str) -> None:
        self._send(wire.Thinking(content=text))

    def send_dtmf(self, digit: str) -> None:
        self.add_context(f"The caller pressed the key {digit} on the phone.")

    def unbilled(self) -> Sequence[Usage]:
        rest = self._inbox.remove(Usage)
        reckoned = self._format.duration_ms(self._given) / 1000
        if not self._is_settled and reckoned > self._seconds:
            rest.append(live_usage(self._info.model, reckoned - self._seconds))
            self._seconds = reckoned
        return rest

    async def aclose(self) -> None:
        if not self._over:
            self._send(wire.Close())  # an open session is billed
        self._inbox.close()
        self._finish()
        await self._socket.aclose()

    # --- received messages -----------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        try:
            message = self._decoder.decode(text)
            if type(message) is wire.OutputAudio:
                self._on_audio(message.delta)
            else:
                self._on_other(message)
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            _log.exception("Session %s: a message from OpenAI could not be handled.", self._info.id)
            self._socket.deliver(_ignore, _ignore)
            self._finish(
                EngineError(
                    "A message from OpenAI could not be handled.",
                    remedy="This is a bug. Report it with the traceback in the log.",
                )
            )

    def _on_audio(self, delta: str) -> None:
        try:
            chunk = AudioChunk.from_base64(delta, self._format)
        except AudioError:
            self._decoder.anomalies[Anomaly.BAD_AUDIO] += 1
            return
        if chunk.size:
            self._inbox.put_audio(chunk, None)
            self._spoken_ms += chunk.duration_ms
            if self._spoken_ms >= min(self._user_due, self._agent_due):
                self._end_texts()

    def _on_other(self, message: object) -> None:
        match message:
            case wire.InputTranscript(delta=text, start_ms=start, end_ms=end):
                self._tell_agent(self._agent.take())  # what it said before is complete
                self._tell_user(self._user.add(text, start, end))
                self._user_due = self._spoken_ms + GAP_MS
            case wire.OutputTranscript(delta=text, start_ms=start, end_ms=end):
                self._has_spoken = True
                self._tell_user(self._user.take())
                self._tell_agent(self._agent.add(text, start, end))
                self._agent_due = self._spoken_ms + GAP_MS
            case wire.ResponseEvent(event=event, delegation_id=delegation):
                self._do(self._calls.take(delegation or "", event))
            case wire.DelegationCreated(delegation=delegation) if delegation.target == "client":
                self._send(wire.Commentary(content=_ALONE, delegation_id=delegation.id))
            case wire.Usage(usage=usage):
                self._bill(usage)
            case wire.Closed(reason=reason, usage=usage):
                self._is_settled = True
                self._bill(usage)
                self._finish(_ending(reason))
            case wire.Error(error=error):
                self._on_error(error)
            case _:  # acknowledgements, and types that are not used
                pass

    def _on_error(self, error: ServiceError) -> None:
        if error.code in _HARMLESS:
            self._decoder.anomalies[Anomaly.LATE_CORRECTION] += 1
            return
        self._last_error = error
        self._inbox.put(Error(error.message, error.label))
        if (end := fatal(error)) is not None:
            self._finish(end)

    def _on_closed(self, told: SocketClosed) -> None:
        self._finish(closed(told.code, told.reason, self._last_error))

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the user ended the session, or it failed. The first call counts."""
        if self._over:
            return
        self._over = True
        for timer in (self._expiry, self._greeting):
            if timer is not None:
                timer.cancel()
        self._tell_user(self._user.take())
        self._tell_agent(self._agent.take())
        self._inbox.close(error)
        if self.anomalies:
            _log.warning("Session %s: anomalies: %s.", self._info.id, describe(self.anomalies))

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _tell_user(self, said: Gathered | None) -> None:
        if said is not None:
            self._inbox.put(TranscriptInput(said.text, started_ms=said.start_ms))

    def _tell_agent(self, said: Gathered | None) -> None:
        if said is not None:
            self._inbox.put(TranscriptOutput(said.text))

    def _end_texts(self) -> None:
        """A text is complete, too, if nothing follows it."""
        if self._spoken_ms >= self._user_due:
            self._user_due = math.inf
            self._tell_user(self._user.take())
        if self._spoken_ms >= self._agent_due:
            self._agent_due = math.inf
            self._tell_agent(self._agent.take())

    def _greet_again(self, text: str) -> None:
        if not self._has_spoken:
            self.say(text)

    def _bill(self, usage: wire.Seconds) -> None:
        """The service tells a running sum."""
        more = usage.seconds - self._seconds
        if more > 0:
            self._seconds = usage.seconds
            self._inbox.put(live_usage(self._info.model, more))

    def _do(self, steps: Iterable[EngineEvent | wire.LiveClient]) -> None:
        for step in steps:
            if isinstance(step, EngineEvent):
                self._inbox.put(step)
            else:
                self._send(step)

    def _send(self, message: wire.LiveClient) -> None:
        self._socket.send(wire.encode(message))


def _ending(reason: str) -> EngineError:
    if reason == "content":
        return EngineRefused("OpenAI ended the session because of its content.", got=reason)
    if reason == "expired":
        return EngineLost("The OpenAI session is as old as it may be.", retry=True, got=reason)
    return EngineLost("OpenAI ended the session.", retry=True, got=reason or "no reason")


def _ignore(_: object) -> None:
    """Called with what arrives after a failure, and with what is taken."""
