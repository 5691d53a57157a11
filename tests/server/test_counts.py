"""What a worker counts beside its calls reaches the sinks that make metrics of it."""

from __future__ import annotations

import time

import pytest

from patter_core.agent import Agent
from patter_core.call.limits import Limits
from patter_core.server import app as app_module
from patter_core.sink import LAG_BOUNDS, WorkerStatistics
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeEngine, MemorySink
from patter_core.webhook import Reject
from tests.polling import until
from tests.server import test_router as calls
from tests.server.test_app import FAKE, Scene, arrive

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("not_routed", None),
        ("rejected", Reject()),
        ("transferred", Transfer(to="+15550003333")),
        ("misrouted", Agent(engine=FakeEngine())),
    ],
)
async def test_a_call_that_is_not_taken_counts_by_its_reason(
    reason: str, answer: Agent | Reject | Transfer | None
) -> None:
    scene = calls.Scene()
    scene.route = answer  # type: ignore[assignment]
    async with scene.running() as host:
        assert not any(host.counts.turned_away.values())
        await calls.routed(host, calls.LEG).arrived()
        assert {key: count for key, count in host.counts.turned_away.items() if count} == {reason: 1}


class Looking(MemorySink):
    """Keeps what tells how the worker does."""

    name = "looking"
    statistics: WorkerStatistics

    async def run(self, statistics: WorkerStatistics) -> None:
        self.statistics = statistics


async def test_a_sink_sees_calls_that_found_no_room_and_requests_that_were_no_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_module, "_BODY_TIMEOUT", 0.2)
    sink = Looking()
    scene = Scene(limits=Limits(calls=1, drain=0.05), more_sinks=[sink])
    async with scene.serving() as client:

        async def send(path: str, content: bytes, headers: dict[str, str] = FAKE) -> int:
            return (await client.post(path, content=content, headers=headers)).status_code

        voice = "/webhooks/fake/voice"
        await arrive(client, "leg-1")
        await send(voice, b"leg-2")
        assert await send(voice, b"leg-1", {}) == 403
        assert await send(voice, b"\xff") == 500
        assert await send(voice, b"x" * 300_000) == 413
        assert await send("/webhooks/fake/voise", b"leg-1") == 404
        figures = sink.statistics()
        assert figures.calls_limit == 1
        assert figures.turned_away["full"] == 1
        assert figures.webhooks_refused == {"refused": 1, "failed": 1, "too_long": 1, "too_slow": 0, "nowhere": 1}
        assert [each.sink for each in figures.sinks] == ["memory", "looking"]
        await until(lambda: sum(sink.statistics().loop_lag.counts) >= 2)
        time.sleep(0.3)  # noqa: ASYNC251 - what blocks the loop
        await until(lambda: sum(sink.statistics().loop_lag.counts[LAG_BOUNDS.index(0.25) :]) >= 1)
        lag = sink.statistics().loop_lag
        assert sum(lag.seconds) >= 0.25
