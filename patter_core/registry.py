"""Find the plugins that are installed, and join those that are sound.

Each plugin stands alone: one that cannot be imported, does not fit the hooks, or wants a name that is taken is recorded
with the cause and is not joined; the others are. The order never depends on the file system: entry points are sorted.

There are two passes. In the first, each plugin is imported and asked which kinds it defines; in the second, which
classes it offers, which may be of the kinds of another plugin.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable, Mapping

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import did_you_mean, from_environment
from patter_core.engine import Engine
from patter_core.errors import PluginFailed, PluginNotFound
from patter_core.hookspecs import ENTRY_POINT_GROUP
from patter_core.kinds import Kind, Part
from patter_core.net.transport import Transport
from patter_core.plugins.composing import IN_CODE, WITHOUT_KINDS, Spelling, compose
from patter_core.plugins.installed import describe, find_installed, is_called_after
from patter_core.plugins.loading import Loaded, add_offers, attempt, load, new_manager, package_of
from patter_core.plugins.names import refuse_taken_kinds, refuse_taken_names, refuse_twins
from patter_core.plugins.offers import CORE_KINDS
from patter_core.plugins.plugin import Need, Offer, OfferedClass, Plugin, plugin_of
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["Offer", "Plugin", "Registry"]

_BROUGHT_BY = {
    ("store", "redis"): "patter-redis",
    ("sink", "redis"): "patter-redis",
    ("sink", "otel"): "patter-otel",
    ("sink", "prometheus"): "patter-otel",
    ("sink", "webhook"): "patter-webhook",
    ("app", "dashboard"): "patter-dashboard",
    ("carrier", "browser"): "patter-browser",
    ("transport", "picows"): "patter-picows",
}
"""Distributions of this repository that bring what belongs to no vendor."""

_log = logging.getLogger("patter.registry")


class Registry:
    """The plugins of one host. Made by `discover`; nothing about it is global.

    Attributes:
        plugins: all that were found, sorted by name and distribution.
        manager: pluggy's manager of those that are joined, for cold hooks.
    """

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.manager = new_manager()
        self._offers: dict[tuple[str, str], OfferedClass] = {}

    @classmethod
    def discover(
        cls,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
        *,
        disabled: Iterable[str] | None = None,
    ) -> Registry:
        """Joins every plugin of the entry-point group `patter`, or those that are given. Never raises for a plugin.

        Args:
            entry_points: instead of those that are installed.
            disabled: names of plugins or distributions to leave out, beside those in the environment's PATTER_DISABLE
                (with commas between); they are not even imported.
        """
        registry = cls()
        off = {*(disabled or ()), *(name.strip() for name in from_environment("", "PATTER_DISABLE").split(","))}
        found = find_installed(ENTRY_POINT_GROUP) if entry_points is None else map(describe, entry_points)
        registry.plugins = sorted(map(plugin_of, found), key=lambda plugin: (plugin.name, plugin.distribution))
        distributions = {package_of(one.point): one.distribution for one in registry.plugins if one.point is not None}
        loaded = [one for one in [load(plugin, off) for plugin in registry.plugins] if one is not None]
        kinds = registry.part_kinds
        for one in loaded:
            add_offers(one, kinds, distributions)
        registry._refuse_and_join(loaded)
        return registry

    def _refuse_and_join(self, loaded: list[Loaded]) -> None:
        refuse_twins(loaded)
        taken = refuse_taken_kinds(self.plugins)
        self._drop_parts_without_a_kind()
        taken += refuse_taken_names(self.plugins)
        for one in loaded:
            if one.plugin.joined:
                self._join(one)
        self._drop_parts_without_a_kind()  # of plugins that were refused since
        for plugin in self.plugins:
            if plugin.joined:
                self._offers.update({(offer.kind.name, offer.name): offer.cls for offer in plugin.offers})
            elif not plugin.disabled:
                level = logging.ERROR if plugin in taken else logging.WARNING
                _log.log(level, "Plugin %s of %s is not joined: %s", plugin.name, plugin.distribution, plugin.problem)

    def _drop_parts_without_a_kind(self) -> None:
        defined = {_key(kind) for kind in self.kinds}
        definers = {_key(kind): plugin.distribution for plugin in self.plugins for kind in plugin.kinds}
        for plugin in self.plugins:
            lost = [offer for offer in plugin.offers if _key(offer.kind) not in defined]
            if lost:
                plugin.offers = tuple(offer for offer in plugin.offers if _key(offer.kind) in defined)
                plugin.needs += tuple(Need(offer.name, definers[_key(offer.kind)]) for offer in lost)

    def _join(self, loaded: Loaded) -> None:
        plugin = loaded.plugin
        name = f"{plugin.name} of {plugin.distribution}"
        if self.manager.has_plugin(name):  # two entry points of one name
            name = f"{name} ({len(self.manager.get_plugins())})"
        attempt(plugin, lambda: self.manager.register(loaded.implementation, name=name))  # it looks at each attribute

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of the core, then those that the joined plugins define."""
        return [*CORE_KINDS, *(kind for plugin in self.plugins if plugin.joined for kind in plugin.kinds)]

    @property
    def part_kinds(self) -> list[Kind]:
        """Those that the joined plugins define, for parts."""
        return self.kinds[len(CORE_KINDS) :]

    def carrier(self, name: str) -> type[Carrier]:
        """The carrier of that name.

        Raises:
            PluginNotFound: nothing installed offers it; the error says what to install.
            PluginFailed: what offers it could not be joined; the error says why.
        """
        found = self._get("carrier", name)
        assert issubclass(found, Carrier)  # _checked() saw to it
        return found

    def engine(self, name: str) -> type[Engine]:
        """The engine of that name; raises as `carrier`."""
        found = self._get("engine", name)
        assert issubclass(found, Engine)  # as above
        return found

    def sink(self, name: str) -> type[EventSink]:
        """The sink of that name; raises as `carrier`."""
        found = self._get("sink", name)
        assert issubclass(found, EventSink)  # as above
        return found

    def store(self, name: str) -> type[CallStore]:
        """The call store of that name; raises as `carrier`."""
        found = self._get("store", name)
        assert issubclass(found, CallStore)  # as above
        return found

    def app(self, name: str) -> type[WebApp]:
        """The app of that name; raises as `carrier`."""
        found = self._get("app", name)
        assert issubclass(found, WebApp)  # as above
        return found

    def transport(self, name: str) -> type[Transport]:
        """The transport of that name; raises as `carrier`."""
        found = self._get("transport", name)
        assert issubclass(found, Transport)  # as above
        return found

    def part(self, kind: str, name: str) -> type[Part]:
        """The part of that name, of a kind that a plugin defines; raises as `carrier`."""
        known = [one.name for one in self.part_kinds]
        if kind not in known:
            raise PluginNotFound(
                f"No installed plugin defines the kind “{kind}”.",
                got=f"kinds: {', '.join(known) or 'none'}",
                remedy=did_you_mean(kind, known) if known else f"{WITHOUT_KINDS}.",
            )
        found = self._get(kind, name)
        assert issubclass(found, Part)  # as above
        return found

    def names(self, kind: str) -> list[str]:
        """The names that are offered, sorted, for a kind: `carrier`, `engine` and so on."""
        return sorted(name for offered, name in self._offers if offered == kind)

    def compose(self, parts: Mapping[str, object], spelling: Spelling = IN_CODE) -> Engine:
        """Returns the engine that the installed plugins make of parts.

        Args:
            parts: the arguments of `Patter.agent` for parts, by their names.
            spelling: how they were written, for errors.

        Raises:
            ConfigurationError: a part is of another kind, one is missing, or no plugin makes an engine of them.
        """
        kinds = {kind: self.names(kind.name) for kind in self.part_kinds}
        return compose(self.manager.hook.patter_compose_engine, kinds, parts, spelling)

    def _get(self, kind: str, name: str) -> OfferedClass:
        offered = self._offers.get((kind, name))
        if offered is not None:
            return offered
        for plugin in sorted(self.plugins, key=lambda plugin: not is_called_after(plugin, name)):
            if not plugin.joined and (plugin.name == name or any(offer.name == name for offer in plugin.offers)):
                raise PluginFailed(
                    f"The {kind} “{name}” of {plugin.distribution or plugin.name} is not joined: {plugin.problem}",
                    remedy="`patter plugins` shows all that is installed.",
                ) from plugin.cause
        raise PluginNotFound(
            f"No {kind} “{name}” is installed.",
            got=f"{kind}s: {', '.join(self.names(kind)) or 'none'}",
            remedy=did_you_mean(name, self.names(kind))
            or f"{_installing(kind, name)}; `patter plugins` lists what is installed.",
        )


def _installing(kind: str, name: str) -> str:
    distribution = _BROUGHT_BY.get((kind, name))
    return f"pip install {distribution} brings it" if distribution else "Install the plugin that offers it"


def _key(kind: Kind) -> tuple[str, int]:
    """Returns what a kind is told by. Its base is a plugin's class, which may have an `__eq__` and a `__hash__`."""
    return kind.name, id(kind.base)
