"""Join a carrier's media and an engine's conversation: two pumps, one for each direction.

Both sides may go and come back while the call lasts: a media socket that breaks off is followed by another, a
conversation that fails by a new one. What comes from one side while the other is away is kept, within a bound.

This is the hot path: fifty frames a second in each direction for every call. A frame costs its decode, its splice, its
two sockets and a few counters; there is no task, no hook and no queue in its way, and audio that both sides write
alike crosses as the base64 text it came as.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio
from starlette.types import Receive, Send

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.call.converter import Converter, make_converter
from patter_core.call.meter import Meter
from patter_core.call.playback import Playback
from patter_core.call.state import CallState, Signal
from patter_core.engine import EngineSession
from patter_core.events import (
    CallEvent,
    DtmfReceived,
    EngineEvent,
    Error,
    Interruption,
    MediaTrouble,
    ResponseDone,
    TranscriptInput,
)
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)

__all__ = ["EARLY_AUDIO_MS", "KEPT_AUDIO_MS", "Bridge"]

_log = logging.getLogger("patter.call")

EARLY_AUDIO_MS = 2_000.0
"""How much caller audio is kept for an engine that is not ready yet: older speech would be answered too late."""
KEPT_AUDIO_MS = 30_000.0
"""How much agent audio is kept for a caller who is away: engines send a whole answer at once."""


class Bridge:
    """The media socket of a call, and the conversation that it is joined to once that is ready."""

    def __init__(
        self,
        *,
        codec: MediaCodec,
        state: CallState,
        meter: Meter,
        playback: Playback,
        emit: Callable[[CallEvent], None],
        signal: Callable[[Signal, str], object],
        on_opened: Callable[[MediaOpened], None],
        clock: Callable[[], float],
    ) -> None:
        self._codec = codec
        self._send: Send | None = None
        self._state = state
        self._meter = meter
        self._playback = playback
        self._emit = emit
        self._signal = signal
        self._on_opened = on_opened
        self._clock = clock
        self._to_engine: Callable[[AudioChunk], None] = self._hold
        self._early: deque[AudioChunk] = deque()
        self._early_ms = 0.0
        self._to_caller: Callable[[AudioChunk], Awaitable[None]] = self._keep
        self._kept: deque[AudioChunk] = deque()
        self._kept_ms = 0.0
        self._kept_whole = False
        """Does the agent's turn end with what is kept?"""
        self._session: EngineSession | None = None
        self._inward: Converter | None = None
        self._outward: Converter | None = None
        self._agent_format: AudioFormat | None = None
        self.was_live = anyio.Event()
        """Set once the agent was heard, and all that was kept until then."""
        self._ms_a_byte = 1000 / codec.output_format.byte_rate
        self._in_turn = False
        self._tones_until = 0.0
        self._faults_told: set[str] = set()

    @property
    def format(self) -> AudioFormat:
        """What the carrier takes."""
        return self._codec.output_format

    # --- the sides come and go -------------------------------------------------------------------------------------

    def attach(self, codec: MediaCodec, send: Send) -> None:
        """A media socket is here. What the agent says is kept until its stream is `open`."""
        self._codec = codec
        self._send = send

    def open(self) -> bool:
        """The stream is open: the agent is heard. True if `catch_up` must run, for what was kept."""
        self._tune()
        if self._kept:
            return True
        self._go_live()
        return False

    async def catch_up(self) -> None:
        """Play what was kept, then go on live."""
        while self._kept and self._send is not None:
            chunk = self._kept.popleft()
            self._kept_ms -= chunk.duration_ms
            if chunk.format == self._agent_format:  # else a conversation said it that another one has followed
                await self._player(chunk)
        if self._send is not None:
            self._go_live()
            if self._kept_whole:
                await self._turn_done()

    def _go_live(self) -> None:
        self._to_caller = self._player
        self.was_live.set()

    def detach(self) -> None:
        """The media socket is gone, and with it what was not played. What the agent says is kept."""
        self._send = None
        self.pause()
        heard = self._playback.cleared(self._clock())
        if heard is not None:
            self._emit(heard)

    def pause(self) -> None:
        """Keep what the agent says."""
        self._to_caller = self._keep

    async def hush(self) -> None:
        """Drop what the agent has said and nobody has heard yet."""
        self._forget()
        await self._write(self._codec.encode_clear())
        self._playback.cleared(self._clock())

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_ms = 0.0

    # --- from the caller to the engine -----------------------------------------------------------------------------

    async def pump_caller(self, receive: Receive) -> None:
        """Carry what the carrier says on the attached socket, until it is gone."""
        decode, state, clock = self._codec.decode, self._state, self._clock
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text: str | bytes | None = message.get("text")
            if text is None:
                text = message.get("bytes") or b""
            state.heard_at = clock()
            for event in decode(text):
                if type(event) is AudioChunk:
                    self._to_engine(event)
                else:
                    self._media_event(event)

    def join(self, session: EngineSession, caller_format: AudioFormat) -> None:
        """From here on the engine hears the caller: first what came early and is still fresh, then live."""
        self._session = session
        self._inward = make_converter(caller_format, session.input_format)
        self._to_engine = self._pass if self._inward is None else self._convert
        for chunk in self._early:
            self._to_engine(chunk)
        self._early.clear()
        self._early_ms = 0.0

    def expect(self, agent_format: AudioFormat) -> None:
        """From here on the agent speaks in that format."""
        self._agent_format = agent_format
        self._tune()
        if self._to_caller != self._keep:
            self._to_caller = self._player

    def _tune(self) -> None:
        if self._agent_format is not None:
            self._outward = make_converter(self._agent_format, self._codec.output_format)

    def part(self) -> None:
        """The conversation is gone: what the caller says is kept for the next one."""
        self._session = None
        self._to_engine = self._hold

    def ignore(self) -> None:
        """What the caller says is for nobody: he is on hold. `join` ends it."""
        self._to_engine = self._drop

    def _drop(self, chunk: AudioChunk) -> None:
        pass

    def _hold(self, chunk: AudioChunk) -> None:
        self._early.append(chunk)
        self._early_ms += chunk.duration_ms
        while self._early_ms > EARLY_AUDIO_MS:
            self._early_ms -= self._early.popleft().duration_ms
            self._meter.frames_early += 1

    def _pass(self, chunk: AudioChunk) -> None:
        meter = self._meter
        meter.frames_in += 1
        meter.bytes_in += chunk.size
        self._session.send_audio(chunk)  # type: ignore[union-attr] # join() sets the session before this

    def _convert(self, chunk: AudioChunk) -> None:
        converted = self._inward.convert(chunk)  # type: ignore[union-attr] # join() sets the converter before this
        if converted is not None:
            self._pass(converted)

    def _media_event(self, event: MediaEvent) -> None:
        match event:
            case MediaMark(name=name):
                heard = self._playback.returned(name)
                if heard is not None:
                    self._emit(heard)
                if not self._playback.speaking:
                    self._signal(Signal.PLAYED_OUT, "")
            case MediaDtmf(digit=digit):
                self._emit(DtmfReceived(digit=digit))
                if self._session is not None:
                    self._session.send_dtmf(digit)
            case MediaFault(problem=problem):
                self._fault(problem)
            case MediaUnusable(problem=problem):
                self._fault(problem)
                self._signal(Signal.MEDIA_UNUSABLE, problem)
            case MediaOpened():
                self._on_opened(event)
            case MediaStopped():
                self._signal(Signal.MEDIA_STOPPED, "")

    def _fault(self, problem: str) -> None:
        self._meter.faults += 1
        if problem not in self._faults_told:
            self._faults_told.add(problem)
            self._emit(MediaTrouble(problem=problem))

    # --- from the engine to the caller -----------------------------------------------------------------------------

    async def pump_agent(self, session: EngineSession) -> None:
        """Carry what the engine says, until the conversation is over.

        Raises:
            EngineError: it ended in another way than by the agent's wish.
        """
        async for event in session.events():
            if type(event) is AudioChunk:
                await self._to_caller(event)
            else:
                await self._engine_event(event)

    async def last_word(self) -> None:
        """Have the carrier tell when all has been played that was said so far."""
        await self._mark(self._playback.turn_ended())
        if not self._playback.speaking:
            self._signal(Signal.PLAYED_OUT, "")

    async def press(self, tones: AudioChunk) -> None:
        """Play the tones of keys, whole: an interruption while they sound does not cut them."""
        await self._play(tones)
        self._tones_until = self._playback.ends_at
        await self._mark(self._playback.turn_ended())

    async def _keep(self, chunk: AudioChunk) -> None:
        self._kept.append(chunk)
        self._kept_whole = False
        self._kept_ms += chunk.duration_ms
        while self._kept_ms > KEPT_AUDIO_MS:
            self._kept_ms -= self._kept.popleft().duration_ms

    @property
    def _player(self) -> Callable[[AudioChunk], Awaitable[None]]:
        return self._play if self._outward is None else self._convert_and_play

    async def _convert_and_play(self, chunk: AudioChunk) -> None:
        converted = self._outward.convert(chunk)  # type: ignore[union-attr] # join() sets the converter before this
        if converted is not None:
            await self._play(converted)

    async def _play(self, chunk: AudioChunk) -> None:
        text = self._codec.encode_audio(chunk)
        state = self._state
        now = self._clock()
        send = self._send
        if text and send is not None:
            state.blocked_at = now
            try:
                await send({"type": "websocket.send", "text": text})
            except OSError:  # what ASGI says when the socket is gone
                self._broken(send)
                return
            state.blocked_at = math.inf
        meter = self._meter
        meter.frames_out += 1
        meter.bytes_out += chunk.size
        if not self._in_turn:
            self._in_turn = True
            meter.agent_spoke(now)
        mark = self._playback.sent(chunk.size * self._ms_a_byte, now, held=not text)
        if mark is not None:
            await self._mark(mark)

    async def _engine_event(self, event: EngineEvent) -> None:
        match event:
            case Interruption():
                await self._barge_in()
            case ResponseDone():
                await self._turn_done()
            case TranscriptInput():
                self._meter.user_spoke(self._clock())
            case Error():
                self._meter.errors += 1
        if isinstance(event, CallEvent):
            self._emit(event)
        else:
            _log.debug("The engine said something that is no event of a call: %s", event.kind)

    async def _barge_in(self) -> None:
        self._forget()
        at = self._clock()
        if at < self._tones_until:
            return
        await self._write(self._codec.encode_clear())
        if self._outward is not None:
            self._outward.flush()
        self._in_turn = False
        now = self._clock()
        self._meter.interrupted(at, now)
        heard = self._playback.cleared(now)
        if heard is not None:
            self._emit(heard)

    async def _turn_done(self) -> None:
        self._kept_whole = bool(self._kept)
        if self._kept_whole:
            return
        if self._in_turn and self._outward is not None:
            tail = self._outward.flush()
            if tail is not None:
                await self._play(tail)
        self._in_turn = False
        await self._mark(self._playback.turn_ended())

    async def _mark(self, name: str | None) -> None:
        if name is not None:
            await self._write(self._codec.encode_mark(name))

    async def _write(self, texts: Iterable[str]) -> None:
        state, send = self._state, self._send
        if send is None:
            return
        for text in texts:
            state.blocked_at = self._clock()
            try:
                await send({"type": "websocket.send", "text": text})
            except OSError:
                self._broken(send)
                return
            state.blocked_at = math.inf

    def _broken(self, send: Send) -> None:
        """A socket took nothing more. By now it may have been followed by another."""
        if send is self._send:
            self.detach()
            self._signal(Signal.MEDIA_LOST, "")
