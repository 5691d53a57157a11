"""A session that follows another one is told what was said, says what it should say first, and does not greet again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.history import HistoryWriter
from patter_core.call.records import Outlets
from patter_core.call.timeouts import Deadlines
from patter_core.engine import EngineCapability
from patter_core.errors import EngineLost, StoreUnavailable
from patter_core.events import ResponseDone, ResponseStart, TranscriptInput
from patter_core.history import AgentSaid, UserSaid
from patter_core.store import HistoryLine
from patter_core.testing.fakes import FakeEngine, MemoryCallStore
from tests.calls import CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

GREETING = "Good morning."
RESUME = "Where were we?"
WISH = UserSaid(text="A table for two.", started_ms=1.0)
SPEECH = AudioChunk(bytes(range(160)) * 10, ULAW_8000)


class Knowing(FakeEngine):
    """Takes the history as it is opened."""

    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.HISTORY}


class Slow(MemoryCallStore):
    """Answers after a while, or never."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        super().__init__()
        self.seconds, self.error = seconds, error

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        await anyio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return await super().history(call_id)


class Scene(CallScene):
    def __init__(
        self,
        engine: FakeEngine | None = None,
        *,
        resume_message: str = "",
        streams: int = 0,
        store: MemoryCallStore | None = None,
        reply: float = 0.0,
    ) -> None:
        super().__init__(engine or Knowing())
        self.call = new_call(
            self.engine,
            agent=Agent(
                engine=self.engine, first_message=GREETING, resume_message=resume_message, fallback=Retry(times=3)
            ),
            carrier=self.carrier,
            streams=streams,
            config=HostConfig(deadlines=Deadlines(last_word=0.2, reply=reply)),
            outlets=Outlets(put=(self.records.append,), history=HistoryWriter(store)),
        )


@pytest.mark.parametrize("resume_message", ["", RESUME])
async def test_after_a_loss_the_next_session_knows_everything_and_does_not_greet(resume_message: str) -> None:
    scene = Scene(resume_message=resume_message)
    async with scene.running():
        first = await scene.live()
        assert (first.setup.first_message, first.setup.resumed, first.setup.history) == (GREETING, False, ())
        await scene.speak(first, GREETING)
        first.give(TranscriptInput("A table for two."))
        await scene.told("transcript_input")
        first.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        scene.socket.say("stop")
    assert (second.setup.first_message, second.setup.resumed) == (resume_message, True)
    said = [(type(item), item.text) for item in second.setup.history if isinstance(item, AgentSaid | UserSaid)]
    assert said == [(AgentSaid, GREETING), (UserSaid, "A table for two.")]
    assert second.context == []  # it was told already


async def test_a_session_that_died_before_anything_was_heard_or_said_leaves_the_greeting_due() -> None:
    scene = Scene(resume_message=RESUME)
    async with scene.running():
        first = await scene.live()
        first.give(ResponseStart())  # of a turn without audio
        first.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        assert (second.setup.first_message, second.setup.resumed) == (GREETING, False)
        second.give(SPEECH)
        await scene.socket.wait_for("audio")
        second.fail(EngineLost("gone", retry=True))  # the caller hears a part of the greeting
        third = await scene.engine.session(2)
        scene.socket.say("stop")
    assert (third.setup.first_message, third.setup.resumed) == (RESUME, True)


async def test_a_greeting_that_waits_for_the_callers_audio_is_not_said_twice() -> None:
    scene = Scene()
    scene.call = new_call(
        scene.engine,
        agent=Agent(engine=scene.engine, first_message=GREETING, fallback=Retry()),
        carrier=scene.carrier,
        put=scene.records.append,
        prewarm=True,
    )
    async with scene.running():
        first = await scene.engine.session()
        for event in (ResponseStart(), SPEECH, ResponseDone()):
            first.give(event)
        await anyio.wait_all_tasks_blocked()
        first.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    assert (second.setup.first_message, second.setup.resumed) == ("", True)


async def test_after_a_freeze_the_greeting_is_not_said_again() -> None:
    scene = Scene(reply=0.2)
    async with scene.running():
        first = await scene.live()
        await scene.speak(first, GREETING)
        first.give(TranscriptInput("Hello?"))
        second = await scene.engine.session(1)
        scene.socket.say("stop")
    assert (second.setup.first_message, second.setup.resumed) == ("", True)


async def test_a_call_from_another_worker_begins_with_its_history() -> None:
    store = Slow(0.1)
    await store.append("call-1", HistoryLine("1", WISH))
    scene = Scene(streams=1, store=store, resume_message=RESUME)
    async with scene.running():
        session = await scene.live()
        scene.socket.say("stop")
    assert session.setup.history == (WISH,)
    assert (session.setup.first_message, session.setup.resumed) == (RESUME, True)
    assert session.context == []


async def test_a_store_that_is_slow_is_not_waited_for_and_what_it_knows_is_told_then() -> None:
    store = Slow(0.9)
    await store.append("call-1", HistoryLine("1", WISH))
    scene = Scene(streams=1, store=store)
    async with scene.running():
        began = anyio.current_time()
        session = await scene.live()
        assert anyio.current_time() - began < 0.85
        assert session.setup.history == ()
        await until(lambda: bool(session.context))
        scene.socket.say("stop")
    (told,) = session.context
    assert told.endswith("\nUser: A table for two.")
    assert (session.setup.first_message, session.setup.resumed) == ("", True)  # the other worker has greeted them


async def test_a_store_that_fails_delays_nothing_and_the_call_is_one_that_goes_on_all_the_same() -> None:
    scene = Scene(streams=1, store=Slow(0, StoreUnavailable("away")))
    async with scene.running():
        session = await scene.live()
        scene.socket.say("stop")
    assert (session.setup.history, session.setup.resumed, session.context) == ((), True, [])


async def test_a_call_that_was_nowhere_else_asks_no_store() -> None:
    scene = Scene(store=Slow(60))
    async with scene.running():
        began = anyio.current_time()
        await scene.live()
        assert anyio.current_time() - began < 0.4
        scene.socket.say("stop")


async def test_an_engine_that_takes_no_history_is_told_it_after_its_start() -> None:
    scene = Scene(FakeEngine())
    async with scene.running():
        first = await scene.live()
        await scene.speak(first, GREETING)
        first.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        await until(lambda: bool(second.context))
        scene.socket.say("stop")
    (told,) = second.context
    assert told.splitlines()[1:] == [f"You: {GREETING}"]
    assert "Do not start over" in told
