"""The carrier's media socket within a call: a peer that sends more than a call can need is slowed, then cut."""

from __future__ import annotations

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call import media_leg
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.events import DtmfReceived, MediaTrouble
from patter_core.net.budget import Budget
from tests.calls import OutboundScene

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


def small_budget() -> Budget:
    return Budget(messages=1_000, size=1_000_000, burst=0.1, patience=0.3)


async def test_a_flood_is_read_more_slowly_then_ends_its_socket_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_leg, "Budget", small_budget)
    scene = OutboundScene(deadlines=Deadlines(media_return=0.1, last_word=0.1))
    async with scene.running():
        await scene.live()
        for _ in range(20_000):
            scene.socket.say("dtmf", "7")
        began = anyio.current_time()
        await scene.until(State.ENDED)
        took = anyio.current_time() - began
    assert scene.end.reason == "media_lost"
    assert scene.socket.closed
    assert 0.3 < took < 5
    assert len(scene.of(DtmfReceived)) < 2_000
    assert [trouble.problem for trouble in scene.of(MediaTrouble)] == [
        "too many messages; they are read more slowly",
        "far too many messages; the socket was closed",
    ]


async def test_a_burst_after_a_stall_is_speech() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        for _ in range(500):  # 10 s of audio at once
            scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: len(session.heard) == 500)
        scene.socket.say("stop")
    assert scene.of(MediaTrouble) == []
