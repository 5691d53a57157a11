"""What a plugin offers: the kinds that it defines, and classes of the core's kinds and of those that plugins define."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import pluggy

from patter_core.app import APP_API_VERSION, WebApp
from patter_core.carrier import CARRIER_API_VERSION, Carrier
from patter_core.engine import ENGINE_API_VERSION, Engine
from patter_core.errors import PatterError
from patter_core.kinds import Kind, Part
from patter_core.net.transport import TRANSPORT_API_VERSION, Transport
from patter_core.plugins.installed import normal_name
from patter_core.plugins.plugin import Need, Offer
from patter_core.sink import SINK_API_VERSION, EventSink
from patter_core.store import STORE_API_VERSION, CallStore

__all__ = ["CORE_KINDS", "TAKEN", "kinds_of", "offers_of", "parts_of"]

CORE_KINDS = (
    Kind("carrier", Carrier, CARRIER_API_VERSION, "patter_core.testing:check_carrier"),
    Kind("engine", Engine, ENGINE_API_VERSION, "patter_core.testing:check_engine"),
    Kind("sink", EventSink, SINK_API_VERSION, "patter_core.testing:check_sink"),
    Kind("store", CallStore, STORE_API_VERSION, "patter_core.testing:check_store"),
    Kind("app", WebApp, APP_API_VERSION, "patter_core.testing:check_app"),
    Kind("transport", Transport, TRANSPORT_API_VERSION, "patter_core.testing:check_transport"),
)
"""Each has a hook of its own: `patter_`, its name, and an s."""

TAKEN = frozenset(
    {"engine", "fallback", "first_message", "idle_after", "idle_message", "language", "name", "notice", "parts"}
    | {"resume_message", "system_prompt", "tools", "variables", "voice"}
)
"""The arguments of `Patter.agent` that are not for parts: no kind is called so."""

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_KIND_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CONFORMANCE = re.compile(r"(\w+(\.\w+)*:\w+)?")


def kinds_of(trial: pluggy.PluginManager, package: str) -> tuple[Kind, ...]:
    """Returns the kinds that a plugin of that top-level package defines. Raises `PatterError` for an unusable one."""
    kinds = tuple(_checked_kind(kind, package) for kind in _listed(trial.hook.patter_kinds))
    if len({kind.name for kind in kinds}) < len(kinds) or len({id(kind.base) for kind in kinds}) < len(kinds):
        raise PatterError(
            "It defines a kind twice.",
            expected="each with a name and a base class of its own",
            got=", ".join(f"{kind.name} ({kind.base.__name__})" for kind in kinds),
        )
    return kinds


def offers_of(trial: pluggy.PluginManager) -> Iterator[Offer]:
    """Yields the classes of the core's kinds that a plugin offers. Raises `PatterError` for an unusable one."""
    for kind in CORE_KINDS:
        hook: pluggy.HookCaller = getattr(trial.hook, f"patter_{kind.name}s")
        for offered in _listed(hook):
            yield _checked(kind, offered)


def parts_of(
    trial: pluggy.PluginManager, package: str, kinds: Sequence[Kind], distributions: Mapping[str, str]
) -> Iterator[Offer | Need]:
    """Yields the parts that a plugin offers. Raises `PatterError` for an unusable one.

    A part whose kind is not defined is a `Need`. So is what cannot be imported because a package is missing: the kind's
    base class is in a package of another plugin, which need not be installed.

    Args:
        trial: a manager with this plugin only.
        package: the plugin's top-level package.
        kinds: of all plugins.
        distributions: the distribution of each plugin, by its top-level package.
    """
    try:
        parts = _listed(trial.hook.patter_parts)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        top = missing.partition(".")[0]
        if top in {"", package, "patter_core"}:
            raise
        found = distributions.get(top, normal_name(top))
        yield Need("", found if missing == top else f"{found} with {missing}")
        return
    for part in parts:
        yield _checked_part(part, package, kinds, distributions)


def _checked_part(
    offered: object, package: str, kinds: Sequence[Kind], distributions: Mapping[str, str]
) -> Offer | Need:
    if not (isinstance(offered, type) and issubclass(offered, Part) and offered is not Part):
        raise PatterError(
            "The part that it offers is of the wrong class.",
            expected="a class below the base of a kind that a plugin defines",
            got=repr(offered),
        )
    kind = _kind_of(offered, kinds)
    if kind is not None:
        return _checked(kind, offered)
    base = [cls for cls in offered.__mro__ if issubclass(cls, Part) and cls is not Part][-1]
    top = base.__module__.partition(".")[0]
    if top == package:
        raise PatterError(
            f"{offered.__name__} is of no kind.",
            expected="a class below the base of a kind that a plugin defines",
            got=f"its base is {base.__name__}",
            remedy="Return a Kind with that base from patter_kinds.",
        )
    return Need(_checked_name(offered), distributions.get(top, normal_name(top)))


