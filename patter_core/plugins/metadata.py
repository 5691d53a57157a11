"""The plugins of all distributions that are installed, as their metadata tell it. None of them is imported here."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from typing import Protocol

import msgspec

from patter_core import __version__
from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.hookspecs import ENTRY_POINT_GROUP
from patter_core.kinds import Kind, Part
from patter_core.net.transport import Transport
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = [
    "CORE",
    "USUAL_REQUIREMENT",
    "Found",
    "Need",
    "Offer",
    "OfferedClass",
    "Plugin",
    "describe",
    "find_plugins",
    "normal_name",
    "text_of",
]

OfferedClass = (
    type[Carrier] | type[Engine] | type[EventSink] | type[CallStore] | type[WebApp] | type[Transport] | type[Part]
)

CORE = "patter-core"
USUAL_REQUIREMENT = f"{CORE}<1,>=0.1"
"""What our own plugins require, as wheels spell it. It holds, so `packaging`, 15 ms to import, is not loaded for it."""
_ABOUT_CORE = re.compile(r"\s*patter[-_.]+core(?![\w.-])", re.IGNORECASE)
"""The beginning of a requirement on the core, under any spelling of the name."""


class Offer(msgspec.Struct, frozen=True):
    """A class that a plugin offers."""

    kind: Kind
    name: str
    cls: OfferedClass


class Need(msgspec.Struct, frozen=True):
    """A part that a plugin offers, and that cannot be used for want of another plugin."""

    name: str
    """Of the part; "" if it could not be imported."""
    distribution: str
    """What defines its kind, as `pip` calls it; or another package that its module imports."""


class Plugin(msgspec.Struct, eq=False):
    """An installed plugin, joined or not."""

    name: str
    """Of its entry point."""
    distribution: str
    """What `pip` calls it; "" for a plugin that was handed over by itself, or whose metadata cannot be read."""
    version: str
    kinds: tuple[Kind, ...] = ()
    """Those that it defines."""
    composes: bool = False
    """It makes an engine of the parts that an agent is given."""
    offers: tuple[Offer, ...] = ()
    needs: tuple[Need, ...] = ()
    """The parts that it offers and that cannot be used. Everything else of it is in use."""
    problem: str = ""
    """Why it is not joined; "" if it is."""
    disabled: bool = False
    """It is not joined because the user switched it off."""
    cause: BaseException | None = None

    @property
    def joined(self) -> bool:
        """True if it is in use."""
        return not self.problem


Found = tuple[Plugin, importlib.metadata.EntryPoint | None]
"""A plugin and its entry point; None where that cannot be read."""


def find_plugins() -> list[Found]:
    """Returns the plugins of all distributions. Never raises for one of them."""
    try:
        return [(describe(point), point) for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)]
    except Exception:  # noqa: BLE001 - one damaged file, of any distribution, makes this fail for all of them
        found: dict[tuple[str, str], Found] = {}
    for dist in importlib.metadata.distributions():
        try:
            points = dist.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as error:  # noqa: BLE001 - as above
            plugin = _of_distribution("", dist)
            plugin.name = plugin.distribution or "?"
            plugin.problem = f"its entry points cannot be read: {text_of(error)}"
            found[plugin.name, plugin.distribution] = plugin, None
        else:
            described = ((describe(point), point) for point in points)
            found = {(plugin.name, plugin.distribution): (plugin, point) for plugin, point in described} | found
    return list(found.values())


def describe(entry_point: importlib.metadata.EntryPoint) -> Plugin:
    """Returns the plugin of an entry point, with a problem if it can be seen already that it cannot be joined."""
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
        plugin.distribution, plugin.version = str(dist.name or ""), str(dist.version or "")
        if not (plugin.distribution and plugin.version):  # some versions of Python read what is not there as ""
            plugin.problem = "its metadata cannot be read: it has no name, or no version."
        else:
            plugin.problem = _core_problem(dist.requires or ())
    except Exception as error:  # noqa: BLE001 - a file is missing or damaged
        plugin.problem = f"its metadata cannot be read: {text_of(error)}"
    return plugin


def normal_name(distribution: str) -> str:
    """Returns a distribution's name as `pip` compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def text_of(error: BaseException) -> str:
    """Returns what an error of a plugin says, in one line. The error's class may be the plugin's own."""
    try:
        text = " ".join(str(error).split())
    except BaseException as fault:  # the plugin's code
        if isinstance(fault, KeyboardInterrupt):
            raise
        text = "no message"
    return f"{type(error).__name__}: {text}"


def _core_problem(requirements: Iterable[str]) -> str:
    """Why these requirements rule this core out; "" if they do not."""
    for text in requirements:
        if text == USUAL_REQUIREMENT or not _ABOUT_CORE.match(text):
            continue
        from packaging.requirements import Requirement  # noqa: PLC0415 - see USUAL_REQUIREMENT

        try:
            requirement = Requirement(text)
            hard = requirement.marker is None or requirement.marker.evaluate()  # others are of extras, or of elsewhere
        except ValueError:
            return f"its requirement “{text}” cannot be read."
        if hard and not requirement.specifier.contains(__version__, prereleases=True):
            wanted = f"{CORE}{requirement.specifier}"
            return f"it was made for {wanted}, and this is {__version__}. Upgrade the older of the two."
    return ""
