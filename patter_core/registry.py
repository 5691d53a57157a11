"""Find the plugins that are installed, and join those that are sound.

Each plugin stands alone: one that cannot be imported, does not fit the hooks, or wants a name that is taken is recorded
with the cause and is not joined; the others are. The order never depends on the file system: entry points are sorted.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

import importlib_metadata
import msgspec
import pluggy

from patter_core import __version__
from patter_core.agent import Agent
from patter_core.carrier import CARRIER_API_VERSION, Carrier
from patter_core.config import from_environment
from patter_core.engine import ENGINE_API_VERSION, Engine
from patter_core.errors import PatterError, PluginFailed, PluginNotFound
from patter_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, HookSpecs
from patter_core.sink import SINK_API_VERSION, EventSink
from patter_core.store import STORE_API_VERSION, CallStore
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Reject

__all__ = ["Offer", "Plugin", "Registry"]

_log = logging.getLogger("patter.registry")

OfferedClass = type[Carrier] | type[Engine] | type[EventSink] | type[CallStore]

_KINDS: Mapping[str, tuple[type, int]] = {
    "carrier": (Carrier, CARRIER_API_VERSION),
    "engine": (Engine, ENGINE_API_VERSION),
    "sink": (EventSink, SINK_API_VERSION),
    "store": (CallStore, STORE_API_VERSION),
}
_CORE = "patter-core"
_USUAL_REQUIREMENT = f"{_CORE}<1,>=0.1"
"""What our own plugins require, as wheels spell it. It holds, so `packaging`, 15 ms to import, is not loaded for it."""
_ABOUT_CORE = re.compile(r"\s*patter[-_.]+core(?![\w.-])", re.IGNORECASE)
"""The beginning of a requirement on the core, under any spelling of the name."""
_NAME = re.compile(r"[a-z][a-z0-9-]*")


class Offer(msgspec.Struct, frozen=True):
    """A carrier, engine, sink or call store that a plugin offers."""

    kind: str
    """`carrier`, `engine`, `sink` or `store`."""
    name: str
    cls: OfferedClass


class Plugin(msgspec.Struct):
    """An installed plugin, joined or not."""

    name: str
    """Of its entry point."""
    distribution: str
    """What `pip` calls it; "" for a plugin that was handed over by itself, or whose metadata cannot be read."""
    version: str
    offers: tuple[Offer, ...] = ()
    problem: str = ""
    """Why it is not joined; "" if it is."""
    disabled: bool = False
    """It is not joined because the user switched it off."""
    cause: BaseException | None = None

    @property
    def joined(self) -> bool:
        """True if it is in use."""
        return not self.problem


class Registry:
    """The plugins of one host. Made by `discover`; nothing about it is global.

    Attributes:
        plugins: all that were found, sorted by name and distribution.
        manager: pluggy's manager of those that are joined, for cold hooks.
    """

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.manager = _new_manager()
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
            disabled: names of plugins to leave out, beside those in the environment's PATTER_DISABLE (with commas
                between); they are not even imported.
        """
        registry = cls()
        off = {*(disabled or ()), *(name.strip() for name in from_environment("", "PATTER_DISABLE").split(","))}
        found = _installed() if entry_points is None else [(_described(point), point) for point in entry_points]
        found.sort(key=lambda pair: (pair[0].name, pair[0].distribution))
        loaded = [(plugin, _load(plugin, point, off)) for plugin, point in found]
        owners = _owners(plugin for plugin, _ in loaded)
        for plugin, implementation in loaded:
            registry.plugins.append(plugin)
            _refuse_taken_names(plugin, owners)
            if plugin.joined and implementation is not None:
                registry.manager.register(implementation, name=f"{plugin.name} of {plugin.distribution}")
                registry._offers.update({(offer.kind, offer.name): offer.cls for offer in plugin.offers})
            elif not plugin.disabled:
                _log.warning("Plugin %s is not joined: %s", plugin.name, plugin.problem)
        return registry

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

    def route_call(self, leg: Leg) -> Agent | Reject | Transfer | None:
        """Asks the plugins who takes an incoming call. One that raises is reported and passed over."""
        for implementation in reversed(self.manager.hook.patter_route_call.get_hookimpls()):
            arguments = {"leg": leg} if "leg" in implementation.argnames else {}
            try:
                agent = implementation.function(**arguments)
            except Exception:  # noqa: BLE001 - the plugin boundary
                _log.exception("Plugin %s failed to route a call; it is passed over.", implementation.plugin_name)
                continue
            if isinstance(agent, Agent | Reject | Transfer):
                return agent
        return None

    def _get(self, kind: str, name: str) -> OfferedClass:
        offered = self._offers.get((kind, name))
        if offered is not None:
            return offered
        for plugin in self.plugins:
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


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(HookSpecs)
    return manager


