"""Loads a plugin: imports it, checks its hooks, and asks what it offers. Whatever goes wrong is recorded with it."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import msgspec
import pluggy

from patter_core.errors import PatterError
from patter_core.hookspecs import PROJECT_NAME, HookSpecs
from patter_core.kinds import Kind
from patter_core.plugins.installed import is_named, text_of
from patter_core.plugins.offers import kinds_of, offers_of, parts_of
from patter_core.plugins.plugin import Need, Offer, Plugin

__all__ = ["Loaded", "add_offers", "attempt", "load", "new_manager", "package_of"]

T = TypeVar("T")


class Loaded(msgspec.Struct, frozen=True):
    """A plugin that could be imported, and whose hooks can be called."""

    plugin: Plugin
    implementation: object
    """What has its hooks: a module or an object."""
    trial: pluggy.PluginManager
    """Knows this plugin only: pluggy keeps what it refuses half registered."""
    package: str
    """The top-level package of its entry point."""


def new_manager() -> pluggy.PluginManager:
    """Returns a manager of Patter's hooks."""
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(HookSpecs)
    return manager


def package_of(entry_point: importlib.metadata.EntryPoint) -> str:
    """Returns the top-level package of an entry point; "" if it names none."""
    return entry_point.value.partition(":")[0].partition(".")[0].strip()


def attempt(plugin: Plugin, step: Callable[[], T]) -> T | None:
    """Returns what a step that runs the plugin's code returns; None if it raises, which is recorded with the plugin."""
    try:
        return step()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        # The plugin boundary: a plugin that calls sys.exit() at import may not take the host along either.
        plugin.problem = text_of(error)
        plugin.cause = error
        return None


def load(plugin: Plugin, disabled: Collection[str]) -> Loaded | None:
    """Imports a plugin and asks which kinds it defines. Returns None if there is a problem, which is recorded."""
    entry_point = plugin.point
    if is_named(plugin, disabled):
        plugin.disabled = True
        plugin.problem = "it is switched off, by PATTER_DISABLE or `disabled`."
    if plugin.problem or entry_point is None:
        return None
    return attempt(plugin, lambda: _load(plugin, entry_point))


def _load(plugin: Plugin, entry_point: importlib.metadata.EntryPoint) -> Loaded:
    implementation: object = entry_point.load()
    if implementation is None:
        raise PatterError("Its entry point is None.", expected="a module or an object with hooks")
    trial = new_manager()
    trial.register(implementation)
    trial.check_pending()
    _check_hooks(trial, implementation)
    package = package_of(entry_point)
    plugin.kinds = kinds_of(trial, package)
    plugin.composes = bool(trial.hook.patter_compose_engine.get_hookimpls())
    return Loaded(plugin, implementation, trial, package)


def add_offers(loaded: Loaded, kinds: Sequence[Kind], distributions: Mapping[str, str]) -> None:
    """Asks a plugin which classes it offers; `kinds` are those of all plugins, since a class may be of any of them."""

    def ask() -> list[Offer | Need]:
        return [*offers_of(loaded.trial), *parts_of(loaded.trial, loaded.package, kinds, distributions)]

    found = attempt(loaded.plugin, ask) or ()
    loaded.plugin.offers = tuple(one for one in found if isinstance(one, Offer))
    loaded.plugin.needs = tuple(one for one in found if isinstance(one, Need))


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
