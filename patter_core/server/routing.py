"""Asks the plugins who takes an incoming call: the hook `patter_route_call`."""

from __future__ import annotations

import logging

import pluggy

from patter_core.agent import Agent
from patter_core.aio.functions import call_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Reject

__all__ = ["RouteHooks"]

_log = logging.getLogger("patter.registry")

_THREADS = 64
"""For hooks that are plain functions, of all calls."""


class RouteHooks:
    """The `patter_route_call` of all plugins that are joined.

    Args:
        manager: of the registry.
        within: s that one of them may take.
    """

    def __init__(self, manager: pluggy.PluginManager, within: float) -> None:
        self._hook = manager.hook.patter_route_call
        self._within = within
        self._threads: DaemonThreads | None = None

    async def ask(self, leg: Leg) -> Agent | Reject | Transfer | None:
        """Returns the first decision; None if there is none. A plugin that fails or hangs is told and passed over."""
        if self._threads is None:
            self._threads = DaemonThreads(_THREADS)
        for implementation in reversed(self._hook.get_hookimpls()):
            name, arguments = implementation.plugin_name, {"leg": leg} if "leg" in implementation.argnames else {}
            try:
                answer = await call_foreign(implementation.function, self._within, self._threads.run, **arguments)
            except Exception:  # noqa: BLE001 - the plugin boundary
                _log.exception("Plugin %s failed to route a call; it is passed over.", name)
                continue
            if isinstance(answer, Agent | Reject | Transfer):
                return answer
            if answer is not None:
                expected, got = "an Agent, a Reject, a Transfer or None", type(answer).__name__
                _log.error("Plugin %s did not route a call to %s but to %s; it is passed over.", name, expected, got)
        return None