def _kind_of(offered: type[Part], kinds: Sequence[Kind]) -> Kind | None:
    found = [kind for base in offered.__mro__ for kind in kinds if kind.base is base]
    if not found:
        return None
    nearest = found[0].base
    rivals = {kind.name for kind in found if kind.base is nearest or not issubclass(nearest, kind.base)}
    if len(rivals) > 1:
        raise PatterError(f"{offered.__name__} is of several kinds.", expected="one", got=", ".join(sorted(rivals)))
    return found[0]


def _checked(kind: Kind, offered: object) -> Offer:
    if not (
        isinstance(offered, type)
        and issubclass(offered, Carrier | Engine | EventSink | CallStore | WebApp | Transport | Part)
        and issubclass(offered, kind.base)
    ):
        raise PatterError(
            f"The {kind.name} that it offers is of the wrong class.",
            expected=f"a subclass of {kind.base.__name__}",
            got=repr(offered),
        )
    name = _checked_name(offered)
    if inspect.isabstract(offered):
        missing = ", ".join(sorted(offered.__abstractmethods__))
        raise PatterError(f"{offered.__name__} is not complete.", expected=f"methods {missing}")
    version: object = getattr(offered, "api_version", None)
    if version != kind.api_version:
        raise PatterError(
            f"{offered.__name__} was made for another version of the {kind.name} contract.",
            expected=str(kind.api_version),
            got=str(version),
            remedy="Upgrade the older of the two distributions.",
        )
    return Offer(kind, name, offered)


def _checked_name(offered: type) -> str:
    name: object = getattr(offered, "name", None)
    if type(name) is not str or not _NAME.fullmatch(name):
        raise PatterError(
            f"{offered.__name__} has no usable name.", expected="lower-case letters, digits, hyphens", got=repr(name)
        )
    return name


def _checked_kind(kind: object, package: str) -> Kind:
    if not isinstance(kind, Kind):
        raise PatterError("The kind that it defines is none.", expected="an instance of Kind", got=repr(kind))
    name: object = kind.name
    if type(name) is not str or not _KIND_NAME.fullmatch(name) or keyword.iskeyword(name):
        raise PatterError("Its kind has no usable name.", expected="a Python name in lower case", got=repr(name))
    if name in {core.name for core in CORE_KINDS} or {name, f"{name}s"} & TAKEN:
        raise PatterError(
            f"The kind name “{name}” is taken.", expected="none of the core's kinds or of the arguments of Patter.agent"
        )
    base: object = kind.base
    if not (isinstance(base, type) and issubclass(base, Part) and base is not Part):
        raise PatterError(f"The kind “{name}” has no usable base.", expected="a subclass of Part", got=repr(base))
    if base.__module__.partition(".")[0] != package:
        raise PatterError(
            f"The base of the kind “{name}” is of another package.", expected=package, got=base.__module__
        )
    if type(kind.api_version) is not int or type(kind.required) is not bool:
        raise PatterError(
            f"The kind “{name}” has a value of the wrong type.", expected="api_version: int, required: bool"
        )
    check: object = kind.conformance
    if not isinstance(check, str) or not _CONFORMANCE.fullmatch(check):
        raise PatterError(
            f"The check of the kind “{name}” has another form.", expected="module:function", got=repr(check)
        )
    template: object = kind.template
    if not isinstance(template, str) or (template and not _template_of(package).fullmatch(template)):
        raise PatterError(
            f"The template of the kind “{name}” has another form.", expected=f"{package}:folder", got=repr(template)
        )
    brought_by: object = kind.brought_by
    if not isinstance(brought_by, tuple) or not all(isinstance(one, str) for one in brought_by):
        raise PatterError(
            f"The kind “{name}” says wrongly what brings it.", expected="a tuple of names", got=repr(brought_by)
        )
    return kind


def _template_of(package: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(package)}(\.\w+)*:\w+(/\w+)*")


def _listed(hook: Callable[[], Sequence[object]]) -> list[object]:
    """Returns what a hook's implementations return, in one list."""
    listed: list[object] = []
    for result in hook():
        if not isinstance(result, list | tuple):
            raise PatterError("One of its hooks returned another type.", expected="a list", got=type(result).__name__)
        listed += result
    return listed
