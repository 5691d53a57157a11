"""The hooks that a plugin may implement. They are called at startup or once a call, never for a frame.

A plugin is a module (or object) behind an entry point of the group `patter`, with some of these functions in it,
each marked with `patter_core.hookimpl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:  # the specs name these types; a plugin that implements one hook need not load them all
    from patter_core.agent import Agent, AgentForCall
    from patter_core.app import WebApp
    from patter_core.carrier import Carrier
    from patter_core.engine import Engine
    from patter_core.kinds import Kind, Part, Parts
    from patter_core.net.transport import Transport
    from patter_core.sink import EventSink
    from patter_core.store import CallStore
    from patter_core.telephony.leg import Leg
    from patter_core.telephony.outcome import Transfer
    from patter_core.webhook import Reject

__all__ = ["ENTRY_POINT_GROUP", "PROJECT_NAME", "HookSpecs", "hookimpl"]

PROJECT_NAME = "patter"
ENTRY_POINT_GROUP = "patter"

_hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""The decorator of a function that implements a hook."""


class HookSpecs:
    """All hooks, with their signatures. An implementation may leave out arguments, and must not rename them.

    All are plain functions but `patter_route_call`, which may be a coroutine function. A plugin with another
    asynchronous hook, or with a hook wrapper, is not joined.
    """

    @_hookspec
    def patter_carriers(self) -> list[type[Carrier]]:  # type: ignore[empty-body]
        """Returns the carriers that the plugin offers."""

    @_hookspec
    def patter_engines(self) -> list[type[Engine]]:  # type: ignore[empty-body]
        """Returns the engines that the plugin offers."""

    @_hookspec
    def patter_sinks(self) -> list[type[EventSink]]:  # type: ignore[empty-body]
        """Returns the event sinks that the plugin offers."""

    @_hookspec
    def patter_stores(self) -> list[type[CallStore]]:  # type: ignore[empty-body]
        """Returns the call stores that the plugin offers."""

    @_hookspec
    def patter_apps(self) -> list[type[WebApp]]:  # type: ignore[empty-body]
        """Returns the apps that the plugin offers: pages beside the calls, such as a dashboard."""

    @_hookspec
    def patter_transports(self) -> list[type[Transport]]:  # type: ignore[empty-body]
        """Returns the transports that the plugin offers."""

    @_hookspec
    def patter_kinds(self) -> list[Kind]:  # type: ignore[empty-body]
        """Returns the kinds that the plugin defines. All plugins are asked before the first is asked for its parts."""

    @_hookspec
    def patter_parts(self) -> list[type[Part]]:  # type: ignore[empty-body]
        """Returns the classes that the plugin offers of kinds that plugins define. Its base tells the kind of each.

        Import them here: where the package of their kind is not installed, `patter plugins` says so, and everything
        else of the plugin is used.
        """

    @_hookspec(firstresult=True)
    def patter_compose_engine(self, parts: Parts) -> Engine | None:
        """Returns an engine that is made of an agent's parts; None if it cannot be made of these.

        Called once for each agent, when it is made. Only one of the installed plugins may have it. What it raises is
        raised by `Patter.agent`; let it be a `ConfigurationError`.

        Args:
            parts: by the name of their kind: one, or several in a tuple, as they were given. There is one of each kind
                that is required. A plain function stands among several only; of which kind it becomes a part, the key
                tells.
        """

    @_hookspec
    def patter_variables(self) -> list[str]:  # type: ignore[empty-body]
        """Returns the names of the environment variables that the plugin reads.

        A command says of others that begin with PATTER_ that nothing reads them, with what may have been meant. So it
        does of one where a letter or two differ, and which begins as one of these does up to the first underscore.
        """

    @_hookspec(firstresult=True)
    def patter_route_call(self, leg: Leg) -> Agent | AgentForCall | Reject | Transfer | None:
        """Returns how an incoming call is answered: by which agent, by a rejection, or by a transfer.

        `agent.with_options(…)` gives the agent options for this call. An agent that this phone has not made is refused,
        and the call with it. None leaves it to the next plugin, and in the end to what `Patter.serve` was given.

        It may look something up: a coroutine function runs in a task of its own, a plain one in a thread. One that
        raises, or takes longer than `Deadlines.route`, is logged and passed over.
        """
