"""The agent's audio in front of the carrier: cut as the carrier wants it, kept while it takes none, marked, and paced.

What cannot be written to the media socket is kept, in order, for whichever reason:

* there is no socket, or its stream is not open (the call rings still, or the stream broke);
* the carrier keeps only so much audio (`MediaOutput.max_buffered`);
* the socket does not take more at the moment;
* the tones of keys are being played.

Nothing here waits. What is kept is sent when the stream opens, when the socket takes more, when a mark comes back, and
by one timer. A carrier without limits costs nothing of that: its audio is written as it comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from patter_core.aio.due_timer import DueTimer
from patter_core.aio.event import Event
from patter_core.audio import AudioChunk
from patter_core.call.capture import capture_agent
from patter_core.call.codec_faults import CodecFaults
from patter_core.call.context import CallContext
from patter_core.call.kept_audio import KeptAudio
from patter_core.call.media_writer import MediaWriter
from patter_core.call.playback import Playback
from patter_core.call.state import Signal
from patter_core.call.turns import TurnHeard
from patter_core.media import MediaCodec
from patter_core.transport import Message, Socket

__all__ = ["SendQueue"]

_LONGEST_WAIT = 120
"""Seconds of audio that are kept; what comes beyond is dropped."""
_MOST_SILENCE_MS = 200.0
"""Silence of no turn is left out while more than that waits to be heard."""
_PACE = 0.1
"""Seconds between two looks whether the carrier has room again."""

_EARLY_MARK = "a mark came back before its audio can have been played; a clock reckons instead"
_NO_MARK = "a mark did not come back in time; a clock reckons instead"
_TOO_MUCH = f"the agent was more than {_LONGEST_WAIT} s ahead; the newest audio was dropped"


class SendQueue:
    """The way to one carrier's media sockets, one after the other.

    Args:
        call: what the parts of the call share.
        codec: the one of the first media socket; it knows what the carrier takes.
        on_change: called when `put` is another function.
        on_speaking: called with the time at which audio was written, the first behind a mark or a clear. Not for tones.
        on_told: called for turns, once it is known how much of them was heard.
        on_fault: called with what is wrong, in words of a fixed set.
    """

    def __init__(
        self,
        call: CallContext,
        codec: MediaCodec,
        *,
        on_change: Callable[[], None],
        on_speaking: Callable[[float], None],
        on_told: Callable[[Sequence[TurnHeard]], None],
        on_fault: Callable[[str], None],
    ) -> None:
        output = codec.output
        self.playback = Playback(output.format)
        self.put: Callable[[AudioChunk], None] = self._keep_and_pump
        """Takes a chunk, in the carrier's format."""
        self.was_live = Event()
        """Set once a stream was open, and what was kept until then was sent."""
        self._call, self._meter, self._clock = call, call.meter, call.clock
        self._codec = codec
        self._encode = codec.encode_audio
        self._faults = CodecFaults(call, on_fault)
        self._on_change, self._on_speaking = on_change, on_speaking
        self._on_told, self._on_fault = on_told, on_fault
        self.format = output.format
        """What the carrier takes."""
        self._most_sent = output.max_buffered * output.format.byte_rate
        self._most_kept = _LONGEST_WAIT * output.format.byte_rate
        self._kept = KeptAudio(output)
        self._writer = MediaWriter(call, on_wait=self._choose, on_ready=self._pump, on_broken=self.detach)
        self._write_message = self._writer.write
        self._send = self._send_and_capture if call.records.captures_audio else self._send_plain
        self._is_open = self._is_speaking = False
        self._tones_end = 0
        """The position where the last tones end."""
        self._tones_until = -math.inf
        """When they will have been played, once they were sent."""
        self._timer = DueTimer(self._on_time)

    @property
    def is_open(self) -> bool:
        """True while the stream is open."""
        return self._is_open

    # --- sockets ---------------------------------------------------------------------------------------------------

    def attach(self, codec: MediaCodec, socket: Socket) -> None:
        """A media socket is here. Audio is kept until `open`."""
        self._codec = codec
        self._encode = codec.encode_audio
        self.playback.restart_marks(self._clock())
        self._writer.attach(socket)

    def open(self) -> None:
        """The stream is open: what was kept is sent, then what follows."""
        self._is_open = True
        self._pump()

    def detach(self) -> None:
        """The media socket is gone, and with it the audio that was not played. What follows is kept for another."""
        self._writer.detach()
        self._is_open = False
        self._tones_until = -math.inf
        now = self._clock()
        if self.playback.is_at_carrier(now):
            self.void()
        else:  # the mark behind a turn that was heard may not have been taken
            self.settle(now)
        self._choose()

    def close(self) -> None:
        """The call is over."""
        self._timer.cancel()

    def write_first(self, messages: Sequence[Message]) -> None:
        """Sends messages ahead of audio."""
        self._writer.write_first(messages)

    def write_encoded(self, encode: Callable[[], Sequence[Message]]) -> bool:
        """Sends what the codec makes, ahead of audio. False if it makes nothing, or raises."""
        messages = self._faults.messages(encode)
        self._writer.write_first(messages)
        return bool(messages)

    # --- audio -----------------------------------------------------------------------------------------------------

    def mark_here(self) -> None:
        """Sets a mark behind what was said so far, padding it to a whole frame."""
        self._fill_frame()
        self._kept.push_mark()
        self._pump()

    def _fill_frame(self) -> None:
        playback = self.playback
        at = playback.accepted
        playback.accepted += self._kept.fill()
        playback.pass_over(at)

    def play_tones(self, tones: AudioChunk) -> None:
        """Plays tones at once and whole. Only other tones may be kept. What follows is kept until they were played."""
        at = self.playback.accepted
        self._keep(tones)
        self.playback.pass_over(at)
        self._fill_frame()
        self._tones_end, self._tones_until = self.playback.accepted, -math.inf
        self._kept.push_mark()
        self._pump()

    def put_silence(self, chunk: AudioChunk, *, is_needed: bool) -> None:
        """Sends silence that is of no turn, or leaves it out: where it is not needed and enough waits to be heard."""
        now, playback, kept = self._clock(), self.playback, self._kept
        if kept or not chunk.size or not self._may_send(now, chunk.size):
            return
        if not is_needed and playback.ahead_ms(now) > _MOST_SILENCE_MS:
            return
        playback.accept_silence(chunk.size)
        kept.push(chunk)
        while kept and (piece := kept.pop()) is not None:
            self._send_silence(piece, now)

    def _send_silence(self, piece: AudioChunk, now: float) -> None:
        for message in self._faults.messages(lambda: (self._encode(piece),)):
            if self._write_message(message):
                self._meter.frames_out += 1
                self._meter.bytes_out += piece.size
                self.playback.send_silence(piece.size, now)
                if self._call.records.captures_audio:
                    capture_agent(piece, self._call.records.capture)

    def clear(self, *, pause: bool = False) -> None:
        """Drops all that was not heard, here and at the carrier. Tones are played to their end."""
        plays_tones = self.playback.sent < self._tones_end or self._clock() < self._tones_until
        # Behind tones nothing was sent yet. Before the stream is open, the codec may not know its name.
        if self._is_open and not plays_tones:
            self.write_encoded(self._codec.encode_clear)
        self.void(pause=pause, but_tones=plays_tones)

    def hang_up(self) -> None:
        """Ends the call by a message, where the carrier takes one. Before the stream is open it cannot be written."""
        if self._is_open:
            self.write_encoded(self._codec.encode_hang_up)

    def void(self, *, pause: bool = False, but_tones: bool = False) -> None:
        """Drops all that was not heard, as the carrier has done, too; but not the tones that are being played."""
        if but_tones:
            self._kept.keep_only(max(0, self._tones_end - self.playback.sent))
        else:
            self._kept.clear()
            self._tones_end, self._tones_until = 0, -math.inf
        self._is_speaking = False
        stays = max(self._tones_end, self.playback.sent) if but_tones else None
        self._on_told(self.playback.cut(self._clock(), pause=pause, stays=stays))
        self._choose()

    def mark_returned(self, name: str) -> None:
        """The carrier returned a mark."""
        now = self._clock()
        if not self.playback.returned(name, now):
            self._on_fault(_EARLY_MARK)
        self.settle(now)
        self._pump()

    def probe(self) -> None:
        """Sets a mark which asks only whether the carrier is still there."""
        if not self._is_open or not self._writer.is_ready:
            return
        if self.playback.has_marks:
            self._mark(self._clock())
        else:  # what it returned was wrong, but it returned something
            self.write_encoded(lambda: self._codec.encode_mark("probe"))

    def settle(self, now: float) -> None:
        """Tells of turns that were heard, and signals PLAYED_OUT if there is nothing more to hear."""
        self._on_told(self.playback.settle(now))
        if not self.playback.is_audible(now):
            self._call.signal(Signal.PLAYED_OUT)

    # --- what is done with a chunk ---------------------------------------------------------------------------------

    def _choose(self) -> None:
        is_direct = not self._kept.is_cut and self._most_sent == math.inf and not self._kept
        self.put = self._write if is_direct and self._may_send(self._clock()) else self._keep_and_pump
        self._on_change()

    def _write(self, chunk: AudioChunk) -> None:
        size = chunk.size
        if not size:
            return
        playback = self.playback
        if not self._is_speaking and not playback.is_open:
            playback.begin_turn("")
        playback.accepted += size
        self._send(chunk, size, self._clock())

    def _keep_and_pump(self, chunk: AudioChunk) -> None:
        if not self.playback.is_open:
            self.playback.begin_turn("")
        self._keep(chunk)
        self._pump()

    def _keep(self, chunk: AudioChunk) -> None:
        playback = self.playback
        if playback.accepted - playback.sent + chunk.size > self._most_kept:
            self._meter.frames_unsent += 1
            self._on_fault(_TOO_MUCH)
        elif chunk.size:
            playback.accepted += chunk.size
            self._kept.push(chunk)

    def _may_send(self, now: float, size: int = 0) -> bool:
        """True if the carrier takes so much more now. A message that is longer than all it keeps is sent alone."""
        if not self._is_open or not self._writer.is_ready or now < self._tones_until:
            return False
        if not size or self._most_sent == math.inf:
            return True
        unheard = self.playback.sent - self.playback.heard(now)
        return unheard + size <= self._most_sent or unheard < 1

    def _pump(self) -> None:
        """Sends what was kept, as far as the carrier takes it."""
        now, kept = self._clock(), self._kept
        while kept and self._may_send(now, kept.next_size):
            piece = kept.pop()
            if piece is None:
                self._is_speaking = False
                self._mark(now)
                if self.playback.sent == self._tones_end:
                    self._tones_until = self.playback.ends_at
            else:
                self._send(piece, piece.size, now)
        if self._is_open and not kept:
            self.was_live.set()
        self._choose()
        self._set_timer(now)

    def _send_and_capture(self, chunk: AudioChunk, size: int, now: float) -> None:
        before = self._meter.frames_out
        self._send_plain(chunk, size, now)
        if self._meter.frames_out > before:  # otherwise the next socket gets it, or none
            capture_agent(chunk, self._call.records.capture)

    def _send_plain(self, chunk: AudioChunk, size: int, now: float) -> None:
        try:
            message = self._encode(chunk)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary: the caller misses this piece
            self._faults.failed(error)
            self._meter.frames_unsent += 1
            if self.playback.send(size, now):
                self._mark(now)
            return
        if not self._write_message(message):
            if self.playback.accepted > self.playback.sent:  # it is not void with the socket: the next one gets it
                self._kept.put_back(chunk)
                self._choose()
            return
        self._meter.frames_out += 1
        self._meter.bytes_out += size
        if not self._is_speaking and self.playback.sent >= self._tones_end:
            self._is_speaking = True
            self._on_speaking(now)
        if self.playback.send(size, now):
            self._mark(now)

    def _mark(self, now: float) -> None:
        playback = self.playback
        if playback.has_marks:
            name = playback.mark(now)
            if not self.write_encoded(lambda: self._codec.encode_mark(name)):
                playback.reckon_by_clock()
        self._set_timer(now)

    # --- the timer -------------------------------------------------------------------------------------------------

    def _set_timer(self, now: float) -> None:
        """Sets the timer, unless it comes in time."""
        due = min(self.playback.overdue_at, self.playback.settles_at)
        if self._kept and self._is_open and self._writer.is_ready:
            due = min(due, max(now + _PACE, self._tones_until))
        self._timer.set(due, now)

    def _on_time(self) -> None:
        now = self._clock()
        if self._call.is_over:
            return
        try:
            if now >= self.playback.overdue_at:
                self.playback.reckon_by_clock()
                self._on_fault(_NO_MARK)
            self.settle(now)
            self._pump()
        except BaseException as error:  # noqa: BLE001 - the call boundary, in a callback of the loop
            self._call.crash(error)
