"""The calls in flight on this worker: who is let in, which socket belongs to which call, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import anyio.abc
import msgspec

from patter_core.agent import Agent
from patter_core.call.session import Call
from patter_core.call.sinks import SinkHost
from patter_core.call.state import Deadlines
from patter_core.carrier import Admission, Carrier, Rejection
from patter_core.leg import Leg
from patter_core.redaction import Redaction
from patter_core.server.tokens import StreamToken, TokenMaker
from patter_core.server.urls import media_url, webhook_url
from patter_core.sink import EventSink

__all__ = ["CallHost", "Limits"]

_log = logging.getLogger("patter.host")

_TOKENS_REMEMBERED = 10_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker takes on. None of it looks at a peer's address."""

    calls: int = 500
    """At once; the next one is told that we are busy."""
    drain: float = 30.0
    """Seconds that live calls get when the worker stops."""
    flush: float = 5.0
    """Seconds that sinks then get for what waits for them."""


class CallHost:
    """Takes calls in and runs each as a task of its own. It is the `CallDesk` of the carrier's webhooks.

    Args:
        route: who takes a call; None if nobody does.
        find_agent: an agent by the name in a stream token; None if this worker has none of that name.
    """

    def __init__(
        self,
        *,
        carrier: Carrier,
        sinks: Sequence[EventSink],
        route: Callable[[Leg], Agent | None],
        find_agent: Callable[[str], Agent | None],
        limits: Limits,
        deadlines: Deadlines,
        redaction: Redaction | None = None,
    ) -> None:
        self.carrier = carrier
        self.sinks = SinkHost(sinks, redaction)
        self._route = route
        self._find_agent = find_agent
        self._limits = limits
        self._deadlines = deadlines
        self._tokens = TokenMaker(carrier.token_secret())
        self._calls: dict[str, Call] = {}
        self._by_leg: dict[str, tuple[Call, str]] = {}
        self._streamed: dict[str, None] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._unmanaged: asyncio.Task[None] | None = None
        self._draining = False
        self._call_ended = anyio.Event()

    @property
    def calls(self) -> int:
        """How many calls are in flight."""
        return len(self._calls)

    @property
    def ready(self) -> bool:
        """Are new calls taken?"""
        return not self._draining and len(self._calls) < self._limits.calls

    # --- its life --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take calls while the context lasts; at its end live calls get their time, and sinks what they have coming."""
        try:
            async with anyio.create_task_group() as sink_tasks:
                sink_tasks.start_soon(self.sinks.run)
                async with anyio.create_task_group() as self._tasks:
                    try:
                        yield
                        await self.drain()
                    finally:
                        self._tasks.cancel_scope.cancel()
                sink_tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            with anyio.CancelScope(shield=True):
                await self.sinks.drain(self._limits.flush)

    async def drain(self) -> None:
        """Take no new calls, and wait for the live ones as long as they may."""
        self._draining = True
        with anyio.move_on_after(self._limits.drain):
            await self._no_calls()
        for call in list(self._calls.values()):
            call.hang_up()
        with anyio.move_on_after(self._deadlines.last_word):
            await self._no_calls()

    async def _no_calls(self) -> None:
        while self._calls:
            await self._call_ended.wait()

    async def ensure_running(self) -> None:
        """Start what `running` starts, if whoever mounted the app passes no lifespan on to it.

        Then it lives as long as the event loop, which cancels it at its end.
        """
        if self._tasks is None and (self._unmanaged is None or self._unmanaged.done()):
            up = anyio.Event()
            self._unmanaged = asyncio.get_running_loop().create_task(self._run_unmanaged(up))
            await up.wait()

    async def _run_unmanaged(self, up: anyio.Event) -> None:
        async with self.running():
            up.set()
            await anyio.sleep_forever()

    # --- the desk --------------------------------------------------------------------------------------------------

    async def announce(self, leg: Leg, verified_url: str) -> Admission | Rejection:
        """Take the call in, or not. A second announcement of a leg in flight gives the admission of the first."""
        known = self._by_leg.get(leg.call_id)
        if known is not None:
            call, token = known
        else:
            if not self.ready:
                return Rejection(reason="busy")
            agent = self._route(leg)
            if agent is None:
                return Rejection(reason="rejected")
            call = self._start(uuid.uuid4().hex, leg, agent)
            token = self._tokens.mint(
                StreamToken(leg.carrier, leg.call_id, call.call_id, agent.name, leg.direction, time.time())
            )
            self._by_leg[leg.call_id] = (call, token)
        return Admission(call_id=call.call_id, media_url=media_url(verified_url, leg.carrier, token))

    def webhook_url(self, carrier: str, webhook: str, verified_url: str) -> str:
        """The public URL of another webhook of the carrier."""
        return webhook_url(verified_url, carrier, webhook)

    async def call_over(self, leg: Leg, reason: str) -> None:
        """The carrier says that the call is over: `reason` is its word for it."""
        known = self._by_leg.get(leg.call_id)
        if known is not None:
            _log.debug("Call %s is over at the carrier: %s", known[0].call_id, reason)
            known[0].caller_gone()

    # --- media -----------------------------------------------------------------------------------------------------

    def claim(self, token_text: str) -> Call | None:
        """The call that a media socket with this token may serve; None if the token is bad, used, or nobody's.

        The call need not be known here: the webhook may have gone to another worker.
        """
        token = self._tokens.check(token_text, time.time())
        if token is None or token.carrier != self.carrier.name or token.call_id in self._streamed:
            return None
        call = self._calls.get(token.call_id)
        if call is None:
            agent = self._find_agent(token.agent)
            if agent is None or not self.ready:
                return None
            leg = Leg(carrier=token.carrier, call_id=token.leg_id, direction=token.direction)
            call = self._start(token.call_id, leg, agent)
        self._streamed[token.call_id] = None
        while len(self._streamed) > _TOKENS_REMEMBERED:
            del self._streamed[next(iter(self._streamed))]
        return call

    def _start(self, call_id: str, leg: Leg, agent: Agent) -> Call:
        assert self._tasks is not None  # the app makes sure before it lets a request in
        call = Call(
            call_id=call_id,
            leg=leg,
            agent=agent,
            carrier=self.carrier,
            deadlines=self._deadlines,
            publish=self.sinks.put,
            publish_audio=self.sinks.put_audio if self.sinks.takes_audio else None,
            recordings=self.sinks.recordings(call_id),
        )
        self._calls[call_id] = call
        self._tasks.start_soon(self._run, call)
        return call

    async def _run(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            del self._calls[call.call_id]
            self._by_leg.pop(call.leg.call_id, None)
            self._call_ended.set()
            self._call_ended = anyio.Event()
