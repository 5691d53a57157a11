"""The agent's audio on its way to the caller.

This is the other half of the hot path. An engine sends a whole answer faster than it plays, so audio that was sent to
the carrier was not heard yet; `Playback` keeps account of that by marks. When the caller interrupts (barge-in), the
carrier must clear its buffer, and what was not heard is void.

While there is no media socket (the stream broke, or the conversation was opened ahead), what the agent says is
buffered, and played when the stream is open again. While the caller is on hold it is dropped: they do not hear it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio
from starlette.types import Send

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import Converter, make_converter
from patter_core.call.context import CallContext
from patter_core.call.state import Signal
from patter_core.media import MediaCodec

__all__ = ["Downlink"]

_BUFFERED_AUDIO_MS = 30_000.0
"""How much agent audio is buffered while there is no media socket: engines send a whole answer at once."""
_MARK_MARGIN = 1.5
"""Seconds for the mark behind the last word, from when that should have been played."""


class Downlink:
    """Carries the agent's audio to the carrier's media socket.

    Args:
        call: what the parts of the call share.
        codec: the one of the first media socket; it knows which format the carrier takes.
    """

    def __init__(self, call: CallContext, codec: MediaCodec) -> None:
        self._call = call
        self._state, self._meter, self._playback, self._clock = call.state, call.meter, call.playback, call.clock
        self._codec = codec
        self._send: Send | None = None
        self.play: Callable[[AudioChunk], Awaitable[None]] = self._buffer
        """Takes one chunk of the agent: plays it, buffers it, or drops it."""
        self._is_live = False
        self._is_muted = False
        self._buffered: deque[AudioChunk] = deque()
        self._buffered_ms = 0.0
        self._turn_ends_in_buffer = False
        self._agent_format: AudioFormat | None = None
        self._converter: Converter | None = None
        self.was_live = anyio.Event()
        """Set once a stream was open, and what was buffered until then was played."""
        self._ms_a_byte = 1000 / codec.output_format.byte_rate
        self._in_turn = False
        self._tones_until = self._tones_end_ms = 0.0

    @property
    def format(self) -> AudioFormat:
        """What the carrier takes."""
        return self._codec.output_format

    # --- media and engine come and go ------------------------------------------------------------------------------

    def attach_media(self, codec: MediaCodec, send: Send) -> None:
        """A media socket is here. The agent's audio is buffered until `open`."""
        self._codec = codec
        self._send = send

    def open(self) -> bool:
        """The stream is open. Returns True if `catch_up` must run, because there is buffered audio."""
        self._choose_converter()
        if self._buffered:
            return True
        self._go_live()
        return False

    async def catch_up(self) -> None:
        """Plays what was buffered, then goes live."""
        while self._buffered and self._send is not None:
            chunk = self._buffered.popleft()
            self._buffered_ms -= chunk.duration_ms
            if chunk.format == self._agent_format:  # otherwise it is of an earlier session
                await self._player(chunk)
        if self._send is not None and not self._is_muted:
            self._go_live()
            if self._turn_ends_in_buffer:
                await self.end_turn()

    def _go_live(self) -> None:
        self._is_live = True
        self.play = self._player
        self.was_live.set()

    def detach_media(self) -> None:
        """The media socket is gone, and with it the audio that was not played. Further audio is buffered."""
        self._send = None
        self.pause()
        self._void_turn()

    def pause(self) -> None:
        """Buffers the agent's audio; drops it while the agent is muted."""
        self._is_live = False
        self.play = _drop if self._is_muted else self._buffer

    def mute_agent(self) -> None:
        """The caller is on hold: what the agent says is dropped, and what the caller has not heard is void."""
        self._is_muted = True
        self._drop_buffer()
        self._in_turn = False
        self._void_turn()
        self.pause()

    def unmute_agent(self) -> None:
        """The hold is over. `open` must follow if the media socket stayed open."""
        self._is_muted = False
        self.pause()

    def set_agent_format(self, agent_format: AudioFormat) -> None:
        """The session that talks from here on sends this format."""
        self._agent_format = agent_format
        self._choose_converter()
        if self._is_live:
            self.play = self._player

    def _choose_converter(self) -> None:
        if self._agent_format is not None:
            self._converter = make_converter(self._agent_format, self._codec.output_format)

    # --- barge-in, turns and keys ----------------------------------------------------------------------------------

    async def barge_in(self) -> None:
        """The caller interrupted the agent: clears the carrier, and records how much of the turn was heard."""
        self._drop_buffer()
        at = self._clock()
        if at < self._tones_until:  # the tones of keys are played whole
            if self._is_live and self._playback.sent_ms > self._tones_end_ms:
                self.pause()
                self._call.start(self._clear_after_tones)
            return
        await self._write(self._codec.encode_clear())
        if self._converter is not None:
            self._converter.flush()
        self._in_turn = False
        self._meter.interrupted(at, self._clock())
        self._void_turn()

    async def clear(self) -> None:
        """Drops what the agent has said and the caller has not heard."""
        self._drop_buffer()
        await self._write(self._codec.encode_clear())
        self._in_turn = False
        self._void_turn()

    async def _clear_after_tones(self) -> None:
        send = self._send
        await anyio.sleep(max(0.0, self._tones_until - self._clock()))
        if self._send is not send or send is None or self._is_muted:  # the carrier has dropped it all
            return
        await self._write(self._codec.encode_clear())
        self._void_turn()
        if self.open():
            await self.catch_up()

    def _void_turn(self) -> None:
        """What the caller has not heard until now they will not hear."""
        heard = self._playback.cleared(self._clock())
        if heard is not None:
            self._call.emit(heard)

    async def end_turn(self) -> None:
        """The agent's turn is complete: the mark behind it comes back when it was heard."""
        self._turn_ends_in_buffer = bool(self._buffered)
        if self._turn_ends_in_buffer:
            return
        if self._in_turn and self._converter is not None:
            tail = self._converter.flush()
            if tail is not None:
                await self._write_audio(tail)
        self._in_turn = False
        await self._mark(self._playback.turn_ended())

    async def play_dtmf(self, tones: AudioChunk) -> None:
        """Plays the tones of keys at once, in place of what the caller has not heard, and whole.

        An interruption while they are played does not cut them: it clears what follows, once they have been played.
        """
        if self._clock() >= self._tones_until and (self._buffered or self._playback.speaking):
            await self.clear()
        await self._write_audio(tones)
        self._tones_until, self._tones_end_ms = self._playback.ends_at, self._playback.sent_ms
        await self._mark(self._playback.turn_ended())

    def mark_returned(self, name: str) -> None:
        """The carrier returned a mark."""
        heard = self._playback.returned(name)
        if heard is not None:
            self._call.emit(heard)
        if not self._playback.speaking:
            self._call.signal(Signal.PLAYED_OUT)

    async def probe(self) -> None:
        """Asks the carrier for a sign of life: one that sends no frames while the caller is silent returns the mark."""
        await self._mark(self._playback.probe())

    async def wait_until_heard(self) -> None:
        """Waits until the caller has heard what was said so far, or cannot any more; at most `Deadlines.last_word`."""
        call = self._call
        await self._mark_last_word()
        with anyio.move_on_after(call.config.deadlines.last_word):
            await call.changes.wait_until(lambda: call.is_over or not self._playback.speaking)

    async def play_last_word(self) -> None:
        """Signals PLAYED_OUT when the last word was heard, or should have been: some carriers return no mark."""
        await self._mark_last_word()
        await anyio.sleep(max(0.0, self._playback.ends_at - self._clock()) + _MARK_MARGIN)
        self._call.signal(Signal.PLAYED_OUT)

    async def _mark_last_word(self) -> None:
        await self._mark(self._playback.turn_ended())
        if not self._playback.speaking:
            self._call.signal(Signal.PLAYED_OUT)

    # --- one chunk -------------------------------------------------------------------------------------------------

    @property
    def _player(self) -> Callable[[AudioChunk], Awaitable[None]]:
        return self._write_audio if self._converter is None else self._convert_and_write

    async def _buffer(self, chunk: AudioChunk) -> None:
        self._buffered.append(chunk)
        self._turn_ends_in_buffer = False
        self._buffered_ms += chunk.duration_ms
        while self._buffered_ms > _BUFFERED_AUDIO_MS:
            self._buffered_ms -= self._buffered.popleft().duration_ms

    def _drop_buffer(self) -> None:
        self._buffered.clear()
        self._buffered_ms = 0.0

    async def _convert_and_write(self, chunk: AudioChunk) -> None:
        assert self._converter is not None  # `_player` saw it
        converted = self._converter.convert(chunk)
        if converted is not None:
            await self._write_audio(converted)

    async def _write_audio(self, chunk: AudioChunk) -> None:
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

    # --- the socket ------------------------------------------------------------------------------------------------

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
        """A socket takes nothing more; what is left to read from it says why. By now another one may have followed."""
        if send is self._send:
            self.detach_media()


async def _drop(chunk: AudioChunk) -> None:
    """The caller is on hold."""
