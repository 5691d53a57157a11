"""Parts of other people's making that fail in every way: an engine, a carrier, a sink, a store, a client tool."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import ClassVar

import anyio

from patter_core.carrier import Carrier
from patter_core.engine import ConversationSetup, Engine, EngineSession
from patter_core.events import Record
from patter_core.sink import EventSink
from patter_core.store import CallStore, HistoryLine
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import CarrierRates
from patter_elevenlabs import ElevenLabsConvAI
from tests.chaos.hostile_plugins import hold_the_loop

__all__ = ["HOWS", "PARTS", "BadSink", "BadStore", "Ways", "bad_carrier", "bad_engine"]

PARTS = ("engine", "carrier", "sink", "store", "tool")
HOWS = ("raise", "base", "cancel", "exit", "hang")
"""Each raises something else, or returns never. `any` is one after the other."""


class Odd(BaseException):
    """What no `except Exception` catches."""


def _misbehave(how: str) -> None:
    match how:
        case "raise":
            raise LookupError("the part's own fault")
        case "base":
            raise Odd("the part's own fault")
        case "cancel":
            raise asyncio.CancelledError
        case "exit":
            sys.exit("the part's own fault")
        case "block":
            hold_the_loop()


class Ways:
    """What a part does, one after the other: `any`, or always the same."""

    def __init__(self, how: str) -> None:
        self._ways: Iterator[str] = itertools.cycle(HOWS[:-1] if how == "any" else [how])

    async def next(self) -> None:
        self.next_now()
        await anyio.sleep_forever()

    def next_now(self) -> None:
        """As `next`, in a function that cannot wait: one that would hang does nothing."""
        _misbehave(next(self._ways))


def bad_engine(how: str, base_url: str) -> Engine:
    """One that opens no conversation."""
    ways = Ways(how)

    class BadEngine(ElevenLabsConvAI):
        async def open(self, setup: ConversationSetup) -> EngineSession:
            await ways.next()
            return await super().open(setup)

    return BadEngine(agent_id="agent_emulated", base_url=base_url)


def bad_carrier(kind: type[Carrier], how: str) -> Carrier:
    """One that hangs no call up, knows no price, and says nothing of a call."""
    ways = Ways(how)

    class BadCarrier(kind):  # type: ignore[misc,valid-type] # made for each carrier
        async def hang_up(self, leg: Leg) -> None:
            del leg
            await ways.next()

        async def look_up(self, leg: Leg) -> LegFacts:
            del leg
            await ways.next()
            raise AssertionError

        @property
        def rates(self) -> CarrierRates | None:
            ways.next_now()
            return None

    carrier: Carrier = BadCarrier()
    return carrier


class BadSink(EventSink):
    """Takes nothing."""

    name: ClassVar[str] = "bad"

    def __init__(self, how: str) -> None:
        self._ways = Ways(how)

    async def write(self, records: Sequence[Record]) -> None:
        del records
        await self._ways.next()


class BadStore(CallStore):
    """Keeps nothing."""

    name = "bad"

    def __init__(self, how: str) -> None:
        self._ways = Ways(how)

    async def append(self, call_id: str, line: HistoryLine) -> None:
        del call_id, line
        await self._ways.next()

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        del call_id
        await self._ways.next()
        return ()
