"""What fails for a while: an engine that refuses, conversations that are lost, a carrier's API that is away."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest

from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from tests.chaos.agents import Steady
from tests.chaos.balancer import Balancer
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, Fleet, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import SORRY, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 5
REFUSED = 2.0
"""Seconds."""
CONNECTED_WITHIN = 2.5
"""`Deadlines.engine_connect`."""
GOODBYE = 2.0
"""Seconds that the agent talks before it ends the call."""
OVER_WITHIN = 20.0
"""Seconds: it is asked again after 5 and 10."""
HASTE = 1.0
"""What a busy machine may add."""


@contextlib.asynccontextmanager
async def ringing(
    emulator: type[AnyCarrier],
    engine: ElevenLabsEmulator,
    settings: Settings,
    folder: Path,
    api: Balancer | None = None,
) -> AsyncIterator[tuple[Fleet, Callers]]:
    """A worker and callers at it."""
    async with running_fleet(emulator, engine, folder) as fleet, anyio.create_task_group() as tasks:
        if api is not None:
            fleet.api_url = f"http://127.0.0.1:{api.port}"
            api.workers = [int(fleet.carrier.base_url.rpartition(":")[2])]
        await fleet.start(settings)
        callers = Callers(fleet, CALLS)
        callers.start(tasks)
        yield fleet, callers
        tasks.cancel_scope.cancel()


# --- an engine that refuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_an_engine_that_refuses_for_two_seconds_costs_no_call(status: int, tmp_path: Path) -> None:
    """Those two seconds are within `engine_connect`, and there are tries enough."""
    engine = ElevenLabsEmulator(Behaviour(agent=Steady(), refuse_upgrade=status))
    emulator = EMULATORS[0]
    async with ringing(emulator, engine, Settings(fallback="try again", retries=5), tmp_path) as (_, callers):
        async with anyio.create_task_group() as waiting:
            for call in callers.calls:
                waiting.start_soon(call.streaming)
        await anyio.sleep(REFUSED)
        engine.behaviour = dataclasses.replace(engine.behaviour, refuse_upgrade=0)
        took = REFUSED + await until(
            lambda: callers.lost > 0 or all(heard > 800 for heard in callers.heard()), within=CONNECTED_WITHIN + HASTE
        )
        lost = callers.lost
    assert lost == 0
    note(
        f"an engine that answers {status} for {REFUSED:.0f} s", tried=CALLS, lost=lost, figure=f"heard in {took:.1f} s"
    )


# --- conversations that are lost -------------------------------------------------------------------------------------


class Broken(Steady):
    """Talks for some seconds, and breaks off."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, talk: Conversation) -> None:
        with anyio.move_on_after(self._seconds):
            await super().__call__(talk)
        talk.abort()


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_conversation_that_is_lost_every_few_seconds_is_tried_as_often_as_the_agent_says(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    """Each time the caller hears the next one at once; when the tries are spent, what the fallback says."""
    engine = ElevenLabsEmulator(Behaviour(agent=Broken(2.0)))
    async with ringing(emulator, engine, Settings(fallback="try again", retries=3), tmp_path) as (_, callers):
        await callers.all_hear_more([0] * CALLS, within=15)
        since = callers.positions()
        await until(lambda: len(engine.conversations) == 4 * CALLS, within=15, every=0.02)
        await anyio.sleep(1)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        await until(lambda: all(call.spoken == [SORRY] for call in callers.calls), within=10)
        await until(lambda: callers.lost == CALLS, within=10)
    assert lost == 0
    assert len(engine.conversations) == 4 * CALLS  # three tries, and not one more
    assert gap < HASTE * 1000
    note(
        f"conversations lost every 2 s, 3 tries, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"longest gap {gap:.0f} ms, {len(engine.conversations) // CALLS} conversations a call",
    )


# --- a carrier's API that is away ------------------------------------------------------------------------------------


async def goodbye(talk: Conversation) -> None:
    with anyio.move_on_after(GOODBYE):
        await Steady()(talk)
    await talk.close(1000)


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("away", ["refuses", "hangs"])
async def test_hang_ups_while_the_carriers_api_is_away_are_made_up_for(
    emulator: type[AnyCarrier], away: str, tmp_path: Path
) -> None:
    """The agent ends the calls; the API comes back after some seconds. No leg stays up, and no caller hears silence."""
    engine = ElevenLabsEmulator(Behaviour(agent=goodbye))
    async with (
        Balancer().running() as api,
        ringing(emulator, engine, Settings(), tmp_path, api) as (_, callers),
    ):
        await callers.all_hear_more([0] * CALLS, within=15)
        there, api.workers = api.workers, []
        for link in api.links:
            link.freeze_both() if away == "hangs" else link.cut()
        began = anyio.current_time()
        await until(lambda: all(call.stream.ended.is_set() for call in callers.calls), within=10)
        silent = anyio.current_time() - began
        await anyio.sleep(3)
        api.workers = there
        await until(lambda: callers.lost == CALLS, within=OVER_WITHIN)
        took = anyio.current_time() - began
    assert silent < GOODBYE + 1.0 + HASTE  # a hang-up has one second before the socket is closed
    note(
        f"the carrier's API {away} during hang-ups, {emulator.__name__}",
        tried=CALLS,
        lost=0,
        figure=f"media sockets closed after {silent:.1f} s, all legs over after {took:.1f} s",
    )
