"""Patter with everything on: signatures, tokens, state, marks, metrics, events, and a sink that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from starlette.types import ASGIApp

from patter_core.events import Record
from patter_core.patter import Patter
from patter_core.server.host import Limits
from patter_core.sink import EventSink
from patter_elevenlabs.engine import ElevenLabsConvAI
from patter_twilio import Twilio

__all__ = ["ACCOUNT_SID", "AUTH_TOKEN", "patter_app"]

ACCOUNT_SID = "AC" + 32 * "b"
AUTH_TOKEN = "bench-token"
NOWHERE = "http://127.0.0.1:9"
"""In place of the carrier's REST interface: calls here are ended by their callers, so it is not used."""


class Counted(EventSink):
    """Takes every record, and knows how many there were."""

    name: ClassVar[str] = "counted"

    def __init__(self) -> None:
        self.records = 0

    async def write(self, records: Sequence[Record]) -> None:
        self.records += len(records)


def patter_app(engine_url: str) -> ASGIApp:
    phone = Patter(
        carrier=Twilio(ACCOUNT_SID, AUTH_TOKEN, base_url=NOWHERE), sinks=[Counted()], limits=Limits(calls=5_000)
    )
    return phone.asgi(phone.agent(engine=ElevenLabsConvAI("bench-key", "agent_bench", base_url=engine_url)))
