"""Patter with everything on: signatures, tokens, state, marks, metrics, events, and a sink that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from starlette.types import ASGIApp

from patter_core.call.limits import Limits
from patter_core.events import Record
from patter_core.patter import Patter
from patter_core.sink import EventSink
from tests.bench.pipeline_services import PipelineService
from tests.bench.relay_app import Peers
from tests.bench.service import Service

__all__ = ["LIMITS", "patter_app"]

LIMITS = Limits(calls=5_000, calls_per_second=5_000)


class Counted(EventSink):
    """Takes every record, and knows how many there were."""

    name: ClassVar[str] = "counted"

    def __init__(self) -> None:
        self.records = 0

    async def write(self, records: Sequence[Record]) -> None:
        self.records += len(records)


def patter_app(peers: Peers, service: Service | PipelineService, *, transport: str = "websockets") -> ASGIApp:
    """The app that answers every call with an agent of that service."""
    carrier = peers.vendor.carrier(peers.api_url)
    phone = Patter(carrier=carrier, sinks=[Counted()], limits=LIMITS, transport=transport)
    return phone.asgi(phone.agent(engine=service.engine(peers.engine_url)))
