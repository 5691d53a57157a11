"""The engine's side of a hold: neither side hears the other, and the engine is told that the caller is still there."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from patter_core.aio.event import Event
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.uplink import Uplink
from patter_core.engine import Engine, EngineCapability, EngineSession

__all__ = ["EngineHold"]

_ACTIVITY_EVERY = 10.0
"""Seconds between two reports to the engine that the caller is still there."""


class EngineHold:
    """The hold of one call, as often as there is one.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the session.
        downlink: carries the agent's audio to the caller.
        talking: returns the present engine, and its session if there is one.
    """

    def __init__(
        self,
        call: CallContext,
        uplink: Uplink,
        downlink: Downlink,
        talking: Callable[[], tuple[Engine, EngineSession | None]],
    ) -> None:
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._talking = talking
        self._over: Event | None = None
        """Set when the hold is over; None while the caller is not on hold."""

    @property
    def is_on(self) -> bool:
        """True while the caller is on hold."""
        return self._over is not None

    def begin(self) -> None:
        """The caller is on hold. Idempotent."""
        if self._over is None:
            self._over = Event()
            self._uplink.mute_caller()
            self._downlink.mute_agent()
            self._tell(on=True)
            self._call.start(self._report_activity, self._over)

    def end(self) -> bool:
        """The hold is over. False if there was none."""
        if self._over is None:
            return False
        self._over.set()
        self._over = None
        self._uplink.unmute_caller()
        self._downlink.unmute_agent()
        self._tell(on=False)
        return True

    async def wait_until_over(self) -> None:
        """Waits for the end of the hold, if there is one."""
        if self._over is not None:
            await self._over.wait()

    async def _report_activity(self, over: Event) -> None:
        while not over.is_set():
            with anyio.move_on_after(_ACTIVITY_EVERY):
                await over.wait()
                return
            _, session = self._talking()
            if session is not None:
                self._uplink.tell(session, lambda session: session.user_activity())

    def _tell(self, *, on: bool) -> None:
        engine, session = self._talking()
        if session is not None and EngineCapability.HOLD in engine.capabilities:
            self._uplink.tell(session, lambda session: session.hold(on))
