"""The apps of one phone: their listener, and each of them for a server of the user's own."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import anyio
import msgspec
from starlette.types import ASGIApp, Scope

from patter_core.aio.foreign import as_exception
from patter_core.aio.tasks_beside import tasks_beside
from patter_core.app import WebApp
from patter_core.apps.access import DEFAULT_APPS_PORT, AppAccess, is_loopback
from patter_core.apps.front import Front
from patter_core.apps.view import View
from patter_core.call.config import HostConfig
from patter_core.carrier import Carrier
from patter_core.config import port_number
from patter_core.errors import ConfigurationError
from patter_core.observe.secrets import hide
from patter_core.observe.terminal import print_whole
from patter_core.registry import Registry
from patter_core.server.agents import Agents
from patter_core.server.host import CallHost
from patter_core.server.serving import AddressInUse, bind, serve_app
from patter_core.server.ties import WorkerTies
from patter_core.sink import EventSink

__all__ = ["PhoneApps", "apps_port"]

_log = logging.getLogger("patter.apps")

_PLACE = "PATTER_APPS_HOST and PATTER_APPS_PORT"
"""What sets the address of the apps' listener, in commands and in programs."""
_CONNECTIONS = 256
"""Of the apps' listener, WebSockets aside: a browser has six."""
_TRY_EVERY = 1.0
"""Seconds between two tries to listen where another process has the port."""


