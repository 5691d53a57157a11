"""Plugins decide who takes a call; what one does wrong is told, and the next one is asked."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

import anyio
import pytest

from patter_core import hookimpl
from patter_core.agent import Agent
from patter_core.plugins.loading import new_manager
from patter_core.server.routing import RouteHooks
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeEngine
from patter_core.webhook import Reject

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1")


def plugin(route: Callable[[Leg], object], *, plain: bool = True) -> object:
    """A plugin that routes calls by a function, as coroutine function or as plain one."""

    class Plain:
        @hookimpl
        def patter_route_call(self, leg: Leg) -> object:
            return route(leg)

    class Asynchronous:
        @hookimpl
        async def patter_route_call(self, leg: Leg) -> object:
            return route(leg)

    return Plain() if plain else Asynchronous()


def deciding(decision: Agent | Reject | Transfer | None) -> object:
    return plugin(lambda _leg: decision)


class WithoutArguments:
    @hookimpl
    async def patter_route_call(self) -> Reject:
        await anyio.lowlevel.checkpoint()
        return Reject()


def hooks(*plugins: object, within: float = 5.0) -> RouteHooks:
    """The hooks of plugins that are asked in this order."""
    manager = new_manager()
    for number, plugin in reversed(list(enumerate(plugins))):
        manager.register(plugin, name=f"plugin {number}")
    return RouteHooks(manager, within)


def fail(_leg: Leg) -> None:
    raise ValueError("It fails.")


def leave(_leg: Leg) -> None:
    sys.exit(1)


def say_cancelled(_leg: Leg) -> None:
    raise asyncio.CancelledError


def name_it(_leg: Leg) -> str:
    return "agent"


async def test_without_plugins_there_is_no_decision() -> None:
    assert await hooks().ask(LEG) is None


async def test_the_first_that_decides_is_obeyed() -> None:
    agent = Agent(engine=FakeEngine())
    for decision in (agent, Reject(), Transfer("+15550001111")):
        plugins = [deciding(None), deciding(decision), WithoutArguments()]
        assert await hooks(*plugins).ask(LEG) is decision
    assert await hooks(deciding(None), WithoutArguments()).ask(LEG) == Reject()


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (fail, "ValueError: It fails."),
        (leave, "It raised SystemExit."),
        (say_cancelled, "It raised CancelledError, without being cancelled."),
        (name_it, "did not route a call to an Agent, one with options, a Reject, a Transfer or None but to str"),
    ],
)
async def test_one_that_does_it_wrong_is_told_and_passed_over(
    function: Callable[[Leg], object], told: str, plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert await hooks(plugin(function, plain=plain), deciding(Reject())).ask(LEG) == Reject()
    assert "Plugin plugin 0 " in caplog.text
    assert "passed over" in caplog.text
    assert told in caplog.text


async def test_one_that_hangs_is_told_with_its_place_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    class WaitsHere:
        @hookimpl
        async def patter_route_call(self) -> None:
            await anyio.sleep_forever()

    def hang_here(_leg: Leg) -> None:
        gate.wait(20)

    plugins = [plugin(hang_here), WaitsHere(), deciding(Reject())]
    assert await hooks(*plugins, within=0.1).ask(LEG) == Reject()
    gate.set()
    assert caplog.text.count("It took too long.") == 2
    assert "in hang_here" in caplog.text
    assert "in patter_route_call" in caplog.text


async def test_a_plain_one_that_blocks_does_not_block_the_event_loop() -> None:
    gate = threading.Event()

    def wait(_leg: Leg) -> Reject | None:
        return Reject() if gate.wait(5) else None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
        ask = asyncio.create_task(hooks(plugin(wait)).ask(LEG))
        await anyio.wait_all_tasks_blocked()
        gate.set()  # an event loop that is blocked comes here too late
        assert await ask == Reject()
