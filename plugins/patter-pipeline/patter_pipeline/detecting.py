"""Asks the turn detector, in a thread, about the caller's turn so far."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.audio import PCM16_16000, AudioChunk
from patter_core.audio.transcode import transcode
from patter_core.errors import ForeignHang
from patter_pipeline.parts import TurnDetector
from patter_pipeline.recent import Recent
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

__all__ = ["Detector"]

_log = logging.getLogger("patter.pipeline")

_WITHIN = 1.0
"""Seconds after which its thread is left behind; its answer is ignored much earlier."""
_THREADS = 8
"""That ask at once, of all calls; beyond that it is not asked."""

_threads = DaemonThreads(_THREADS)


class Detector:
    """Asks the detector of one session.

    Args:
        part: the detector; None if there is none.
        recent: the last of the caller's audio.
        take: is told the answer.
        work: runs the tasks.
    """

    def __init__(
        self,
        part: TurnDetector | None,
        recent: Recent,
        *,
        take: Callable[[inputs.Input], None],
        work: Work,
    ) -> None:
        self._part = part
        self._recent = recent
        self._take = take
        self._work = work

    def ask(self, n: int, text: str, lasted_ms: float) -> None:
        """Asks whether the turn, which has lasted that long, is complete."""
        if self._part is None or _threads.full:
            return
        audio = AudioChunk(self._recent.last(lasted_ms), self._recent.format)
        self._work.start(functools.partial(self._ask, self._part, n, text, audio))

    async def _ask(self, part: TurnDetector, n: int, text: str, audio: AudioChunk) -> None:
        try:
            probability = await run_foreign(_threads.run, _WITHIN, _complete, part, text, audio)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary: the end timer decides
            error = as_exception(raised)
            if isinstance(error, ForeignHang):
                _log.warning("The turn detector %s does not answer.", type(part).__name__)
            else:
                _log.error("The turn detector %s failed.", type(part).__name__, exc_info=error)
            return
        self._take(inputs.Detected(n, probability))


def _complete(part: TurnDetector, text: str, audio: AudioChunk) -> float:
    """Runs in a thread."""
    linear = transcode(audio.data, audio.format, PCM16_16000)
    probability = float(asyncio.run(part.complete(text, AudioChunk(linear, PCM16_16000))))
    return min(max(probability, 0.0), 1.0)
