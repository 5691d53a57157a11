"""Find the plugins that are installed, and join those that are sound.

Each plugin stands alone: one that cannot be imported, does not fit the hooks, or wants a name that is taken is recorded
with the cause and is not joined; the others are. The order never depends on the file system: entry points are sorted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import importlib_metadata

from patter_core.carrier import Carrier
from patter_core.config import from_environment
from patter_core.engine import Engine
from patter_core.errors import PluginFailed, PluginNotFound
from patter_core.plugins.loading import load, new_manager
from patter_core.plugins.metadata import Offer, OfferedClass, Plugin, describe, find_plugins, text_of
from patter_core.plugins.names import is_called_after, refuse_taken_names, refuse_twins
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["Offer", "Plugin", "Registry"]

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
        entry_points: Iterable[importlib_metadata.EntryPoint] | None = None,
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
        found = find_plugins() if entry_points is None else [(describe(point), point) for point in entry_points]
        found.sort(key=lambda pair: (pair[0].name, pair[0].distribution))
        loaded = [(plugin, load((plugin, point), off)) for plugin, point in found]
        registry.plugins = [plugin for plugin, _ in loaded]
        refuse_twins(loaded)
        taken = refuse_taken_names(registry.plugins)
        for plugin, implementation in loaded:
            if plugin.joined and implementation is not None:
                registry._join(plugin, implementation)
            if not plugin.joined and not plugin.disabled:
                level = logging.ERROR if plugin in taken else logging.WARNING
                _log.log(level, "Plugin %s of %s is not joined: %s", plugin.name, plugin.distribution, plugin.problem)
        return registry

    def _join(self, plugin: Plugin, implementation: object) -> None:
        name = f"{plugin.name} of {plugin.distribution}"
        if self.manager.has_plugin(name):  # two entry points of one name
            name = f"{name} ({len(self.manager.get_plugins())})"
        try:
            self.manager.register(implementation, name=name)
        except BaseException as error:  # pluggy looks at each attribute of the plugin's module
            if isinstance(error, KeyboardInterrupt):
                raise
            plugin.cause = error
            plugin.problem = text_of(error)
            return
        self._offers.update({(offer.kind, offer.name): offer.cls for offer in plugin.offers})

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

    def names(self, kind: str) -> list[str]:
        """The names that are offered, sorted, for `carrier`, `engine`, `sink` or `store`."""
        return sorted(name for offered, name in self._offers if offered == kind)

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
            remedy="Install the plugin that offers it; `patter plugins` lists what is installed.",
        )
