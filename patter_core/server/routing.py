"""Who takes an incoming call: the hook `patter_route_call` of the plugins, then what `Patter.serve` was given."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TypeGuard

import pluggy

from patter_core.agent import Agent, AgentForCall, CallOptions
from patter_core.aio.foreign import as_exception
from patter_core.aio.functions import call_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ConfigurationError
from patter_core.telephony.e164 import is_address, number_error
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Reject

__all__ = ["RouteAnswer", "RouteHooks", "Routes", "Routing", "check_routed"]

_log = logging.getLogger("patter.registry")

RouteAnswer = Agent | AgentForCall | Reject | Transfer | None
"""How an incoming call is answered. None: nothing is said about it."""
_Asked = Mapping[str, RouteAnswer] | Callable[[Leg], RouteAnswer | Awaitable[RouteAnswer]]
Routing = Agent | AgentForCall | _Asked
"""What `Patter.serve` takes: an agent for all calls, answers by the called number, or a function of the call."""

_EXPECTED = "an Agent, one with options, a Reject, a Transfer or None"
_THREADS = 64
"""For hooks and functions that are no coroutine functions, of all calls."""


class RouteHooks:
    """The `patter_route_call` of all plugins that are joined.

    Args:
        manager: of the registry.
        within: s that one of them may take.
    """

    def __init__(self, manager: pluggy.PluginManager, within: float) -> None:
        self._hook = manager.hook.patter_route_call
        self._within = within

    async def ask(self, leg: Leg) -> RouteAnswer:
        """Returns the first decision; None if there is none. A plugin that fails or hangs is told and passed over."""
        for implementation in reversed(self._hook.get_hookimpls()):
            name, arguments = implementation.plugin_name, {"leg": leg} if "leg" in implementation.argnames else {}
            try:
                answer = await call_foreign(implementation.function, self._within, _threads().run, **arguments)
            except Exception:  # noqa: BLE001 - the plugin boundary
                _log.exception("Plugin %s failed to route a call; it is passed over.", name)
                continue
            if answer is not None and _is_answer(answer):
                return answer
            if answer is not None:
                got = type(answer).__name__
                _log.error("Plugin %s did not route a call to %s but to %s; it is passed over.", name, _EXPECTED, got)
        return None


def check_routed(numbers: Iterable[str]) -> None:
    """Checks what calls are routed by. The error has the form of what came, and not the number.

    Raises:
        ConfigurationError: one is neither a number nor a SIP address.
    """
    for number in numbers:
        if not is_address(number):
            raise number_error(ConfigurationError, "Calls are routed by something that is not a number.", number)


class Routes:
    """Decides about incoming calls: the plugins first, then what `Patter.serve` was given.

    Args:
        routing: what it was given; None rejects what no plugin takes.
        hooks: of the plugins.
        within: s that a function may take.

    Raises:
        ConfigurationError: `routing` is of the wrong kind.
    """

    def __init__(self, routing: Routing | None, hooks: RouteHooks, within: float) -> None:
        self._routing = routing
        self._hooks = hooks
        self._within = within
        check_routed(routing if isinstance(routing, Mapping) else ())
        for answer in self._fixed:
            if not _is_answer(answer):
                raise ConfigurationError(
                    "A call can not be routed to that.", expected=_EXPECTED, got=type(answer).__name__
                )

    @property
    def agents(self) -> Iterator[AgentForCall]:
        """The agents that are known before any call: those of a function are not."""
        for answer in self._fixed:
            if isinstance(answer, Agent | AgentForCall):
                yield answer if isinstance(answer, AgentForCall) else AgentForCall(answer)

    @property
    def _fixed(self) -> tuple[RouteAnswer, ...]:
        routing = self._routing
        if isinstance(routing, Mapping):
            return tuple(routing.values())
        if routing is None or isinstance(routing, Agent | AgentForCall):
            return (routing,)
        if callable(routing):
            return ()
        raise ConfigurationError(
            "Calls cannot be routed by that.",
            expected="an agent, a mapping of numbers to agents, or a function of the call's Leg",
            got=type(routing).__name__,
        )

    async def decide(self, leg: Leg) -> RouteAnswer:
        """Returns how a call is answered; None rejects it."""
        answer = await self._hooks.ask(leg)
        routing = self._routing
        if answer is not None or routing is None:
            return answer
        if isinstance(routing, Agent | AgentForCall):
            return routing
        return await self._ask(routing, leg)

    async def _ask(self, routing: _Asked, leg: Leg) -> RouteAnswer:
        """Asks what the user gave. There is no other rule behind it: where it fails, the call is rejected."""
        try:
            if isinstance(routing, Mapping):  # which may be a class of the user's own
                answer: object = routing.get(leg.to_number)
            else:
                answer = await call_foreign(routing, self._within, _threads().run, leg)
        except BaseException as error:  # noqa: BLE001 - the user's code: its fault is logged and stays here
            _log.error("What routes calls failed; the call is rejected.", exc_info=as_exception(error))
            return None
        if _is_answer(answer):
            return answer
        got = type(answer).__name__
        _log.error("A call was not routed to %s but to %s; the call is rejected.", _EXPECTED, got)
        return None


def _is_answer(value: object) -> TypeGuard[RouteAnswer]:
    if isinstance(value, AgentForCall):
        parts: tuple[object, object] = value.agent, value.options  # which nothing has checked
        return isinstance(parts[0], Agent) and isinstance(parts[1], CallOptions)
    return value is None or isinstance(value, Agent | Reject | Transfer)


@functools.cache
def _threads() -> DaemonThreads:
    return DaemonThreads(_THREADS)