class PhoneApps:
    """The apps of a phone.

    Args:
        apps: one of each name.
        access: who is let in; by default `AppAccess()`.
        port: of their listener; else PATTER_APPS_PORT, else 8001. 0 takes any free port.

    Raises:
        ConfigurationError: two apps have one name.
    """

    def __init__(self, apps: Sequence[WebApp], *, access: AppAccess | None, port: int | None) -> None:
        self._given: dict[str, WebApp] = {}
        for app in apps:
            if app.name in self._given:
                raise ConfigurationError(f"There are two apps “{app.name}”.", expected="one of each name")
            self._given[app.name] = app
        self._apps = dict(self._given)
        """Those, and the pages of carriers."""
        self._access = access or AppAccess()
        self._port = port
        self._view: View | None = None
        self._url = ""
        """Where they are served."""

    @property
    def all(self) -> tuple[WebApp, ...]:
        """Those that were given, then the pages of carriers."""
        return tuple(self._apps.values())

    def copy(self, more: Sequence[WebApp], *, local_port: int | None) -> PhoneApps:
        """Returns these apps for another phone, which is to `prepare` them.

        Args:
            more: beside these.
            local_port: of their listener, then on this machine only; None for what is set.
        """
        access, port = self._access, self._port
        if local_port is not None:
            access, port = msgspec.structs.replace(access, listen="127.0.0.1"), local_port
        return PhoneApps([*self._given.values(), *more], access=access, port=port)

    def prepare(
        self,
        agents: Agents,
        registry: Registry,
        config: HostConfig,
        sinks: Sequence[EventSink],
        *,
        base: str,
        carriers: Mapping[str, Carrier],
    ) -> None:
        """Adds the pages of carriers that have one, and gives all apps what they see: see `View`."""
        installed = registry.names("app")
        for name, carrier in carriers.items():
            if carrier.own_page and name in installed and name not in self._apps:
                self._apps[name] = registry.app(name)()
        if self._apps:
            keep_raw = bool(self._access.unmasked)
            self._view = View(agents, registry=registry, config=config, sinks=sinks, base=base, keep_raw=keep_raw)

    def attach(self, host: CallHost) -> None:
        """Lets the apps see this worker."""
        if self._view is not None:
            self._view.attach(host)

    def mounted(self, name: str, authenticate: Callable[[Scope], str]) -> ASGIApp:
        """Returns one app as `Patter.app` does.

        Raises:
            ConfigurationError: the phone has no such app.
        """
        if name not in self._apps:
            raise ConfigurationError(
                f"This phone has no app “{name}”.",
                expected=" or ".join(self._apps) or "apps in Patter(apps=[…])",
            )
        return Front(
            {"": self._made(name)},
            titles=self._titles,
            access=self._access,
            key=secrets.token_bytes(32),
            authenticate=authenticate,
        )

    @contextlib.asynccontextmanager
    async def serving(self, ties: WorkerTies, calls: socket.socket, *, waits: bool) -> AsyncIterator[None]:
        """Serves the apps while the context lasts, if there are any, and if `ties` do not leave it to another worker.

        Links that let a browser in are told, the next one once it was used; by default on standard error.

        Args:
            ties: of this worker.
            calls: where the server listens.
            waits: the port may be that of an instance that is to end: the apps are served once it is free. So it is
                where a parent would replace this worker again and again.

        Raises:
            ConfigurationError: the address cannot be used, or nothing would check who comes.
        """
        if self._view is None or ties.apps_key is None:
            yield
            return
        access = self._access.resolved()
        if access.password:
            hide(access.password)
        made = {name: self._made(name) for name in self._apps}
        front = Front(
            made,
            titles=self._titles,
            access=access,
            key=ties.apps_key or secrets.token_bytes(32),
            on_link_used=lambda: _tell_link(front, self._url, "The link was used. The next one", ties.on_link),
        )
        port = apps_port(self._port if ties.apps_port is None else ties.apps_port)
        listen = functools.partial(bind, access.listen, port, options=_PLACE, beside=calls)
        listener = _listener_now(listen, waits=waits or not ties.is_service)
        if listener is not None:
            async with self._opened(front, listener, ties):
                yield
            return
        async with tasks_beside() as tasks:
            tasks.start_soon(self._open_later, front, listen, ties)
            yield

    @contextlib.asynccontextmanager
    async def _opened(self, front: Front, listener: socket.socket, ties: WorkerTies) -> AsyncIterator[None]:
        """Serves the apps on that socket, and tells where."""
        assert self._view is not None  # there is an app
        async with serve_app(front, listener, most_connections=_CONNECTIONS) as self._url:
            _tell_link(front, self._url, f"Apps ({', '.join(self._apps)})", ties.on_link)
            try:
                yield
            finally:
                self._view.close()  # a server that is cancelled has no drain

    async def _open_later(self, front: Front, listen: Callable[[], socket.socket], ties: WorkerTies) -> None:
        """Serves them as soon as the port is free, until cancelled."""
        while True:
            await anyio.sleep(_TRY_EVERY)
            with contextlib.suppress(ConfigurationError):
                listener = listen()
                break
        async with self._opened(front, listener, ties):
            await anyio.sleep_forever()

    @property
    def _titles(self) -> Mapping[str, str]:
        return {name: app.title or name for name, app in self._apps.items()}

    def _made(self, name: str) -> ASGIApp:
        assert self._view is not None  # there is an app
        try:
            return self._apps[name].asgi(self._view)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary: the app could not be made
            raise as_exception(error) from None


def apps_port(port: int | None) -> int:
    """Returns `port`, or what PATTER_APPS_PORT holds, or 8001. 0 means any free port.

    Raises:
        ConfigurationError: it is not a port number.
    """
    return port_number(port, default=DEFAULT_APPS_PORT, parameter="`apps_port`", variable="PATTER_APPS_PORT")


def _listener_now(listen: Callable[[], socket.socket], *, waits: bool) -> socket.socket | None:
    """Returns where the apps are served; None, and tells so, if another process has the port that is waited for."""
    try:
        return listen()
    except AddressInUse as error:
        if not waits:
            raise
        _log.warning(
            "The apps are not served yet. %s Another instance may have it until it ends: it is tried again every"
            " %g s. If it is not one, choose another with %s.",
            error.problem,
            _TRY_EVERY,
            _PLACE,
        )
        return None


def _tell_link(front: Front, url: str, what: str, tell: Callable[[str], None] | None) -> None:
    """Tells where the apps are: on this machine by a link that lets one browser in."""
    host = url.partition("://")[2].rpartition(":")[0].strip("[]")
    link = f"{url}/#token={front.links.token}" if is_loopback(host) else url
    if tell is not None:
        tell(link)
        return
    print_whole(f"{what}: {link}")  # which is for who started the server, and for no log
