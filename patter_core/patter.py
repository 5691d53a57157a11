"""Patter: a phone number, its agents, and the server that answers it."""

from __future__ import annotations

import copy
import functools
import socket
from collections.abc import Callable, Mapping, Sequence

import msgspec
from starlette.routing import Router
from starlette.types import ASGIApp, Scope

from patter_core.app import WebApp
from patter_core.apps.access import AppAccess
from patter_core.apps.phone_apps import PhoneApps
from patter_core.call.callbacks import Transcript, UserCallbacks
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.config import check_arguments, from_environment, port_number
from patter_core.errors import ConfigurationError
from patter_core.events import CallEnded, CallEvent
from patter_core.observe.log_setup import tell_calls
from patter_core.observe.logs import guard, guard_packages_of
from patter_core.observe.redaction import Redaction
from patter_core.observe.secrets import hide_secrets_of
from patter_core.registry import Registry
from patter_core.server.app import make_app
from patter_core.server.calling import CallingPhone
from patter_core.server.host import CallHost
from patter_core.server.importing import refuse_while_imported
from patter_core.server.phone_parts import PhoneParts, distinct, has_several_workers
from patter_core.server.phone_settings import choose_transport, name_of, run_serving
from patter_core.server.routing import RouteHooks, Routes, Routing
from patter_core.server.running import make_host, serve_until_stopped
from patter_core.server.serving import bind
from patter_core.server.ties import WorkerTies
from patter_core.server.trunks import carriers_by_name, numbers_by_carrier
from patter_core.server.urls import public_base
from patter_core.server.voice_urls import check_configurable, configure_numbers, print_ready
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["DEFAULT_PORT", "Patter"]

DEFAULT_PORT = 8000
"""The port of `Patter.serve` where none is set."""


