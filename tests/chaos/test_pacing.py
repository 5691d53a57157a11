"""Long answers, given at once, over real sockets to carriers that keep only so much and want whole frames."""

from __future__ import annotations

import math
import random
import time

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.events import Interruption, ResponseDone, ResponseHeard, ResponseStart
from patter_core.media import MediaOutput
from patter_core.testing.fakes import FakeSession
from tests.chaos.far_end import FarEnd, far_end
from tests.chaos.report import bound, note
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

PCM16_24000 = AudioFormat(Encoding.PCM16, 24_000)
BUFFERS = [2.0, 20.0, 30.0, math.inf]
SPARE = 1.5
"""How much more a carrier keeps than it is said to: a plugin stays well below the vendor's figure."""
STALL = 0.5
"""Seconds for which a busy machine may let both ends wait."""


def answer(session: FakeSession, data: bytes, format: AudioFormat, *, longest: int, turn: str = "") -> None:
    """A turn, at once, in chunks of any length."""
    dice, width = random.Random(len(data)), format.sample_width
    session.give(ResponseStart(turn=turn))
    at = 0
    while at < len(data):
        size = dice.randint(1, longest // width) * width
        session.give(AudioChunk(data[at : at + size], format))
        at += size
    session.give(ResponseDone())


def speech(seconds: float, format: AudioFormat = ULAW_8000) -> bytes:
    return random.Random(seconds).randbytes(format.size(seconds * 1000))


def heard(end: FarEnd) -> list[ResponseHeard]:
    return [record.event for record in end.records if isinstance(record.event, ResponseHeard)]


# --- nothing is lost, and nothing too much ---------------------------------------------------------------------------


async def talk(seconds: float, interrupted_at: float, max_buffered: float, speed: float) -> None:
    """One answer that is heard whole, then one that is interrupted.

    Where a busy machine keeps a mark for too long, a timer tells what was heard. Timers are not as fast as the clock.
    """
    output = MediaOutput(format=ULAW_8000, frame_ms=20, max_buffered=max_buffered)
    keeps = max_buffered * SPARE + STALL * speed
    async with far_end(output, keeps=keeps, speed=speed) as (end, session):
        said = speech(seconds)
        answer(session, said, ULAW_8000, longest=8_000, turn="whole")
        await until(lambda: len(end.played) == len(said), within=seconds / speed + 60)
        assert end.close_reason == ""
        assert bytes(end.played) == said
        await until(lambda: bool(heard(end)), within=seconds + 60)

        answer(session, b"\x01" * len(said), ULAW_8000, longest=8_000, turn="cut")
        await until(lambda: end.played.count(1, len(said)) >= 8_000 * interrupted_at, within=seconds / speed + 60)
        session.give(Interruption())
        await until(lambda: bool(end.cleared))
        received = len(end.received)
        answer(session, b"\x02" * 1_600, ULAW_8000, longest=1_600, turn="new")
        await until(lambda: len(heard(end)) == 3, within=seconds + 60)
        assert end.received[received:] == b"\x02" * 1_600
        assert end.most_buffered <= keeps
        told = [(one.turn, one.interrupted) for one in heard(end)]
        assert told == [("whole", False), ("cut", True), ("new", False)]
        assert heard(end)[1].heard_ms == pytest.approx(interrupted_at * 1000, abs=STALL * 1000 * speed)
    note(
        f"an answer of {seconds:g} s at once, {max_buffered:g} s of it at the carrier",
        tried=1,
        lost=0,
        figure=f"at most {end.most_buffered:.2f} s there",
    )


async def talks(seconds: float, interrupted_at: float, speed: float) -> None:
    async with anyio.create_task_group() as tasks:
        for max_buffered in BUFFERS:
            tasks.start_soon(talk, seconds, interrupted_at, max_buffered, speed)


@pytest.mark.quick
async def test_long_answers_at_once_are_heard_whole_and_are_cut_ten_times_as_fast() -> None:
    await talks(seconds=40, interrupted_at=10, speed=10)


async def test_long_answers_at_once_are_heard_whole_and_are_cut() -> None:
    await talks(seconds=90, interrupted_at=40, speed=1)


@pytest.mark.quick
@pytest.mark.parametrize("max_buffered", [2.0, 30.0])
async def test_an_interruption_of_audio_that_waits_clears_the_carrier_at_once(max_buffered: float) -> None:
    output = MediaOutput(format=ULAW_8000, frame_ms=20, max_buffered=max_buffered)
    times = list[float]()
    async with far_end(output, keeps=max_buffered * SPARE) as (end, session):
        chunk = AudioChunk(speech(90), ULAW_8000)
        for number in range(100):
            received = len(end.received)
            session.give(chunk)
            await until(lambda since=received: len(end.received) - since >= 8_000 * max_buffered - 160)  # type: ignore[misc] # a default is not inferred
            began = time.monotonic()
            session.give(Interruption())
            await until(lambda number=number: len(end.cleared) > number)  # type: ignore[misc] # as above
            times.append((end.cleared[-1] - began) * 1000)
            assert end.buffered == 0
        received = len(end.received)
        await anyio.sleep(0.3)
        assert len(end.received) == received
    p99 = sorted(times)[98]
    note(
        f"an interruption with {90 - max_buffered:g} s waiting",
        tried=100,
        lost=0,
        figure=f"clear after {p99:.1f} ms (p99)",
    )
    assert p99 <= bound(5) * 4


# --- whole frames ----------------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("max_buffered", [math.inf, 2.0], ids=["at once", "paced"])
async def test_a_carrier_that_wants_whole_frames_gets_the_engines_samples_and_one_padding_for_each_turn(
    max_buffered: float,
) -> None:
    output = MediaOutput(format=PCM16_24000, frame_ms=20, max_buffered=max_buffered)
    turns = [speech(length, PCM16_24000) for length in (0.0033, 7.7777, 20.01, 32.1)]
    expected = b"".join(turn + bytes(-len(turn) % 960) for turn in turns)
    async with far_end(output, keeps=bound(max_buffered * SPARE), speed=20) as (end, session):
        for turn in turns:
            answer(session, turn, PCM16_24000, longest=20_000)
        await until(lambda: len(end.received) >= len(expected) or bool(end.close_reason), within=60)
        assert end.close_reason == ""
        assert bytes(end.received) == expected
        await until(lambda: len(heard(end)) == len(turns), within=60)
    assert [one.heard_ms for one in heard(end)] == [pytest.approx(len(turn) / 48, abs=0.01) for turn in turns]
