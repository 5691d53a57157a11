"""The turn detector is asked in a thread, about the turn's audio alone; what it does wrong costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_pipeline.detecting import Detector
from patter_pipeline.parts import TurnDetector
from patter_pipeline.recent import Recent
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Asked(TurnDetector):
    name = "asked"

    def __init__(self, answer: float = 0.8) -> None:
        self.answer = answer
        self.asked: list[tuple[str, float, int]] = []

    async def complete(self, text: str, audio: AudioChunk) -> float:
        assert audio.format == PCM16_16000
        await anyio.lowlevel.checkpoint()
        self.asked.append((text, audio.duration_ms, threading.get_ident()))
        return self.answer


def recent(seconds: float) -> Recent:
    kept = Recent(ULAW_8000)
    kept.keep(AudioChunk(b"\xff" * ULAW_8000.size(seconds * 1000), ULAW_8000))
    return kept


async def test_it_is_asked_about_the_turn_alone(work: Work, until: Until) -> None:
    told: list[inputs.Input] = []
    part = Asked()
    detector = Detector(part, recent(10), take=told.append, work=work)
    detector.ask(1, "I would like", 1_000.0)
    await until(lambda: len(told) == 1)
    detector.ask(2, "I would like a table", 60_000.0)
    await until(lambda: len(told) == 2)
    assert told == [inputs.Detected(1, 0.8), inputs.Detected(2, 0.8)]
    assert [(text, duration) for text, duration, _ in part.asked] == [
        ("I would like", 1_000.0),
        ("I would like a table", 8_000.0),
    ]
    assert part.asked[0][2] != threading.get_ident()


@pytest.mark.parametrize(("answer", "expected"), [(7.0, 1.0), (-1.0, 0.0)])
async def test_what_is_no_probability_is_made_one(answer: float, expected: float, work: Work, until: Until) -> None:
    told: list[inputs.Input] = []
    Detector(Asked(answer), recent(1), take=told.append, work=work).ask(1, "", 0.0)
    await until(lambda: told == [inputs.Detected(1, expected)])


async def test_one_that_raises_or_hangs_is_no_answer(work: Work) -> None:
    class Raises(Asked):
        async def complete(self, text: str, audio: AudioChunk) -> float:
            raise SystemExit

    class Hangs(Asked):
        async def complete(self, text: str, audio: AudioChunk) -> float:
            time.sleep(1.3)  # noqa: ASYNC251 - the mischief, in a thread of its own
            return 0.5

    told: list[inputs.Input] = []
    for part in (Raises(), Hangs()):
        Detector(part, recent(1), take=told.append, work=work).ask(1, "", 1_000.0)
    await anyio.sleep(1.6)
    assert not told


async def test_without_one_nothing_is_asked(work: Work) -> None:
    told: list[inputs.Input] = []
    Detector(None, recent(1), take=told.append, work=work).ask(1, "", 1_000.0)
    await anyio.sleep(0.01)
    assert not told
