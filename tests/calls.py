"""A call without a server, for tests: between a fake carrier and a fake engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from patter_core.agent import Agent, CallOptions
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.records import Outlets
from patter_core.call.token import CallToken
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.events import Record
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.fakes import FakeCarrier
from patter_core.webhook import Accept

__all__ = ["new_accept", "new_call", "new_token"]


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
    options: CallOptions | None = None,
    streams: int = 0,
    prewarm: bool = False,
    ring_timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Call:
    """A call that arrived, or, with a ring timeout, that was dialled."""
    direction = Direction.INBOUND if ring_timeout is None else Direction.OUTBOUND
    leg = leg or Leg(carrier="fake", call_id="leg-1", direction=direction)
    return Call(
        new_token(leg, call_id, options=options, streams=streams),
        leg=leg,
        agent=agent or Agent(engine=engine),
        carrier=carrier or FakeCarrier(),
        config=config or HostConfig(),
        outlets=outlets or Outlets(put=() if put is None else (put,)),
        new_accept=new_accept,
        may_prewarm=lambda: prewarm,
        ring_timeout=ring_timeout,
        clock=clock,
    )
