"""Strangers and floods at the door: no conversation is opened for them, and the live calls hear nothing of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from patter_core.server.tokens import Purpose
from patter_core.telephony.leg import Leg
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_vonage.testing import VonageEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.fleet import CARRIERS, AnyCall, AnyCarrier, Fleet, running_fleet
from tests.chaos.floods import announcement, flood, stream_token, upgrade
from tests.chaos.report import bound, note
from tests.chaos.worker import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

GAP_BOUND_MS = 800
LIVE = 10
REQUESTS = 300


def leg(fleet: Fleet) -> Leg:
    return Leg(carrier=fleet.name, call_id="v3:made-up")


def media_urls(call: AnyCall) -> list[str]:
    """The media URLs that a live call has used."""
    return [stream.settings.url for stream in call.streams]


def used_token(call: AnyCall) -> str:
    return media_urls(call)[0].rpartition("/")[2]


def attempts(fleet: Fleet, live: AnyCall, count: int) -> dict[str, list[str]]:
    """Requests that must be refused, by what is wrong with them."""
    carrier, port = fleet.carrier, fleet.workers[0].port
    url, stranger = fleet.url_of(port), type(carrier)()

    def many(make: Callable[[], str]) -> list[str]:
        return [make() for _ in range(count)]

    tried = {
        "forged webhook": many(lambda: announcement(carrier, url, forged=True)),
        "made-up token": many(lambda: upgrade(carrier, port, "A" * 300)),
        "short token": many(lambda: upgrade(carrier, port, "x")),
        "replayed token": many(lambda: upgrade(carrier, port, used_token(live))),
        "changed token": many(lambda: upgrade(carrier, port, used_token(live)[:-2] + "AA")),
        "expired token": many(lambda: upgrade(carrier, port, stream_token(carrier, leg(fleet), age=100))),
        "callback token for a stream token": many(
            lambda: upgrade(carrier, port, stream_token(carrier, leg(fleet), purpose=Purpose.CALLBACK))
        ),
        "token of another secret": many(lambda: upgrade(carrier, port, stream_token(stranger, leg(fleet)))),
    }
    if isinstance(carrier, TelnyxEmulator | VonageEmulator):
        tried["replayed webhook"] = many(lambda: announcement(carrier, url, age=1_000))
    if not isinstance(carrier, TelnyxEmulator):
        tried["unsigned upgrade"] = many(lambda: upgrade(stranger, port, stream_token(carrier, leg(fleet))))
    return tried


async def keep_strangers_out(emulator: type[AnyCarrier], folder: Path, *, live: int, count: int) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, folder) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start()
        callers = Callers(fleet, live)
        await callers.talk(tasks)
        since, conversations = callers.positions(), len(fleet.engine.conversations)
        tried = await anyio.to_thread.run_sync(attempts, fleet, callers.calls[0], count)  # a key takes seconds to make
        requests = [request for some in zip(*tried.values(), strict=True) for request in some]
        answers = await flood(worker.port, requests)
        await anyio.sleep(0.3)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        opened = len(fleet.engine.conversations) - conversations
        tasks.cancel_scope.cancel()
    assert answers == Counter({"403": len(requests)})
    assert (opened, lost) == (0, 0)
    assert gap < bound(GAP_BOUND_MS)
    note(
        f"{len(tried)} kinds of strangers, {count} times each, {live} live calls, {emulator.__name__}",
        tried=len(requests) + live,
        lost=lost + opened,
        figure=f"conversations opened for them: {opened}, longest gap {gap:.0f} ms",
    )


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_no_conversation_is_opened_for_a_stranger(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    await keep_strangers_out(emulator, tmp_path, live=2, count=10)


@pytest.mark.parametrize("emulator", CARRIERS)
async def test_no_conversation_is_opened_for_a_crowd_of_strangers(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    await keep_strangers_out(emulator, tmp_path, live=LIVE, count=100)


@pytest.mark.parametrize("emulator", CARRIERS)
@pytest.mark.parametrize("limit", ["calls at once", "calls a second"])
async def test_a_flood_of_new_calls_is_shed_and_the_live_ones_hear_nothing_of_it(
    emulator: type[AnyCarrier], limit: str, tmp_path: Path
) -> None:
    at_once = limit == "calls at once"
    settings = Settings(calls=LIVE if at_once else 500, calls_per_second=1000.0 if at_once else 10.0)
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(settings)
        callers = Callers(fleet, LIVE)
        await callers.talk(tasks)
        since, url = callers.positions(), fleet.url_of(worker.port)
        began = anyio.current_time()
        answers = await flood(worker.port, [announcement(fleet.carrier, url) for _ in range(REQUESTS)])
        took = anyio.current_time() - began
        await anyio.sleep(0.3)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        told_busy = rejected(fleet) if isinstance(fleet.carrier, TelnyxEmulator) else answers["200 busy"]
        tasks.cancel_scope.cancel()
    assert sum(answers.values()) == REQUESTS
    assert set(answers) <= {"200", "200 busy"}
    assert told_busy >= (REQUESTS if at_once else REQUESTS - 10 - 10 * (took + 1))
    assert lost == 0
    assert gap < bound(GAP_BOUND_MS)
    note(
        f"{REQUESTS} new calls beyond the limit of {limit}, {LIVE} live, {emulator.__name__}",
        tried=LIVE,
        lost=lost,
        figure=f"{told_busy} told busy in {took:.1f} s, longest gap {gap:.0f} ms",
    )


def rejected(fleet: Fleet) -> int:
    return sum(request.path.endswith("/actions/reject") for request in fleet.carrier.api_requests)
