"""The agent's audio on its way to the caller: turns, interruptions, keys, and what was heard.

This is the other half of the hot path. An engine gives a whole answer faster than it plays, and must not be kept
waiting: behind its audio may be an interruption. So nothing here waits; a `SendQueue` keeps what the carrier does not
take at once. If the caller interrupts, all that they have not heard is void. While they are on hold, what the agent
says is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from patter_core.aio.event import Event
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import Converter, make_converter
from patter_core.call.context import CallContext
from patter_core.call.playback import Playback
from patter_core.call.send_queue import SendQueue
from patter_core.call.turns import Turn, TurnHeard
from patter_core.events import ResponseHeard
from patter_core.media import MediaCodec
from patter_core.transport import Message, Socket

__all__ = ["Downlink"]


class Downlink:
    """Carries the agent's audio to the carrier's media socket.

    Args:
        call: what the parts of the call share.
        codec: the one of the first media socket; it knows what the carrier takes.
        on_fault: called with what is wrong, in words of a fixed set.
    """

    def __init__(self, call: CallContext, codec: MediaCodec, *, on_fault: Callable[[str], None]) -> None:
        self.on_heard: Callable[[TurnHeard], None] = _ignore
        """Called for each turn, once it is known how much of it was heard."""
        self.on_speaking: Callable[[Turn], None] = _ignore
        """Called with a turn as its first audio is written to the carrier's socket, also after a pause."""
        self.play: Callable[[AudioChunk], None] = _ignore
        """Takes one chunk of the agent: writes it, keeps it, or drops it."""
        self._call = call
        self._codec = codec
        self._is_muted = False
        self._converter: Converter | None = None
        self._queue = SendQueue(
            call, codec, on_change=self._choose, on_speaking=self._speaks, on_told=self._tell, on_fault=on_fault
        )
        self._choose()

    @property
    def format(self) -> AudioFormat:
        """What the carrier takes."""
        return self._queue.format

    @property
    def playback(self) -> Playback:
        """What of the agent's audio was heard."""
        return self._queue.playback

    @property
    def is_open(self) -> bool:
        """True while the caller hears the agent: the stream is open."""
        return self._queue.is_open

    @property
    def was_live(self) -> Event:
        """An event that is set when a stream was open, and what the agent said until then was sent."""
        return self._queue.was_live

    @property
    def audible(self) -> bool:
        """As in `patter_core.engine.Playback`."""
        return self.playback.is_audible(self._call.clock())

    @property
    def ahead_ms(self) -> float:
        """As in `patter_core.engine.Playback`."""
        return self.playback.ahead_ms(self._call.clock())

    # --- media and engine come and go ------------------------------------------------------------------------------

    def attach_media(self, codec: MediaCodec, socket: Socket) -> None:
        """A media socket is here. The agent's audio is kept until `open`."""
        self._codec = codec
        self._queue.attach(codec, socket)

    def open(self) -> None:
        """The stream is open: what was kept is sent, then what follows."""
        self._queue.open()

    def detach_media(self) -> None:
        """The media socket is gone, and with it the audio that was not played. What follows is kept for another."""
        self._queue.detach()

    def set_agent(self, session: object, agent_format: AudioFormat) -> None:
        """Another session talks from here on, in that format."""
        self.playback.owner = session
        self._converter = make_converter(agent_format, self.format)
        self._choose()

    def mute_agent(self) -> None:
        """The caller is on hold: what the agent says is dropped, and what the caller has not heard is void."""
        self._is_muted = True
        if self.playback.is_at_carrier(self._call.clock()):  # which may keep the stream, and play on
            self.clear()
        else:
            self._drop_tail()
            self._queue.void()

    def unmute_agent(self) -> None:
        """The hold is over."""
        self._is_muted = False
        self._choose()

    def cut_off(self) -> None:
        """The caller hears nothing more: tells how much of the agent's last turns they have heard."""
        self._drop_tail()
        self._queue.void()

    def close(self) -> None:
        """The call is over."""
        self._queue.close()

    # --- turns -----------------------------------------------------------------------------------------------------

    def begin_turn(self, turn: str) -> None:
        """A turn of the agent begins; if the one before is not complete, it is now."""
        if not self._is_muted:
            self.end_turn()
            self._tell(self.playback.begin_turn(turn))

    def play_silence(self, chunk: AudioChunk, *, is_needed: bool) -> None:
        """Plays silence that is of no turn: it is nothing to be heard, and may be left out if it is not needed."""
        if self._is_muted:
            return
        converted = chunk if self._converter is None else self._converter.convert(chunk)
        if converted is not None:
            self._queue.put_silence(converted, is_needed=is_needed)

    def begin_item(self, item: str, turn: str, offset_ms: float) -> None:
        """The audio that follows is that item's, from that offset on. Another turn than its own is complete then."""
        if not self._is_muted:
            if self.playback.is_in(turn):
                self._play_tail()  # it is of the item before
            else:
                self.end_turn()
            self._tell(self.playback.begin_item(item, turn, offset_ms))

    def end_turn(self, *, is_broken_off: bool = False) -> None:
        """The agent's turn is complete, or broken off: the mark behind it comes back when it was heard."""
        if not self.playback.is_open:
            return
        self._play_tail()
        if self.playback.end_turn(is_broken_off=is_broken_off):
            self._queue.mark_here()

    def interrupt(self) -> bool:
        """The caller interrupted the agent: what they have not heard is void. False if there is no such audio."""
        at = self._call.clock()
        if not self.playback.is_audible(at) and not self.playback.is_paused:
            self._drop_tail()
            self._queue.void()  # a turn of which nothing was heard may be open
            return False
        self.clear()
        self._call.meter.interrupted(at, self._call.clock())
        return True

    def pause(self) -> None:
        """The agent stops in the middle of its turn. Its session may go on with it, or interrupt it."""
        self._drop_tail()
        self._queue.clear(pause=True)

    def clear(self) -> None:
        """Drops what the agent has said and the caller has not heard."""
        self._drop_tail()
        self._queue.clear()

    def _play_tail(self) -> None:
        if self._converter is not None and (tail := self._converter.flush()) is not None:
            self._queue.put(tail)

    def _drop_tail(self) -> None:
        if self._converter is not None:
            self._converter.flush()

    # --- keys and other messages -------------------------------------------------------------------------------------

    def send_keys(self, digits: str) -> bool:
        """Has the carrier send keys, by its media socket. False if it does not do that."""
        return self._queue.write_encoded(lambda: self._codec.encode_dtmf(digits))

    def play_tones(self, tones: AudioChunk) -> None:
        """Plays the tones of keys at once, in place of what the caller has not heard, and whole.

        An interruption while they are played does not cut them. What the agent says meanwhile is played afterwards.
        """
        if self.playback.is_audible(self._call.clock()):
            self.clear()
        self._queue.play_tones(tones)

    def reply(self, messages: Sequence[Message]) -> None:
        """Answers the carrier, ahead of audio."""
        self._queue.write_first(messages)

    def hang_up(self) -> None:
        """Ends the call by the media socket, where the carrier takes that."""
        self._queue.hang_up()

    # --- what was heard --------------------------------------------------------------------------------------------

    def mark_returned(self, name: str) -> None:
        """The carrier returned a mark."""
        self._queue.mark_returned(name)

    def probe(self) -> None:
        """Asks the carrier for a sign of life: one that sends no frames while the caller is silent returns the mark."""
        self._queue.probe()

    def mark_last_word(self) -> None:
        """Has PLAYED_OUT signalled once what was said so far was heard: now, or when a mark or the clock says so."""
        now = self._call.clock()
        if self.playback.is_audible(now):
            self._queue.mark_here()
        else:
            self._queue.settle(now)

    async def wait_until_heard(self, *, is_void: Callable[[], bool] = lambda: False) -> None:
        """Waits until the caller has heard what was said so far, or cannot any more; at most `Deadlines.last_word`.

        Args:
            is_void: tells that nothing will be heard, though audio is kept for another stream.
        """
        call = self._call
        self.mark_last_word()

        def is_heard() -> bool:
            return call.is_over or is_void() or not self.playback.is_audible(call.clock())

        with anyio.move_on_after(call.config.deadlines.last_word):
            await call.changes.wait_until(is_heard)

    def _speaks(self, now: float) -> None:
        turn = self.playback.sounding
        if turn is None or turn.is_sounding:  # a mark in the middle of a turn begins none
            return
        self._call.meter.agent_spoke(now, goes_on=turn.is_counted)
        turn.is_sounding = turn.is_counted = True
        self.on_speaking(turn)

    def _tell(self, told: Sequence[TurnHeard]) -> None:
        for turn in told:
            heard = turn.heard
            if not heard.paused:  # the turn is over
                heard_ms = sum(item.heard_ms for item in heard.items)
                sent_ms = sum(item.sent_ms for item in heard.items)
                self._call.emit(ResponseHeard(heard_ms, sent_ms, heard.interrupted, heard.turn))
            self.on_heard(turn)

    # --- one chunk -------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Chooses what is done with the next chunk."""
        if self._is_muted:
            self.play = _ignore
        else:
            self.play = self._queue.put if self._converter is None else self._convert

    def _convert(self, chunk: AudioChunk) -> None:
        assert self._converter is not None  # `_choose` saw it
        converted = self._converter.convert(chunk)
        if converted is not None:
            self._queue.put(converted)


def _ignore(_: object) -> None:
    """Drops the chunk: the caller is on hold."""
