"""Loads a plugin: imports it, checks its hooks, and asks what it offers. Whatever goes wrong is recorded with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping

import pluggy

from patter_core.carrier import CARRIER_API_VERSION, Carrier
from patter_core.engine import ENGINE_API_VERSION, Engine
from patter_core.errors import PatterError
from patter_core.hookspecs import PROJECT_NAME, HookSpecs
from patter_core.plugins.metadata import Found, Offer, normal_name, text_of
from patter_core.sink import SINK_API_VERSION, EventSink
from patter_core.store import STORE_API_VERSION, CallStore

__all__ = ["load", "new_manager"]

_KINDS: Mapping[str, tuple[type, int]] = {
    "carrier": (Carrier, CARRIER_API_VERSION),
    "engine": (Engine, ENGINE_API_VERSION),
    "sink": (EventSink, SINK_API_VERSION),
    "store": (CallStore, STORE_API_VERSION),
}
_NAME = re.compile(r"[a-z][a-z0-9-]*")


def new_manager() -> pluggy.PluginManager:
    """Returns a manager of Patter's hooks."""
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(HookSpecs)
    return manager


def load(found: Found, disabled: Collection[str]) -> object | None:
    """Returns what implements a plugin's hooks; None if there is a problem, which is recorded with the plugin.

    It is tried in a manager of its own: pluggy keeps what it refuses half registered.
    """
    plugin, entry_point = found
    if plugin.name in disabled or normal_name(plugin.distribution) in {normal_name(name) for name in disabled if name}:
        plugin.disabled = True
        plugin.problem = "it is switched off, by PATTER_DISABLE or `disabled`."
    if plugin.problem or entry_point is None:
        return None
    try:
        implementation: object = entry_point.load()
        if implementation is None:
            raise PatterError("Its entry point is None.", expected="a module or an object with hooks")  # noqa: TRY301
        trial = new_manager()
        trial.register(implementation)
        trial.check_pending()
        _check_hooks(trial, implementation)
        plugin.offers = tuple(_offers(trial))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        # The plugin boundary: a plugin that calls sys.exit() at import may not take the host along either.
        plugin.problem = text_of(error)
        plugin.cause = error
        return None
    return implementation


def _check_hooks(trial: pluggy.PluginManager, implementation: object) -> None:
    """Raises `PatterError` for a hook that could not be called."""
    for caller in trial.get_hookcallers(implementation) or ():
        for hook in caller.get_hookimpls():
            if hook.wrapper or hook.hookwrapper:
                raise PatterError(
                    f"Its {caller.name} is a hook wrapper.", expected="a function: Patter asks each plugin by itself"
                )
            asynchronous = inspect.iscoroutinefunction(hook.function) or inspect.isasyncgenfunction(hook.function)
            if asynchronous and caller.name != "patter_route_call":
                raise PatterError(
                    f"Its {caller.name} is asynchronous.",
                    expected="a plain function: it is called at startup, where nothing can be awaited",
                    remedy="Connect where the class that it offers does: when it is opened or started.",
                )


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
