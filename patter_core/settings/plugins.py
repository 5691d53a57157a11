"""From names and options to carriers, engines, sinks, stores and apps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import names_worker, of_worker, worker_number
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.kinds import Part
from patter_core.registry import Registry
from patter_core.server.phone_parts import distinct
from patter_core.settings.choosing import choose
from patter_core.settings.invalid import named_by
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

_Made = TypeVar("_Made", EventSink, CallStore, WebApp)


def make_carrier(registry: Registry, config: PluginConfig, table: str = "[carrier]") -> Carrier:
    """Returns the carrier of a table of the file; without a name, the only one whose credentials are there."""
    with named_by(config, table, "PATTER_CARRIER"):
        return choose(registry, "carrier", registry.carrier, config)


def make_engine(registry: Registry, config: PluginConfig, table: str = "") -> Engine:
    """Returns the engine; without a name, the only one whose credentials are there.

    Args:
        registry: the plugins.
        config: of the engine.
        table: of an agent, if the engine is its own.
    """
    with named_by(config, f"engine in {table}") if table else named_by(config, "[engine]", "PATTER_ENGINE"):
        return choose(registry, "engine", registry.engine, config)


def make_part(registry: Registry, kind: str, config: PluginConfig, place: str) -> Part:
    """Returns a part of a kind that a plugin defines, which is named at that place in the file."""
    _require_name(registry, kind, config, place)
    with named_by(config, place):
        return make(registry.part(kind, config.name), config.options)


def make_sinks(registry: Registry, configs: Sequence[PluginConfig]) -> list[EventSink]:
    """Returns the sinks. `{worker}` in their options becomes the number of this worker.

    Raises:
        ConfigurationError: one cannot be made, or two have the same path.
    """
    return list(distinct(_made(registry, registry.sink, "sink", one) for one in numbered(configs, worker_number())))


def make_apps(registry: Registry, configs: Sequence[PluginConfig]) -> list[WebApp]:
    """Returns the apps."""
    return [_made(registry, registry.app, "app", config) for config in configs]


def make_store(registry: Registry, config: PluginConfig) -> CallStore | None:
    """Returns the call store; without a name, None."""
    if config.name:
        return _made(registry, registry.store, "store", config)
    if config.options:
        _require_name(registry, "store", config, "[store]")
    return None


def require_shareable(registry: Registry, configs: Sequence[PluginConfig]) -> None:
    """Checks that several workers can have these sinks.

    Raises:
        ConfigurationError: one of them needs an option that differs with the worker.
    """
    for config in configs:
        if not any(map(names_worker, config.options.values())):
            sink = _made(registry, registry.sink, "sink", config)
            if sink.exclusive:
                raise ConfigurationError(
                    f"The sink {sink.name} cannot be shared by several workers.",
                    expected="an option with {worker}, which becomes the worker's number",
                    remedy='For example: path = "events-{worker}.jsonl".',
                )


def numbered(configs: Sequence[PluginConfig], number: int) -> list[PluginConfig]:
    """Returns the configurations with `{worker}` in their options replaced by a worker's number."""
    return [
        msgspec.structs.replace(
            config,
            options={
                name: of_worker(value, number) if isinstance(value, str) else value
                for name, value in config.options.items()
            },
        )
        for config in configs
    ]


def _made(registry: Registry, find: Callable[[str], type[_Made]], kind: str, config: PluginConfig) -> _Made:
    variable, table = ("PATTER_STORE", "[store]") if kind == "store" else (f"PATTER_{kind.upper()}S", f"[[{kind}s]]")
    _require_name(registry, kind, config, table)
    with named_by(config, table, variable):
        return make(find(config.name), config.options)


def _require_name(registry: Registry, kind: str, config: PluginConfig, place: str) -> None:
    if not config.name:
        raise ConfigurationError(
            f"{place} in the TOML file lacks the setting “name”.",
            expected=" or ".join(registry.names(kind)) or f"a {kind}, of which none is installed",
        )
