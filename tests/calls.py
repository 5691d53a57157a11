"""A call without a server, for tests: between a fake carrier and a fake engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio
import anyio.abc

from patter_core.agent import Agent, CallOptions, Fallback
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.destinations import Destinations
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.records import Outlets
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.call.token import CallToken
from patter_core.call.tool_context import fill_in_tools
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.events import CallEnded, Event, Record, ResponseDone, ResponseHeard, ResponseStart, TranscriptOutput
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.outcome import HangUp
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession, FakeSocket
from patter_core.webhook import Accept
from tests.polling import until

__all__ = ["CallScene", "OutboundScene", "new_accept", "new_call", "new_token"]

SPEECH = AudioChunk(bytes(range(160)), ULAW_8000)
E = TypeVar("E", bound=Event)


def new_token(leg: Leg, call_id: str = "call-1", *, options: CallOptions | None = None, streams: int = 0) -> CallToken:
    """The token of a call on that leg."""
    return CallToken(
        carrier=leg.carrier,
        leg_id=leg.call_id,
        call_id=call_id,
        agent="agent",
        direction=leg.direction,
        from_number=leg.from_number,
        to_number=leg.to_number,
        base="https://phone.example",
        options=options or CallOptions(),
        streams=streams,
    )


def new_accept(token: CallToken) -> Accept:
    """What a carrier would be told of that call."""
    callbacks = Callbacks(f"{token.base}/webhooks/{token.carrier}", f"callback-{token.streams}")
    return Accept(call_id=token.call_id, media_url=f"wss://phone.example/media/{token.streams}", callbacks=callbacks)


def new_call(
    engine: Engine,
    *,
    agent: Agent | None = None,
    carrier: Carrier | None = None,
    leg: Leg | None = None,
    call_id: str = "call-1",
    put: Callable[[Record], None] | None = None,
    outlets: Outlets | None = None,
    config: HostConfig | None = None,
    breakers: EngineBreakers | None = None,
    options: CallOptions | None = None,
    streams: int = 0,
    prewarm: bool = False,
    ring_timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Call:
    """A call that arrived, or, with a ring timeout, that was dialled."""
    direction = Direction.INBOUND if ring_timeout is None else Direction.OUTBOUND
    leg = leg or Leg(carrier="fake", call_id="leg-1", direction=direction)
    call = Call(
        new_token(leg, call_id, options=options, streams=streams),
        leg=leg,
        agent=agent or Agent(engine=engine),
        carrier=carrier or FakeCarrier(),
        config=config or HostConfig(),
        breakers=breakers or EngineBreakers(),
        destinations=Destinations((config or HostConfig()).limits),
        outlets=outlets or Outlets(put=() if put is None else (put,)),
        new_accept=new_accept,
        may_prewarm=lambda: prewarm,
        ring_timeout=ring_timeout,
        clock=clock,
    )
    fill_in_tools(call, PhoneCall(call) if ring_timeout is None else OutboundCall(call))
    return call


class CallScene:
    """A call between a fake carrier's socket and a fake engine. A subclass makes the call."""

    call: Call
    tasks: anyio.abc.TaskGroup
    within: float = 10.0
    """Seconds for all of it."""

    def __init__(self, engine: FakeEngine | None = None, carrier: FakeCarrier | None = None) -> None:
        self.records: list[Record] = []
        self.carrier = carrier or FakeCarrier()
        self.engine = engine or FakeEngine()
        self.socket = FakeSocket()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The call runs, without a socket; at the end it must be over by itself."""
        with anyio.fail_after(self.within):
            async with anyio.create_task_group() as self.tasks:
                self.tasks.start_soon(self.call.run)
                yield

    def attach(self) -> None:
        """The media socket is here."""
        self.tasks.start_soon(self.call.serve_media, self.socket)

    async def live(self) -> FakeSession:
        """The media socket is here, its stream starts, and the conversation follows."""
        self.attach()
        self.socket.say("start", "leg-1")
        session = await self.engine.session()
        await self.until(State.LIVE)
        return session

    async def speak(self, session: FakeSession, text: str) -> None:
        """The agent says that, and the caller hears it to its end."""
        heard = len(self.of(ResponseHeard))
        for event in (ResponseStart(), TranscriptOutput(text=text), SPEECH, ResponseDone()):
            session.give(event)
        (mark, *_) = (await self.socket.wait_for("mark", len(self.socket.of("mark")) + 1))[::-1]
        self.socket.say("mark", mark.value)
        await until(lambda: len(self.of(ResponseHeard)) > heard)

    async def until(self, state: State) -> None:
        await until(lambda: self.call.state is state)

    async def told(self, kind: str) -> None:
        await until(lambda: kind in self.kinds())

    def kinds(self) -> list[str]:
        return [record.event.kind for record in self.records]

    def of(self, kind: type[E]) -> list[E]:
        """The events of that kind."""
        return [record.event for record in self.records if isinstance(record.event, kind)]

    @property
    def end(self) -> CallEnded:
        ends = self.of(CallEnded)
        assert len(ends) == 1
        assert self.records[-1].event is ends[0]
        return ends[0]


class OutboundScene(CallScene):
    """A call that was dialled, and its handle."""

    def __init__(
        self,
        *,
        engine: FakeEngine | None = None,
        carrier: FakeCarrier | None = None,
        fallback: Fallback | None = None,
        deadlines: Deadlines | None = None,
        ring_timeout: float = 10.0,
        voicemail: str = "",
        several_workers: bool = False,
    ) -> None:
        super().__init__(engine, carrier)
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=fallback or HangUp()),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(
                deadlines=deadlines or Deadlines(last_word=0.2, media_return=0.2), several_workers=several_workers
            ),
            options=CallOptions(voicemail_message=voicemail),
            ring_timeout=ring_timeout,
        )
        self.call.context.renew_accept()
        self.handle = OutboundCall(self.call)
