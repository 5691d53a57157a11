"""Our real server between a carrier's emulator and an engine that is led by hand."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.events import CallAnnounced, CallEnded, Record
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.testing.caller import Caller, Step
from patter_core.testing.conformance.check import Check, at_once
from patter_core.testing.conformance.recorder import Recorder
from patter_core.testing.emulator import CallRecording, CarrierEmulator
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink

__all__ = ["Harness", "PlacedCall"]

_LONGEST_CALL = 12.0
"""Seconds: the calls that are placed here last two."""


class PlacedCall:
    """A call that is over, from all sides."""

    def __init__(self, recording: CallRecording, session: FakeSession, records: Sequence[Record]) -> None:
        self.recording = recording
        self.session = session
        self.events = [record.event for record in records]

    @property
    def heard_by_engine(self) -> bytes:
        """The caller's audio, as it arrived."""
        return b"".join(chunk.data for chunk in self.session.heard)

    @property
    def end(self) -> CallEnded:
        """How it ended."""
        return next(event for event in self.events if isinstance(event, CallEnded))


class Harness:
    """A carrier on harness: places calls, one after the other or side by side."""

    def __init__(self, check: Check, emulator: CarrierEmulator, carrier: Carrier, url: str, tap: Recorder) -> None:
        self.check = check
        self.emulator = emulator
        self.carrier = carrier
        self.url = url
        self.tap = tap
        self.sink = MemorySink()
        self.engine = FakeEngine()

    @classmethod
    @contextlib.asynccontextmanager
    async def set_up(cls, check: Check, emulator: CarrierEmulator, carrier: Carrier) -> AsyncIterator[Harness]:
        """The harness, with the server running."""
        sink = MemorySink()
        output_format = carrier.media_codec(Harness.leg_of(carrier)).output_format
        engine = FakeEngine(input_format=emulator.format, output_format=output_format)
        phone = Patter(
            carrier=carrier,
            sinks=[sink],
            registry=Registry(),
            limits=Limits(drain=0.1, prewarm=0),  # a conversation means that the audio is here, too
            deadlines=Deadlines(media_start=5, media_return=0.5, last_word=3),
        )
        tap = Recorder(phone.asgi(phone.agent(engine=engine)))
        async with serve_app(tap) as url:
            harness = cls(check, emulator, carrier, url, tap)
            harness.sink, harness.engine = sink, engine
            yield harness

    @staticmethod
    def leg_of(carrier: Carrier, call_id: str = "conformance") -> Leg:
        """A leg that the carrier has never heard of."""
        return Leg(carrier=carrier.name, call_id=call_id)

    @property
    def announced(self) -> list[CallAnnounced]:
        """All calls that were announced so far."""
        return [record.event for record in self.sink.records if isinstance(record.event, CallAnnounced)]

    async def place(
        self,
        steps: Sequence[Step],
        drive: Callable[[FakeSession], Awaitable[None]],
        *,
        too_long: str = "The call does not end.",
        mistake: str = "",
    ) -> PlacedCall:
        """Place a call whose agent does what `drive` says.

        Raises:
            ConformanceError: it does not reach the engine, or does not end, or `drive` raised it.
        """
        recordings: list[CallRecording] = []
        sessions: list[FakeSession] = []

        async def call() -> None:
            caller = Caller(steps, self.emulator.format)
            with self.check.raises_only(problem="The emulator raises while a call is placed."):
                recordings.append(await self.emulator.call(f"{self.url}/webhooks/{self.carrier.name}/voice", caller))
            if not sessions:
                raise self._never_came()

        async def act() -> None:
            number = self._claimed
            self._claimed += 1
            sessions.append(await self.engine.session(number))
            await drive(sessions[0])

        with anyio.move_on_after(_LONGEST_CALL * self.check.patience) as patience:
            await at_once(call, act)
        if patience.cancelled_caught:
            raise self._never_came() if not sessions else self.check.failed(too_long, mistake=mistake)
        return PlacedCall(recordings[0], sessions[0], await self._records_of(sessions[0].setup.leg.call_id))

    _claimed = 0

    async def _records_of(self, leg_id: str) -> list[Record]:
        ours = next(
            record.call_id
            for record in self.sink.records
            if isinstance(record.event, CallAnnounced) and record.event.leg.call_id == leg_id
        )
        with self.check.within(5, "The end of the call is never told."):
            while True:
                records = [record for record in self.sink.records if record.call_id == ours]
                if any(isinstance(record.event, CallEnded) for record in records):
                    return records
                await anyio.sleep(0.005)

    def _never_came(self) -> Exception:
        statuses = [request.status for request in self.tap.webhooks]
        problems = [record.event for record in self.sink.records if record.event.kind == "media_trouble"]
        return self.check.failed(
            "A call of the emulator's does not reach the engine.",
            expected="webhooks answered with 200, a media socket, and a MediaOpened from it with the leg's call id",
            got=f"webhooks answered with {statuses}, {len(self.tap.upgrades)} media sockets, faults {problems}",
            mistake="a signature over another URL than the one asked for; an answer without the media URL; "
            "a start message that the codec does not understand",
            remedy="The log says why a webhook or a socket was refused.",
        )