def _installed() -> list[tuple[Plugin, importlib_metadata.EntryPoint | None]]:
    """The plugins of all distributions, with their entry points; without one, where these cannot be read."""
    try:
        return [(_described(point), point) for point in importlib_metadata.entry_points(group=ENTRY_POINT_GROUP)]
    except Exception:  # noqa: BLE001 - one damaged file, of any distribution, makes this fail for all of them
        found: dict[tuple[str, str], tuple[Plugin, importlib_metadata.EntryPoint | None]] = {}
    for dist in importlib_metadata.distributions():
        try:
            points = dist.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as error:  # noqa: BLE001 - as above
            plugin = _of_distribution("", dist)
            plugin.name = plugin.distribution
            plugin.problem = f"its entry points cannot be read: {type(error).__name__}: {error}"
            found[plugin.name, plugin.distribution] = plugin, None
        else:
            described = ((_described(point), point) for point in points)
            found = {(plugin.name, plugin.distribution): (plugin, point) for plugin, point in described} | found
    return list(found.values())


def _described(entry_point: importlib_metadata.EntryPoint) -> Plugin:
    dist = entry_point.dist
    return Plugin(entry_point.name, "", "") if dist is None else _of_distribution(entry_point.name, dist)


class _Distribution(Protocol):
    """What is read of a distribution; each raises if its metadata cannot be read."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def requires(self) -> list[str] | None: ...


def _of_distribution(name: str, dist: _Distribution) -> Plugin:
    """The plugin, with the problem that its distribution's metadata rules this core out, or cannot be read."""
    plugin = Plugin(name, "", "")
    try:
        plugin.distribution, plugin.version = dist.name, dist.version
        plugin.problem = _core_problem(dist.requires or ())
    except Exception as error:  # noqa: BLE001 - a file is missing or damaged
        plugin.problem = f"its metadata cannot be read: {type(error).__name__}: {error}"
    return plugin


def _core_problem(requirements: Iterable[str]) -> str:
    """Why these requirements rule this core out; "" if they do not."""
    for text in requirements:
        if text == _USUAL_REQUIREMENT or not _ABOUT_CORE.match(text):
            continue
        from packaging.requirements import Requirement  # noqa: PLC0415 - see _USUAL_REQUIREMENT

        try:
            requirement = Requirement(text)
            hard = requirement.marker is None or requirement.marker.evaluate()  # others are of extras, or of elsewhere
        except ValueError:
            return f"its requirement “{text}” cannot be read."
        if hard and not requirement.specifier.contains(__version__, prereleases=True):
            wanted = f"{_CORE}{requirement.specifier}"
            return f"it was made for {wanted}, and this is {__version__}. Upgrade the older of the two."
    return ""


def _load(
    plugin: Plugin, entry_point: importlib_metadata.EntryPoint | None, disabled: Collection[str]
) -> object | None:
    """Imports a plugin and asks what it offers, in its own manager: pluggy keeps what it refuses half registered."""
    if plugin.name in disabled:
        plugin.disabled = True
        plugin.problem = "it is switched off, by PATTER_DISABLE or `disabled`."
    if plugin.problem or entry_point is None:
        return None
    try:
        implementation: object = entry_point.load()
        trial = _new_manager()
        trial.register(implementation)
        trial.check_pending()
        plugin.offers = tuple(_offers(trial))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        # The plugin boundary: a plugin that calls sys.exit() at import may not take the host along either.
        plugin.problem = f"{type(error).__name__}: {error}"
        plugin.cause = error
        return None
    return implementation


def _offers(trial: pluggy.PluginManager) -> Iterator[Offer]:
    hooks = {
        "carrier": trial.hook.patter_carriers,
        "engine": trial.hook.patter_engines,
        "sink": trial.hook.patter_sinks,
        "store": trial.hook.patter_stores,
    }
    for kind, hook in hooks.items():
        for classes in hook():
            for offered in classes:
                yield _checked(kind, offered)


def _checked(kind: str, offered: object) -> Offer:
    base, version = _KINDS[kind]
    if not (
        isinstance(offered, type)
        and issubclass(offered, Carrier | Engine | EventSink | CallStore)
        and issubclass(offered, base)
    ):
        raise PatterError(
            f"The {kind} that it offers is of the wrong class.",
            expected=f"a subclass of {base.__name__}",
            got=repr(offered),
        )
    name = getattr(offered, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PatterError(
            f"{offered.__name__} has no usable name.", expected="lower-case letters, digits, hyphens", got=repr(name)
        )
    if inspect.isabstract(offered):
        missing = ", ".join(sorted(offered.__abstractmethods__))
        raise PatterError(f"{offered.__name__} is not complete.", expected=f"methods {missing}")
    if offered.api_version != version:
        raise PatterError(
            f"{offered.__name__} was made for another version of the {kind} contract.",
            expected=str(version),
            got=str(offered.api_version),
            remedy="Upgrade the older of the two distributions.",
        )
    return Offer(kind, name, offered)


def _owners(plugins: Iterable[Plugin]) -> dict[tuple[str, str], Plugin]:
    """Who has which name: the plugin that is called so itself, else the first in order."""
    owners: dict[tuple[str, str], Plugin] = {}
    for plugin in plugins:
        for offer in plugin.offers:
            key = (offer.kind, offer.name)
            if key not in owners or (plugin.name == offer.name and owners[key].name != offer.name):
                owners[key] = plugin
    return owners


def _refuse_taken_names(plugin: Plugin, owners: Mapping[tuple[str, str], Plugin]) -> None:
    for offer in plugin.offers:
        owner = owners[offer.kind, offer.name]
        if owner is not plugin:
            plugin.problem = f"the {offer.kind} name “{offer.name}” belongs to {owner.distribution or owner.name}."
            return
