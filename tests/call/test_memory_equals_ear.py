"""What the engine is told, what the log says and what the next session knows is what the caller heard."""

from __future__ import annotations

from typing import ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import EngineCapability
from patter_core.errors import EngineLost
from patter_core.events import Interruption, ResponseDone, ResponseStart, SpeechItem, TranscriptCorrection
from patter_core.events import TranscriptOutput as Said
from patter_core.history import AgentSaid
from patter_core.testing.fakes import FakeEngine
from tests.call.ear import Ear
from tests.calls import CallScene, new_call
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

ITEMS = {"a": "One two three four five six.", "b": "Seven eight nine ten eleven twelve.", "c": "Never heard."}
LEVELS = {"a": b"\x11", "b": b"\x22", "c": b"\x33"}
MARK_MS = 500
"""Of audio between two marks."""


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL


class Remembering(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.HISTORY}


@pytest.mark.parametrize(
    ("lag", "stall", "most_less"),
    [(0.0, 60.0, 20), (0.15, 60.0, 170), (0.0, 4.2, 20)],
    ids=["no lag", "150 ms of lag", "a stall"],
)
async def test_an_answer_of_three_items_that_is_interrupted_in_the_second(
    lag: float, stall: float, most_less: float
) -> None:
    scene = CallScene(Remembering())
    ear = scene.socket = Ear(lag, stall)
    agent = Agent(engine=scene.engine, first_message="Hello!", fallback=Retry())
    scene.call = new_call(
        scene.engine, agent=agent, carrier=scene.carrier, put=scene.records.append, clock=anyio.current_time
    )
    async with scene.running():
        session = await scene.live()
        session.give(ResponseStart(turn="1"))
        for item, text in ITEMS.items():
            session.give(SpeechItem(item=item, turn="1"))
            for _ in range(3):
                session.give(AudioChunk(LEVELS[item] * 8_000, ULAW_8000))
            session.give(Said(text, "1", item))
        session.give(ResponseDone("1"))
        await anyio.sleep(4.4)
        played = ear.played_ms(LEVELS["b"])
        session.give(Interruption("1"))
        await session.until(lambda: bool(session.told))
        (told,) = session.told
        session.fail(EngineLost("lost", retry=True))
        second = await scene.engine.session(1)
        scene.socket.say("stop")

    first, cut, last = told.items
    assert (first.item, first.heard_ms, first.sent_ms) == ("a", 3_000, 3_000)  # untouched
    assert (last.item, last.heard_ms) == ("c", 0)  # deleted
    assert cut.item == "b"
    next_mark = MARK_MS * (1 + played // MARK_MS)
    more = next_mark - played if stall < 60 else 20
    assert played - most_less <= cut.heard_ms <= played + more  # truncated to what was heard

    share = len(ITEMS["b"]) * round(cut.heard_ms) // 3_000
    heard = ITEMS["b"][: share + 1].rpartition(" ")[0]  # whole words
    assert heard
    assert [(one.text, one.interrupted) for one in second.setup.history if isinstance(one, AgentSaid)] == [
        (ITEMS["a"], False),
        (heard, True),
    ]
    assert second.setup.resumed
    assert second.setup.first_message == ""
    words = {one.item: one.text for one in scene.of(Said)} | {
        one.item: one.text for one in scene.of(TranscriptCorrection)
    }
    assert words == {"a": ITEMS["a"], "b": heard, "c": ""}
    assert second.context == []
