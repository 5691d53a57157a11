"""The real server between a carrier's emulator and an engine that the check leads."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator

from patter_core.agent import Agent
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.pace import Pace
from patter_core.testing.conformance.recorder import Recorder
from patter_core.testing.conformance.watched import WatchedCarrier
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.fakes import FakeEngine, MemorySink
from patter_core.webhook import Reject

__all__ = ["NUMBER", "RECONNECTS", "Harness", "Worker"]

NUMBER = "+15550001234"
"""From which the app calls."""
RECONNECTS = 1
"""How many lost media streams are restored in one call."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """One server with the carrier."""

    phone: Patter
    agent: Agent
    recorder: Recorder
    voice_url: str
    url: str


class _Routes:
    """A plugin that routes incoming calls as the scenarios need it."""

    def __init__(self) -> None:
        self.answers: dict[str, Agent | Reject | Transfer] = {}
        """By the carrier's id of the call; the app's agent takes the others."""

    @hookimpl
    def patter_route_call(self, leg: Leg) -> Agent | Reject | Transfer | None:
        return self.answers.get(leg.call_id)


class Harness:
    """A running server, with all that its calls meet."""

    worker: Worker

    def __init__(self, check: Check, emulator: CarrierEmulator, carrier: Carrier, pace: Pace | None = None) -> None:
        self.check = check
        self.emulator = emulator
        self.carrier = carrier
        self.pace = pace or Pace(check)
        self.watched = WatchedCarrier(carrier, self.pace)
        self.sink = MemorySink()
        output_format = carrier.media_codec(self.leg_of(carrier)).output.format
        self.engine = FakeEngine(input_format=emulator.format, output_format=output_format)
        self.routes = _Routes()
        self.numbers = (f"+1555020{number:04}" for number in itertools.count(1))
        """Numbers to be called, each once."""

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, check: Check, emulator: CarrierEmulator, carrier: Carrier, pace: Pace | None = None
    ) -> AsyncIterator[Harness]:
        """A harness with its server."""
        harness = cls(check, emulator, carrier, pace)
        async with harness.serving() as harness.worker:
            yield harness

    @contextlib.asynccontextmanager
    async def serving(self, public_url: str = "") -> AsyncIterator[Worker]:
        """One more worker, behind that public address; by default behind its own."""
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        registry = Registry()
        registry.manager.register(self.routes)
        phone = Patter(
            carrier=self.watched,
            phone_number=NUMBER,
            webhook_url=public_url or url,
            sinks=[self.sink],
            registry=registry,
            limits=Limits(drain=0.1, prewarm=0, reconnects=RECONNECTS),  # a session means that the audio is here, too
            deadlines=Deadlines(media_start=5, media_return=3, last_word=3),
        )
        agent = phone.agent(engine=self.engine)
        recorder = Recorder(phone.asgi(agent))
        async with serve_app(recorder, listener):
            yield Worker(phone, agent, recorder, f"{url}/webhooks/{self.carrier.name}/voice", url)

    @staticmethod
    def leg_of(carrier: Carrier, call_id: str = "conformance") -> Leg:
        """Returns a leg that the carrier has never heard of."""
        return Leg(carrier=carrier.name, call_id=call_id)

    @property
    def arrived(self) -> int:
        """How many calls the carrier has announced."""
        return len(self.sink.of("call_announced"))
