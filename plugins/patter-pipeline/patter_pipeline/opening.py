"""Opens a session: speech recognition and the voice at once, each with its reserves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio
import anyio.abc
import msgspec

from patter_core.aio.foreign import run_behind
from patter_core.engine import ConversationSetup
from patter_core.errors import EngineError, EngineLost
from patter_pipeline.engine import Pipeline
from patter_pipeline.listening import open_stt
from patter_pipeline.parts import SttSession, TtsSession
from patter_pipeline.placeholders import filled
from patter_pipeline.session import Opened, PipelineSession
from patter_pipeline.speaking import open_tts
from patter_pipeline.work import Closing, close

__all__ = ["open_session"]

_WITHIN = 10.0
"""Seconds for the last part of a kind."""
_WITH_RESERVE = 3.0
"""Seconds for one that has a reserve."""

P = TypeVar("P")
S = TypeVar("S", bound=Closing)


class _First(msgspec.Struct, Generic[S]):
    """The first part of a kind that could be opened."""

    place: int = 0
    session: S | None = None
    error: EngineError | None = None


async def open_session(pipeline: Pipeline, setup: ConversationSetup) -> PipelineSession:
    """Returns a session that is ready for audio.

    Raises:
        EngineError: no part of a kind could be opened.
    """
    format, language = setup.preferred_format, setup.language
    stt, tts = _First[SttSession](), _First[TtsSession]()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                _open, stt, pipeline.stt, lambda part, within: open_stt(part, format, language, within), tasks
            )
            tasks.start_soon(
                _open,
                tts,
                pipeline.tts,
                lambda part, within: open_tts(part, format, setup.voice, language, within),
                tasks,
            )
        return PipelineSession(pipeline, filled(setup), _both(stt, tts), clock=time.monotonic)
    except BaseException:
        for session in (stt.session, tts.session):
            if session is not None:
                run_behind(close, session)
        raise


def _both(stt: _First[SttSession], tts: _First[TtsSession]) -> Opened:
    if stt.session is not None and tts.session is not None:
        return Opened(stt.place, stt.session, tts.place, tts.session, tts.session.output_format)
    raise stt.error or tts.error or EngineLost("A part of the pipeline could not be opened.", retry=True)


async def _open(
    first: _First[S],
    parts: Sequence[P],
    open_one: Callable[[P, float], Awaitable[S]],
    tasks: anyio.abc.TaskGroup,
) -> None:
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        try:
            first.session = await open_one(part, _WITHIN if is_last else _WITH_RESERVE)
        except EngineError as error:
            first.error = error
        else:
            first.place, first.error = place, None
            return
    tasks.cancel_scope.cancel()
