"""The entry points of the distributions that are installed, as their metadata tell them. None is imported here."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection, Iterable
from typing import Protocol

import msgspec

from patter_core import __version__

__all__ = [
    "CORE",
    "USUAL_REQUIREMENT",
    "Installed",
    "describe",
    "find_installed",
    "is_called_after",
    "is_named",
    "normal_name",
    "text_of",
]

CORE = "patter-core"
USUAL_REQUIREMENT = f"{CORE}<1,>=0.1"
"""What our own plugins require, as wheels spell it. It holds, so `packaging`, 15 ms to import, is not loaded for it."""
_ABOUT_CORE = re.compile(r"\s*patter[-_.]+core(?![\w.-])", re.IGNORECASE)
"""The beginning of a requirement on the core, under any spelling of the name."""


class Installed(msgspec.Struct, eq=False):
    """An entry point, with what its distribution says of itself."""

    name: str
    """Of the entry point; the distribution's where its entry points cannot be read."""
    distribution: str = ""
    """What `pip` calls it; "" for an entry point that was handed over by itself, or whose metadata cannot be read."""
    version: str = ""
    problem: str = ""
    """Why it cannot be used, if that can be seen already; "" if not."""
    point: importlib.metadata.EntryPoint | None = None
    """None where it cannot be read."""


def find_installed(group: str) -> list[Installed]:
    """Returns the entry points of a group, of all distributions. Never raises for one of them."""
    try:
        return [describe(point) for point in importlib.metadata.entry_points(group=group)]
    except Exception:  # noqa: BLE001 - one damaged file, of any distribution, makes this fail for all of them
        found: dict[tuple[str, str], Installed] = {}
    for dist in importlib.metadata.distributions():
        try:
            points = dist.entry_points.select(group=group)
        except Exception as error:  # noqa: BLE001 - as above
            damaged = _of_distribution("", dist)
            damaged.name = damaged.distribution or "?"
            damaged.problem = f"its entry points cannot be read: {text_of(error)}"
            found[damaged.name, damaged.distribution] = damaged
        else:
            described = (describe(point) for point in points)
            found = {(one.name, one.distribution): one for one in described} | found
    return list(found.values())


def describe(entry_point: importlib.metadata.EntryPoint) -> Installed:
    """Returns an entry point, with a problem if it can be seen already that it cannot be used."""
    dist = entry_point.dist
    installed = Installed(entry_point.name) if dist is None else _of_distribution(entry_point.name, dist)
    installed.point = entry_point
    return installed


class _Distribution(Protocol):
    """What is read of a distribution; each raises if its metadata cannot be read."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def requires(self) -> list[str] | None: ...


def _of_distribution(name: str, dist: _Distribution) -> Installed:
    """Returns the entry point, with the problem that the metadata rule this core out, or cannot be read."""
    installed = Installed(name)
    try:
        installed.distribution, installed.version = str(dist.name or ""), str(dist.version or "")
        if not (installed.distribution and installed.version):  # some versions of Python read what is not there as ""
            installed.problem = "its metadata cannot be read: it has no name, or no version."
        else:
            installed.problem = _core_problem(dist.requires or ())
    except Exception as error:  # noqa: BLE001 - a file is missing or damaged
        installed.problem = f"its metadata cannot be read: {text_of(error)}"
    return installed


def is_named(installed: Installed, names: Collection[str]) -> bool:
    """Returns True if it, or its distribution, is among the names, in whatever spelling."""
    named = {normal_name(name) for name in names if name}
    return normal_name(installed.name) in named or normal_name(installed.distribution) in named


def is_called_after(installed: Installed, name: str) -> bool:
    """True if the distribution is the one of that name: `patter-` and the name."""
    return normal_name(installed.distribution) == normal_name(f"patter-{name}")


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