class Patter(CallingPhone):
    """A carrier's number, or those of several carriers, and the agents that answer them.

        phone = Patter(carrier=carrier, phone_number="+15550001234")
        agent = phone.agent(engine=engine, system_prompt="You are a friendly concierge.")
        asyncio.run(phone.serve(agent))

    Args:
        carrier: brings the calls; or several carriers, one of each name. The first one dials, unless `call` names
            others.
        phone_number: the number, in E.164 (`+` and digits); with several carriers, the number at each by the carrier's
            name. Calls to other numbers of the account are taken too.
        webhook_url: the public address of this server. Without it, the address is the one that the carrier's verified
            request was sent to.
        trust_forwarded: read the public address from a proxy's X-Forwarded-Host, -Proto, -Port and -Prefix headers,
            or from its Forwarded header. Needed where the proxy changes `Host` or the path; safe only where every
            request comes through the proxy.
        notice: what callers hear at the start of a call, before the agent and before any recording, such as "This call
            is recorded."; agents may have their own.
        sinks: where events go.
        redaction: what is masked in events or removed before a sink gets them; by default phone numbers are masked.
        store: where workers share what was said on calls, so that any of them can continue a call of another.
        several_workers: True if other workers take calls for the same numbers: the audio of a call that arrives at one
            may come to another, so a call starts where its audio comes, and no conversation is opened before. Else
            PATTER_SEVERAL_WORKERS; else True if there is a store, which only several workers need.
        apps: pages beside the calls, such as a dashboard; `serve` gives them a listener of their own.
        apps_port: of that listener; else PATTER_APPS_PORT, else 8001. 0 takes any free port.
        apps_access: who is let in to them: by default a browser on this machine, by a link that `serve` prints.
        transport: reads and writes WebSocket frames, by name; else PATTER_TRANSPORT, else what is installed.
        limits: how much one worker takes on.
        deadlines: how long a call may stay in each state.
        registry: the plugins; by default those that are installed.
        on_call_start: called once the caller is on the line, with the call's handle.
        on_call_end: called once when the call is over, with how it ended; also for a call that was not answered.
        on_transcript: called with what the caller or the agent said, and with corrections of it.
        on_event: called with every event of a call, up to its end.

    The callbacks are coroutine functions, or plain functions, which run in a thread. They are called in order within a
    call, and never hold up its audio. One that raises, or takes longer than `Limits.callback`, is reported in the log,
    and the call goes on.

    Raises:
        ConfigurationError: a value is missing or wrong; the error says which, and what to do.
    """

    @check_arguments
    def __init__(
        self,
        *,
        carrier: Carrier | Sequence[Carrier],
        phone_number: str | Mapping[str, str] = "",
        webhook_url: str = "",
        trust_forwarded: bool = False,
        notice: str = "",
        sinks: Sequence[EventSink] = (),
        redaction: Redaction | None = None,
        store: CallStore | None = None,
        several_workers: bool | None = None,
        apps: Sequence[WebApp] = (),
        apps_port: int | None = None,
        apps_access: AppAccess | None = None,
        transport: str = "",
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        registry: Registry | None = None,
        on_call_start: Callable[[PhoneCall], object] | None = None,
        on_call_end: Callable[[PhoneCall, CallEnded], object] | None = None,
        on_transcript: Callable[[PhoneCall, Transcript], object] | None = None,
        on_event: Callable[[PhoneCall, CallEvent], object] | None = None,
    ) -> None:
        self._carriers = carriers_by_name(carrier)
        self._numbers = numbers_by_carrier(phone_number, self._carriers)
        for one in self._carriers.values():
            hide_secrets_of(one)
        self._base = public_base(webhook_url)
        self._trust_forwarded = trust_forwarded
        self._sinks = distinct(sinks)
        registry = Registry.discover() if registry is None else registry
        self._config = HostConfig(
            limits=limits or Limits(),
            deadlines=deadlines or Deadlines(),
            redaction=redaction or Redaction(),
            store=store,
            several_workers=has_several_workers(several_workers, store),
            transport=choose_transport(registry, transport),
        )
        guard()
        super().__init__(registry, self._carriers, notice)
        guard_packages_of(self._registry.manager.get_plugins())
        self._callbacks = UserCallbacks(
            on_call_start=on_call_start, on_call_end=on_call_end, on_transcript=on_transcript, on_event=on_event
        )
        self._host: CallHost | None = None
        self._apps = PhoneApps(apps, access=apps_access, port=apps_port)
        self._prepare_apps()

    def __repr__(self) -> str:
        return f"<Patter on {', '.join(self._carriers)}>"

    def copy(
        self,
        *,
        carrier: Carrier | None = None,
        more_carriers: Sequence[Carrier] = (),
        more_sinks: Sequence[EventSink] = (),
        more_apps: Sequence[WebApp] = (),
        local_apps_port: int | None = None,
        webhook_url: str = "",
        limits: Limits | None = None,
    ) -> Patter:
        """Returns a phone with the same agents and settings, to be served beside this one: for tests and `patter dev`.

        Args:
            carrier: in place of its own, whose numbers, public address and apps it then does not have.
            more_carriers: beside its own.
            more_sinks: beside its own.
            more_apps: beside its own.
            local_apps_port: serve the apps at this port, on this machine only, whatever is set.
            webhook_url: in place of its own public address.
            limits: in place of its own.
        """
        other = copy.copy(self)
        apps = self._apps.copy(more_apps, local_port=local_apps_port)
        vars(other).update(
            _host=None,
            _config=msgspec.structs.replace(self._config, limits=limits) if limits else self._config,
            _sinks=distinct((*self._sinks, *more_sinks)),
            _carriers=carriers_by_name(carrier or [*self._carriers.values(), *more_carriers]),
            _numbers=self._numbers if carrier is None else {},
            _base=public_base(webhook_url) or (self._base if carrier is None else ""),
            _apps=apps if carrier is None else PhoneApps((), access=None, port=None),
        )
        for one in more_carriers:
            hide_secrets_of(one)
        if carrier is None:
            Patter._prepare_apps(other)
        return other

    @property
    def parts(self) -> PhoneParts:
        """What it was made of."""
        return PhoneParts(
            carriers=tuple(self._carriers.values()),
            numbers=self._numbers,
            base=self._base,
            sinks=self._sinks,
            store=self._config.store,
            limits=self._config.limits,
            apps=self._apps.all,
            redaction=self._config.redaction,
            notice=self._notice,
        )

    @property
    def several_workers(self) -> bool:
        """True if other workers take calls for the same numbers."""
        return self._config.several_workers

    @property
    def transport(self) -> str:
        """The name of what reads and writes WebSocket frames."""
        return name_of(self._config.transport)

    @property
    def calls(self) -> list[PhoneCall]:
        """The live calls of this worker, inbound and outbound."""
        return [] if self._host is None else self._host.phone_calls

    def asgi(self, agent: Routing | None = None) -> Router:
        """Returns the ASGI app that answers this phone: to be served as it is, or mounted in another app.

        Run its `lifespan_context` in the other app's lifespan, so that calls and sinks get their time at the end.

        Args:
            agent: takes the calls that no plugin routes; by default what `route` was given. Or agents by the number
                that was called: calls to other numbers are rejected. Or a function of the call's `Leg` that decides,
                within `Deadlines.route`: where it fails, the call is rejected. In place of an agent there may be
                `agent.with_options(…)`, a `Reject`, a `Transfer` to another number, or None, which rejects the call.

        Raises:
            ConfigurationError: this phone has an app already, an agent of another phone was given, or the options of
                one do not fit into a URL.
        """
        self._host = self._new_host(agent)
        return make_app(self._host, base=self._base, trust_forwarded=self._trust_forwarded)

    def app(self, name: str, authenticate: Callable[[Scope], str]) -> ASGIApp:
        """Returns one of the phone's apps, to be mounted in a server of your own beside the app of `asgi`, made before.

        Args:
            name: of the app, such as `dashboard`.
            authenticate: returns the name of the user that a request's ASGI scope is of; "" for strangers, who get
                nothing. It is called for each request, and must not block. Your server checks the `Host` header.

        Raises:
            ConfigurationError: `Patter(apps=…)` has no such app.
        """
        return self._apps.mounted(name, authenticate)

    @check_arguments
    async def serve(
        self,
        agent: Routing | None = None,
        *,
        host: str = "",
        port: int | None = None,
        listener: socket.socket | None = None,
        shared_listener: bool = False,
        configure_number: bool = False,
        on_ready: Callable[[str], None] | None = None,
        ties: WorkerTies | None = None,
    ) -> None:
        """Answers calls until SIGINT, SIGTERM or SIGHUP; then live calls get their time, and no new ones are taken.

        A second signal ends the live calls at once. SIGHUP has no effect in a process that `nohup` started.

        Args:
            agent: as in `asgi`.
            host: address to listen on; else PATTER_HOST, else 127.0.0.1.
            port: else PATTER_PORT, else 8000. 0 takes any free port.
            listener: a listening socket, in place of `host` and `port`; it is closed at the end.
            shared_listener: another process goes on accepting from it: at a signal this one accepts no more.
            configure_number: have each carrier point its `phone_number` here, at `webhook_url`.
            on_ready: called with `http://host:port` once calls can come; by default it is printed on standard error.
            ties: to other processes of this server, and what its apps need of them.

        Raises:
            ConfigurationError: the address cannot be used, or a value for configure_number is missing, or as in `asgi`.
            CarrierRequestFailed: the carrier refused to configure the number.
        """
        refuse_while_imported()
        if configure_number:
            check_configurable(self._carriers, self._numbers, self._base)
        tell_calls()
        ties = ties or WorkerTies()
        call_host = self._new_host(agent)
        listener = listener or bind(
            from_environment(host, "PATTER_HOST") or "127.0.0.1", port_number(port, default=DEFAULT_PORT)
        )
        self._host = call_host

        async def up(url: str) -> None:
            if configure_number:
                await configure_numbers(self._carriers, self._numbers, self._base)
            (on_ready or functools.partial(print_ready, self._carriers, base=self._base))(url)

        try:
            await serve_until_stopped(
                call_host,
                make_app(call_host, base=self._base, trust_forwarded=self._trust_forwarded, board=ties.board),
                listener,
                max_message=self._config.limits.message,
                shared_listener=shared_listener,
                is_service=ties.is_service,
                beside=(self._apps.serving(ties, listener, waits=shared_listener), ties.serving(call_host)),
                on_up=up,
            )
        finally:
            self._host = None

    def run(self, agent: Routing | None = None, *, host: str = "", port: int | None = None) -> None:
        """Answers calls from a program that has no event loop: on uvloop where it is installed. All as in `serve`."""
        run_serving(functools.partial(self.serve, agent, host=host, port=port))

    async def drain(self) -> None:
        """Takes no new calls, and waits for the live ones as long as `Limits.drain` says; then ends them.

        `serve` does it by itself. With a server of your own, await it before that server stops.
        """
        if self._host is not None:
            await self._host.drain()

    def _prepare_apps(self) -> None:
        self._apps.prepare(self, self._registry, self._config, self._sinks, base=self._base, carriers=self._carriers)

    def _new_host(self, agent: Routing | None) -> CallHost:
        if self._host is not None:
            raise ConfigurationError(
                "This phone is being served already.",
                expected="one asgi() or serve() for each Patter",
                remedy="Give all agents to one of them, by number: serve({number: agent}); or make a second Patter.",
            )
        within = self._config.deadlines.route
        routes = Routes(self.routing if agent is None else agent, RouteHooks(self._registry.manager, within), within)
        for one in routes.agents:
            self._check_own(one.agent)

        host = make_host(
            routes,
            carriers=self._carriers,
            config=self._config,
            find_agent=self._agents.get,
            sinks=self._sinks,
            callbacks=self._callbacks,
            base=self._base,
        )
        self._apps.attach(host)
        return host
