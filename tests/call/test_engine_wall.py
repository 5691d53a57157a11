"""An engine's plugin may raise anything, hang, or come too late: the call sees an `EngineError`, and in time."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from patter_core.audio import ULAW_8000
from patter_core.call import engine_wall
from patter_core.call.engine_wall import as_engine_error, close_session, open_session
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import EngineError, EngineLost, EngineRefused, EngineTimeout
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.fakes import FakeEngine, FakeSession
from tests.polling import until

pytestmark = pytest.mark.anyio

SETUP = ConversationSetup(
    leg=Leg(carrier="fake", call_id="leg-1", direction=Direction.INBOUND), preferred_format=ULAW_8000
)
ANYTHING = [KeyError("x"), ConnectionResetError(), ImportError("socksio"), SystemExit(1), asyncio.CancelledError()]


class Raises(FakeEngine):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    async def open(self, setup: ConversationSetup) -> EngineSession:
        await asyncio.sleep(0)
        raise self._error


class Stubborn(FakeEngine):
    """Takes its time, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def open(self, setup: ConversationSetup) -> EngineSession:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        return await super().open(setup)


@pytest.mark.parametrize("error", ANYTHING, ids=repr)
async def test_whatever_comes_out_of_open_is_the_engines_failure(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EngineLost) as caught:
        await open_session(Raises(error), SETUP, 1.0)
    assert caught.value.retry
    assert "plugin" in str(caught.value)
    assert type(error).__name__ in caplog.text


async def test_an_engine_error_is_what_it_says() -> None:
    refusal = EngineRefused("Wrong key.", status=401)
    with pytest.raises(EngineRefused) as caught:
        await open_session(Raises(refusal), SETUP, 1.0)
    assert caught.value is refusal


async def test_a_timeout_of_the_plugins_own_is_one() -> None:
    with pytest.raises(EngineTimeout):
        await open_session(Raises(TimeoutError()), SETUP, None)


async def test_an_attempt_that_takes_too_long_delays_no_other_one_and_its_session_is_closed_when_it_comes() -> None:
    engine = Stubborn()
    with anyio.fail_after(5), pytest.raises(EngineTimeout, match=r"within 0\.1 s"):
        await open_session(engine, SETUP, 0.1)
    engine.released.set()
    session = await engine.session()
    await until(lambda: session.closed)


async def test_a_session_that_comes_as_the_call_ends_is_closed() -> None:
    engine = FakeEngine()
    async with anyio.create_task_group() as tasks:

        async def opens() -> None:
            await open_session(engine, SETUP, None)
            await anyio.sleep_forever()

        tasks.start_soon(opens)
        await anyio.wait_all_tasks_blocked()
        assert len(engine.sessions) == 1
        tasks.cancel_scope.cancel()


class HardToClose(FakeSession):
    def __init__(self, error: BaseException | None) -> None:
        super().__init__(SETUP, ULAW_8000, ULAW_8000)
        self._error = error

    async def aclose(self) -> None:
        if self._error is None:
            await anyio.sleep_forever()
        else:
            raise self._error


@pytest.mark.parametrize("error", [None, *ANYTHING], ids=repr)
async def test_a_session_that_does_not_close_holds_up_nothing(
    error: BaseException | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_wall, "_CLOSE_TIMEOUT", 0.05)
    with anyio.fail_after(5):
        await close_session(HardToClose(error))
    assert "clos" in caplog.text


def test_an_engine_error_stays_as_it_is() -> None:
    error = EngineError("gone")
    assert as_engine_error(error) is error


class Speechless(EngineError):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [Speechless("x"), EngineError("x", retry_after="3"), EngineError("x", retry_after=float("inf"))],  # type: ignore[arg-type] # nonsense
)
def test_an_engine_error_that_makes_no_sense_is_replaced(error: EngineError) -> None:
    assert type(as_engine_error(error)) is EngineLost
