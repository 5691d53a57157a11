"""An engine that is down is left out where there is another agent, and tried where there is none."""

from __future__ import annotations

import pytest

from patter_core.agent import Agent
from patter_core.call.config import HostConfig
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.timeouts import Deadlines
from patter_core.errors import EngineLost
from patter_core.telephony.outcome import HangUp
from patter_core.testing.fakes import FakeEngine
from tests.calls import CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

FAILURES = 5
"""After which an engine is not tried for a while."""


class Sick(FakeEngine):
    """An engine that cannot be reached while `is_down`, and counts how often it was tried."""

    def __init__(self) -> None:
        super().__init__(before_open=self._fail)
        self.tries = 0
        self.is_down = True

    async def _fail(self) -> None:
        self.tries += 1
        if self.is_down:
            raise EngineLost("Out of order.", retry=True)


class Worker:
    """A worker with one engine and perhaps a reserve. Its clock is set by the test."""

    def __init__(self, *, has_reserve: bool = True) -> None:
        self.engine = Sick()
        self.reserve = FakeEngine()
        self.now = 0.0
        self._breakers = EngineBreakers()
        self._fallback = Agent(engine=self.reserve) if has_reserve else HangUp()

    async def call(self) -> str:
        """A call, up to the agent's being there; returns why it ended."""
        scene = CallScene(self.engine)
        scene.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=self._fallback),
            carrier=scene.carrier,
            put=scene.records.append,
            config=HostConfig(deadlines=Deadlines(last_word=0.2)),
            breakers=self._breakers,
            clock=lambda: self.now,
        )
        async with scene.running():
            scene.attach()
            scene.socket.say("start", "leg-1")
            await until(lambda: "conversation_started" in scene.kinds() or scene.call.is_over)
            scene.socket.say("stop")
        return scene.end.reason


async def test_after_five_failures_calls_go_to_the_reserve_at_once_until_the_pause_is_over() -> None:
    worker = Worker()
    for _ in range(FAILURES + 3):
        assert await worker.call() == "caller_hung_up"
    assert (worker.engine.tries, len(worker.reserve.sessions)) == (FAILURES, FAILURES + 3)
    worker.now += 10.1
    await worker.call()  # one finds that it is still down
    await worker.call()
    assert worker.engine.tries == FAILURES + 1
    worker.now += 10.1
    worker.engine.is_down = False
    for _ in range(3):
        await worker.call()
    assert len(worker.engine.sessions) == 3


async def test_without_a_reserve_it_is_tried_all_the_same() -> None:
    worker = Worker(has_reserve=False)
    for _ in range(FAILURES + 3):
        assert await worker.call() == "engine_failed"
    assert worker.engine.tries == FAILURES + 3


async def test_failures_of_long_ago_do_not_count() -> None:
    worker = Worker()
    for _ in range(FAILURES * 2):
        await worker.call()
        worker.now += 10
    assert worker.engine.tries == FAILURES * 2


async def test_engines_that_are_equal_and_cannot_be_hashed_have_breakers_of_their_own() -> None:
    class Unhashable(FakeEngine):
        __hash__ = None  # type: ignore[assignment] # as a dataclass that compares by its fields

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Unhashable)

    breakers, one, other = EngineBreakers(), Unhashable(), Unhashable()
    assert breakers.of(one) is breakers.of(one)
    assert breakers.of(one) is not breakers.of(other)
