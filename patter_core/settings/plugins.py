"""From names and options to carriers, engines, sinks, stores and apps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import from_environment
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginError
from patter_core.kinds import Part
from patter_core.registry import Registry
from patter_core.settings.choosing import choose
from patter_core.settings.invalid import located
from patter_core.settings.making import make
from patter_core.settings.model import PluginConfig
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = [
    "make_apps",
    "make_carrier",
    "make_engine",
    "make_part",
    "make_sinks",
    "make_store",
    "numbered",
    "require_shareable",
]

_Class = TypeVar("_Class", EventSink, CallStore, WebApp)


def make_carrier(registry: Registry, config: PluginConfig) -> Carrier:
    """Returns the carrier; without a name, the only one whose credentials are there."""
    return choose(registry, "carrier", registry.carrier, config)


def make_engine(registry: Registry, config: PluginConfig) -> Engine:
    """Returns the engine; without a name, the only one whose credentials are there."""
    return choose(registry, "engine", registry.engine, config)


def make_part(registry: Registry, kind: str, config: PluginConfig) -> Part:
    """Returns a part of a kind that a plugin defines."""
    return make(registry.part(kind, config.name), config.options)


def make_sinks(registry: Registry, configs: Sequence[PluginConfig]) -> list[EventSink]:
    """Returns the sinks. A `{worker}` that is left in their options becomes 0: the only worker's number."""
    return [make(_found(registry.sink, "sink", config.name), config.options) for config in numbered(configs, 0)]


def make_apps(registry: Registry, configs: Sequence[PluginConfig]) -> list[WebApp]:
    """Returns the apps."""
    return [make(_found(registry.app, "app", config.name), config.options) for config in configs]


def make_store(registry: Registry, config: PluginConfig) -> CallStore | None:
    """Returns the call store; without a name, None."""
    if config.name:
        return make(_found(registry.store, "store", config.name), config.options)
    if config.options:
        raise ConfigurationError("[store] has options, but no name.", expected=_names(registry, "store"))
    return None


def require_shareable(registry: Registry, configs: Sequence[PluginConfig]) -> None:
    """Checks that several workers can have these sinks.

    Raises:
        ConfigurationError: one of them needs an option that differs with the worker.
    """
    for config in configs:
        own = any("{worker}" in value for value in config.options.values() if isinstance(value, str))
        if not own and make(registry.sink(config.name), config.options).exclusive:
            raise ConfigurationError(
                f"The sink {config.name} cannot be shared by several workers.",
                expected="an option with {worker}, which becomes the worker's number",
                remedy='For example: path = "events-{worker}.jsonl".',
            )


def numbered(configs: Sequence[PluginConfig], number: int) -> list[PluginConfig]:
    """Returns the configurations with `{worker}` in their options replaced by a worker's number."""
    return [
        msgspec.structs.replace(
            config,
            options={
                name: value.replace("{worker}", str(number)) if isinstance(value, str) else value
                for name, value in config.options.items()
            },
        )
        for config in configs
    ]


def _found(find: Callable[[str], type[_Class]], kind: str, name: str) -> type[_Class]:
    """Returns the class of that name; errors say where names of its kind are set."""
    variable, table = ("PATTER_STORE", "[store]") if kind == "store" else (f"PATTER_{kind.upper()}S", f"[[{kind}s]]")
    place = variable if from_environment("", variable) else f"{table} in the TOML file"
    try:
        return find(name)
    except PluginError as error:
        raise located(error, f"It is named by {place}, or by an option of the command.") from error.__cause__


def _names(registry: Registry, kind: str) -> str:
    return " or ".join(registry.names(kind)) or f"a {kind}, of which none is installed"
