"""Prices are asked for after the call, in one task; nothing waits for it, and what fails is asked again."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import anyio
import pytest

from patter_core.server import price_lookup
from patter_core.server.price_lookup import PriceLookup
from patter_core.telephony.control import Capability, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier
from tests.polling import until

pytestmark = pytest.mark.anyio

COST = Cost(Decimal("0.01"), estimated=False)
LEG = Leg(carrier="fake", call_id="leg-1")


class Scene:
    def __init__(self, carrier: FakeCarrier, ask_after: tuple[float, ...] = (0.0, 0.0, 0.0)) -> None:
        self.prices: list[tuple[Leg, Cost]] = []
        self.heard = anyio.Event()
        self.lookup = PriceLookup(carrier, self.found, ask_after)

    def found(self, leg: Leg, cost: Cost) -> None:
        self.prices.append((leg, cost))
        self.heard.set()


async def test_a_price_is_asked_for_until_it_is_known_and_told_once() -> None:
    carrier = FakeCarrier()
    carrier.refusals = 1
    carrier.facts = LegFacts(progress=Progress.COMPLETED, cost=COST)
    scene = Scene(carrier)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.lookup.run)
            scene.lookup.want(LEG)
            await scene.heard.wait()
            tasks.cancel_scope.cancel()
    assert scene.prices == [(LEG, COST)]
    assert carrier.commands == ["look up leg-1"]


async def test_a_price_that_nobody_ever_knows_is_given_up() -> None:
    carrier = FakeCarrier()
    scene = Scene(carrier)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.lookup.run)
            scene.lookup.want(LEG)
            await until(lambda: len(carrier.commands) >= 3)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert carrier.commands == ["look up leg-1"] * 3
    assert scene.prices == []


async def test_too_many_calls_at_once_are_not_all_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_lookup, "_LIMIT", 2)
    scene = Scene(FakeCarrier(), (60.0,))
    for _ in range(5):
        scene.lookup.want(LEG)
    assert scene.lookup.skipped == 3


@pytest.mark.parametrize("capabilities", [frozenset(), frozenset({Capability.LOOK_UP})])
async def test_a_carrier_that_cannot_be_asked_is_not(
    monkeypatch: pytest.MonkeyPatch, capabilities: frozenset[Capability]
) -> None:
    monkeypatch.setattr(FakeCarrier, "capabilities", capabilities)
    scene = Scene(FakeCarrier())
    scene.lookup.want(LEG)
    assert len(scene.lookup) == 0


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), ValueError("a bug")])
async def test_whatever_comes_out_of_a_carrier_the_next_price_is_asked_for(error: BaseException) -> None:
    class Foreign(FakeCarrier):
        asked = 0

        async def look_up(self, leg: Leg) -> LegFacts:
            self.asked += 1
            if self.asked == 1:
                raise error
            return LegFacts(progress=Progress.COMPLETED, cost=COST)

    scene = Scene(Foreign())
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.lookup.run)
            scene.lookup.want(LEG)
            await scene.heard.wait()
            tasks.cancel_scope.cancel()
    assert scene.prices == [(LEG, COST)]
