"""A call's two sides laid side by side on one clock, as they were heard. Sans-IO: times come with the records.

The caller's audio is the clock: it comes as it is spoken, so its samples are counted. The agent's comes faster than it
plays: it is placed where the carrier plays it, after what was sent before or at once, and what the caller talked over
is cut. Only what is in the past is given out, since the future may still be cut.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import Transcoder

__all__ = ["StereoMix"]

_LAG = 0.5
"""Seconds by which the caller's samples must trail the clock, all the time for a second, until silence is put in for
what was lost. The burst after a stall catches up at once."""
_LAG_WATCHED_MS = 1000.0

_Samples = NDArray[np.int16]


class StereoMix:
    """The sound of one call, as stereo PCM16: caller left, agent right.

    Args:
        format: of the caller's audio; its rate is the recording's.
        start_ms: when the first sample was spoken, on the clock of all other times.
    """

    def __init__(self, format: AudioFormat, start_ms: float) -> None:
        self.format = AudioFormat(Encoding.PCM16, format.sample_rate)
        self._start_ms = start_ms
        self._given = 0
        """Samples given out, on each side."""
        self._caller: deque[_Samples] = deque()
        self._caller_end = 0
        self._agent: deque[tuple[int, _Samples]] = deque()
        self._agent_end = 0
        self._lag_since_ms = start_ms
        self._least_lag = 0
        self._converters: dict[AudioFormat, Transcoder] = {}

    def caller(self, chunk: AudioChunk, at_ms: float) -> None:
        """The caller was heard."""
        samples = self._linear(chunk)
        self._least_lag = min(self._least_lag, self._position(at_ms) - self._caller_end - len(samples))
        if at_ms - self._lag_since_ms >= _LAG_WATCHED_MS:
            if self._least_lag > _LAG * self.format.sample_rate:
                self._append(np.zeros(self._least_lag, np.int16))
            self._lag_since_ms = at_ms
            self._least_lag = self._position(at_ms) - self._caller_end - len(samples)
        self._append(samples)

    def agent(self, chunk: AudioChunk, at_ms: float) -> None:
        """The agent's audio was sent: it plays when what was sent before has been played."""
        samples = self._linear(chunk)
        start = max(self._agent_end, self._position(at_ms), self._given)
        self._agent.append((start, samples))
        self._agent_end = start + len(samples)

    def cut(self, at_ms: float) -> None:
        """The caller talked over the agent: from here on nothing of what was sent is heard."""
        end = max(self._position(at_ms), self._given)
        kept = [(start, samples[: end - start]) for start, samples in self._agent if start < end]
        self._agent = deque(kept)
        self._agent_end = min(self._agent_end, end)
        for converter in self._converters.values():
            converter.flush()  # what a filter held back is void, too

    def past(self) -> bytes:
        """What has become past since the last time, as interleaved samples."""
        return self._give(self._caller_end)

    def rest(self, at_ms: float) -> bytes:
        """What is left at the call's end; the agent is heard up to there."""
        return self._give(max(self._caller_end, min(self._agent_end, self._position(at_ms))))

    def _append(self, samples: _Samples) -> None:
        self._caller.append(samples)
        self._caller_end += len(samples)

    def _give(self, end: int) -> bytes:
        mix = np.zeros((end - self._given, 2), np.int16)
        filled = 0
        while self._caller:
            samples = self._caller.popleft()
            mix[filled : filled + len(samples), 0] = samples
            filled += len(samples)
        while self._agent and self._agent[0][0] < end:
            start, samples = self._agent.popleft()
            now = samples[: end - start]
            mix[start - self._given : start - self._given + len(now), 1] = now
            if len(now) < len(samples):
                self._agent.appendleft((end, samples[len(now) :]))
                break
        self._given = end
        return mix.astype("<i2", copy=False).tobytes()

    def _linear(self, chunk: AudioChunk) -> _Samples:
        if chunk.format == self.format:
            data = chunk.data
        else:
            converter = self._converters.get(chunk.format)
            if converter is None:
                converter = self._converters[chunk.format] = Transcoder(chunk.format, self.format)
            converted = converter.convert(chunk)
            data = b"" if converted is None else converted.data
        return np.frombuffer(data, "<i2").astype(np.int16, copy=False)

    def _position(self, at_ms: float) -> int:
        return max(0, round((at_ms - self._start_ms) * self.format.sample_rate / 1000))
