"""Mixes both sides of a call on one clock, as they were heard. Sans-IO: times come with the records.

The caller's audio is the clock: it arrives as it is spoken, so its samples are counted. The agent's audio arrives
faster than it plays: it is placed where the carrier plays it, after earlier audio or at once, and is cut where the
caller interrupted it. Only the past is read, since the future may still be cut. How much of the future is held is
bounded, and so is what is read at once: after an hour on hold, an hour of silence is due.
"""

from __future__ import annotations

from collections import deque

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import Transcoder

__all__ = ["StereoMix"]

_LAG = 0.5
"""Seconds. If the caller's samples trail the clock by more for a whole window, the difference was lost, and silence is
put in its place. The burst after a stall catches up at once, and needs none."""
_LAG_WINDOW_MS = 1000.0
_AHEAD = 300.0
"""Seconds of the agent's audio that are held before it is heard. What is further ahead is left out."""
_MOST_PIECES = 30_000
"""Of that audio: each weighs some hundred bytes, however short it is."""
_BLOCK = 10.0
"""Seconds that are read at once."""


class StereoMix:
    """The audio of one call, as stereo PCM16: caller left, agent right.

    Args:
        format: of the caller's audio; its rate is the mix's.
        start_ms: the time of the first sample, on the clock of all other times.
    """

    def __init__(self, format: AudioFormat, start_ms: float) -> None:
        self.format = AudioFormat(Encoding.PCM16, format.sample_rate)
        self._start_ms = start_ms
        self._read = 0
        """Samples that were read, of each side."""
        self._caller: deque[bytes | int] = deque()
        """PCM16, or how many samples of silence."""
        self._caller_end = 0
        self._agent: deque[tuple[int, bytes]] = deque()
        self._agent_end = 0
        self._window_start_ms = start_ms
        self._least_lag = 0
        """Samples, in the current window."""
        self._transcoders: dict[AudioFormat, Transcoder] = {}

    def add_caller(self, chunk: AudioChunk, at_ms: float) -> None:
        """Adds audio of the caller, heard at that time."""
        pcm = self._linear(chunk)
        lag = self._position(at_ms) - self._caller_end - len(pcm) // 2
        self._least_lag = min(self._least_lag, lag)
        if at_ms - self._window_start_ms >= _LAG_WINDOW_MS:
            if self._least_lag > _LAG * self.format.sample_rate:
                self._caller.append(self._least_lag)
                self._caller_end += self._least_lag
            self._window_start_ms = at_ms
            self._least_lag = self._position(at_ms) - self._caller_end - len(pcm) // 2
        self._caller.append(pcm)
        self._caller_end += len(pcm) // 2

    def add_agent(self, chunk: AudioChunk, at_ms: float) -> bool:
        """Adds audio of the agent, sent at that time: it plays once earlier audio has been played.

        Returns False if it is too far ahead of what was heard: then silence takes its place.
        """
        start = max(self._agent_end, self._position(at_ms), self._read)
        length = round(chunk.duration_ms * self.format.sample_rate / 1000)
        if start + length - self._read > _AHEAD * self.format.sample_rate or len(self._agent) >= _MOST_PIECES:
            self._agent_end = start + length
            return False
        pcm = self._linear(chunk)
        if pcm:
            self._agent.append((start, pcm))
        self._agent_end = start + len(pcm) // 2
        return True

    def cut(self, at_ms: float) -> None:
        """Drops the agent's audio from that time on: the caller interrupted it."""
        end = max(self._position(at_ms), self._read)
        self._agent = deque((start, pcm[: 2 * (end - start)]) for start, pcm in self._agent if start < end)
        self._agent_end = min(self._agent_end, end)
        for transcoder in self._transcoders.values():
            transcoder.flush()  # audio that a filter holds is dropped, too

    def read_past(self) -> bytes:
        """Returns what has become past since the last read, as interleaved samples: at most ten seconds of it.

        b"" if there is nothing more.
        """
        return self._read_to(self._caller_end)

    def read_rest(self, at_ms: float) -> bytes:
        """Returns the rest at the call's end, ten seconds at a time; the agent is heard until then."""
        return self._read_to(max(self._caller_end, min(self._agent_end, self._position(at_ms))))

    def _read_to(self, end: int) -> bytes:
        end = min(end, self._read + round(_BLOCK * self.format.sample_rate))
        size = 2 * (end - self._read)
        caller, agent = self._read_caller(size), bytearray(size)
        while self._agent and self._agent[0][0] < end:
            start, pcm = self._agent.popleft()
            past = pcm[: 2 * (end - start)]
            place = 2 * (start - self._read)
            agent[place : place + len(past)] = past
            if len(past) < len(pcm):
                self._agent.appendleft((end, pcm[len(past) :]))
                break
        self._read = end
        stereo = bytearray(2 * size)
        for at, half in enumerate((caller[0::2], caller[1::2], agent[0::2], agent[1::2])):
            stereo[at::4] = half
        return bytes(stereo)

    def _read_caller(self, size: int) -> bytes:
        """So many bytes, or what there is and silence after it."""
        read = bytearray()
        while self._caller and len(read) < size:
            piece, room = self._caller.popleft(), size - len(read)
            if isinstance(piece, int):
                now = min(piece, room // 2)
                read += bytes(2 * now)
                if now < piece:
                    self._caller.appendleft(piece - now)
            else:
                read += piece[:room]
                if room < len(piece):
                    self._caller.appendleft(piece[room:])
        return bytes(read.ljust(size, b"\0"))

    def _linear(self, chunk: AudioChunk) -> bytes:
        if chunk.format == self.format:
            return chunk.data
        transcoder = self._transcoders.get(chunk.format)
        if transcoder is None:
            transcoder = self._transcoders[chunk.format] = Transcoder(chunk.format, self.format)
        converted = transcoder.convert(chunk)
        return b"" if converted is None else converted.data

    def _position(self, at_ms: float) -> int:
        return max(0, round((at_ms - self._start_ms) * self.format.sample_rate / 1000))
