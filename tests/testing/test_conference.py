"""Two emulated calls that are connected: who hears what, and how it ends."""

from __future__ import annotations

import anyio
import pytest

from patter_core.aio import Changes
from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, Pause, Say, Step
from patter_core.testing.conference import Conference
from patter_core.testing.stream import CallRecording

pytestmark = pytest.mark.anyio

WORDS, OTHER = bytes(range(1, 161)) * 3, bytes(range(160, 0, -1)) * 3


class Line:
    def __init__(self, call_id: str, *steps: Step) -> None:
        self.call_id = call_id
        self.caller = Caller(steps, ULAW_8000)
        self.recording = CallRecording(format=ULAW_8000)
        self.changes = Changes()
        self.connected_to: list[str] = []


async def test_each_hears_what_the_other_says_until_one_hangs_up() -> None:
    one, other = Line("1", Say(WORDS), Pause(0.1)), Line("2", Pause(0.04), Say(OTHER), Pause(60.0))
    conference = Conference()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conference.join, one)
            tasks.start_soon(conference.join, other)
    assert conference.is_over
    assert (one.connected_to, other.connected_to) == (["2"], ["1"])
    assert (bytes(one.recording.played), bytes(other.recording.played)) == (OTHER, WORDS)
    assert one.recording.agent == other.recording.caller
    assert other.recording.agent == one.recording.caller
    assert len(one.recording.agent) == len(one.recording.caller)


@pytest.mark.parametrize("first_leaves", [True, False])
async def test_who_is_taken_away_ends_it_for_the_other(first_leaves: bool) -> None:
    conference = Conference()
    scopes = [anyio.CancelScope(), anyio.CancelScope()]

    async def join(line: Line, scope: anyio.CancelScope) -> None:
        with scope:
            await conference.join(line)

    lines = [Line(str(number), Pause(60.0)) for number in range(2)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for line, scope in zip(lines, scopes, strict=True):
                tasks.start_soon(join, line, scope)
            await lines[0].changes.wait_until(lambda: len(lines[0].recording.agent) > 800)
            scopes[not first_leaves].cancel()
    assert [scope.cancelled_caught for scope in scopes] == [first_leaves, not first_leaves]


async def test_who_is_alone_waits_and_says_nothing() -> None:
    line = Line("1", Say(WORDS))
    with anyio.move_on_after(0.1) as scope:
        await Conference().join(line)
    assert scope.cancelled_caught
    assert not line.recording.caller
    assert not line.connected_to
