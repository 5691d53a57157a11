"""Patter as `patter_app`, with its calls in an SQLite file that holds past ones already, and a dashboard at /staff."""

from __future__ import annotations

import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    Record,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.patter import Patter
from patter_core.sinks import SQLiteSink
from patter_core.telephony.leg import Leg
from patter_dashboard import Dashboard
from tests.bench.ours import LIMITS
from tests.bench.relay_app import Peers
from tests.bench.service import Service

__all__ = ["CALLS_FILE", "fill", "watched_app"]

CALLS_FILE = "BENCH_CALLS_FILE"
"""The variable with the path of the file."""
_AT_ONCE = 500


def watched_app(peers: Peers, service: Service) -> ASGIApp:
    """The app."""
    path = Path(os.environ[CALLS_FILE])
    phone = Patter(
        carrier=peers.vendor.carrier(peers.api_url), sinks=[SQLiteSink(path)], limits=LIMITS, apps=[Dashboard()]
    )
    calls = phone.asgi(phone.agent(engine=service.engine(peers.engine_url)))
    routes = [Mount("/staff", phone.app("dashboard", lambda _scope: "ada")), Mount("/", calls)]
    return Starlette(routes=routes, lifespan=calls.lifespan_context)


async def fill(path: Path, count: int) -> None:
    """Writes so many past calls."""
    sink, now = SQLiteSink(path), time.time()
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        await sink.write([record for number in numbers for record in _past(number, now - 60 - number * 300)])
    await sink.aclose()


def _past(number: int, began: float) -> list[Record]:
    leg = Leg(carrier="twilio", call_id=f"past-{number}", from_number=f"+********{number % 90 + 10}")
    said: list[CallEvent] = [
        event
        for _ in range(8)
        for event in (
            TranscriptInput(text="I would like a table for two, tomorrow at seven."),
            TranscriptOutput(text="With pleasure. Under which name may I book it?"),
        )
    ]
    end = CallEnded(reason="caller_hung_up", by="caller", duration_ms=60_000, metrics=CallMetrics(answer_ms=200))
    events: list[CallEvent] = [CallAnnounced(leg=leg, agent="agent"), *said, end]
    return [
        Record(call_id=f"past-{number}", sequence=at, time=began + at, elapsed_ms=at * 1000, event=event)
        for at, event in enumerate(events, 1)
    ]
