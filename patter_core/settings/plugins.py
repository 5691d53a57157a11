"""From names and options to carriers, engines, sinks, stores and apps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import did_you_mean
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.kinds import Part
from patter_core.registry import Registry
from patter_core.settings.file import DEFAULT_FILE
from patter_core.settings.model import Option, PluginConfig
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
    "usable",
]

_Offered = TypeVar("_Offered", Carrier, Engine, EventSink, CallStore, WebApp, Part)
_Chosen = TypeVar("_Chosen", Carrier, Engine)


def make_carrier(registry: Registry, config: PluginConfig) -> Carrier:
    """Returns the carrier; without a name, the only one whose credentials are there."""
    return _choose(registry, "carrier", registry.carrier, config)


def make_engine(registry: Registry, config: PluginConfig) -> Engine:
    """Returns the engine; without a name, the only one whose credentials are there."""
    return _choose(registry, "engine", registry.engine, config)


def make_part(registry: Registry, kind: str, config: PluginConfig) -> Part:
    """Returns a part of a kind that a plugin defines."""
    return _make(registry.part(kind, config.name), config.options)


def make_sinks(registry: Registry, configs: Sequence[PluginConfig]) -> list[EventSink]:
    """Returns the sinks. A `{worker}` that is left in their options becomes 0: the only worker's number."""
    return [_make(registry.sink(config.name), config.options) for config in numbered(configs, 0)]


def make_apps(registry: Registry, configs: Sequence[PluginConfig]) -> list[WebApp]:
    """Returns the apps."""
    return [_make(registry.app(config.name), config.options) for config in configs]


def make_store(registry: Registry, config: PluginConfig) -> CallStore | None:
    """Returns the call store; without a name, None."""
    if config.name:
        return _make(registry.store(config.name), config.options)
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
        if not own and _make(registry.sink(config.name), config.options).exclusive:
            raise ConfigurationError(
                f"The sink {config.name} cannot be shared by several workers.",
                expected="an option with {worker}, which becomes the worker's number",
                remedy=f'For example in {DEFAULT_FILE}: path = "events-{{worker}}.jsonl".',
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


def _choose(registry: Registry, kind: str, find: Callable[[str], type[_Chosen]], config: PluginConfig) -> _Chosen:
    """Returns what the configuration names; without a name, the only installed one that needs nothing more."""
    if config.name:
        return _make(find(config.name), config.options)
    names = registry.names(kind)
    if len(names) == 1:
        return _make(find(names[0]), config.options)
    if not names:
        raise PluginNotFound(f"No {kind} is installed.", remedy="The README says how to install them.")
    complete, missing = usable(registry, kind, find, config.options)
    if len(complete) == 1:
        return next(iter(complete.values()))
    raise ConfigurationError(
        f"Several {kind}s are installed, and none is chosen.",
        expected=f"one that is chosen, or credentials of one: {_names(registry, kind)}",
        got=f"credentials of {' and '.join(complete)}" if complete else "; ".join(missing).rstrip("."),
        remedy=f"Use --{kind} NAME, PATTER_{kind.upper()}, or [{kind}] name in {DEFAULT_FILE}.",
    )


def usable(
    registry: Registry, kind: str, find: Callable[[str], type[_Chosen]], options: Mapping[str, Option] | None = None
) -> tuple[dict[str, _Chosen], list[str]]:
    """Returns the installed ones whose credentials are there, and what the others lack."""
    complete: dict[str, _Chosen] = {}
    missing: list[str] = []
    for name in registry.names(kind):
        cls = find(name)
        if not getattr(cls, "has_api", True):  # it needs no credentials, so that it can be made says nothing
            continue
        try:
            complete[name] = _make(cls, options or {})
        except ConfigurationError as error:
            missing.append(f"{name}: {error.problem}")
    return complete, missing


def _names(registry: Registry, kind: str) -> str:
    return " or ".join(registry.names(kind)) or f"a {kind}, of which none is installed"


def _make(cls: type[_Offered], options: Mapping[str, Option]) -> _Offered:
    known = [name for name in inspect.signature(cls).parameters if not name.startswith("_")]
    for option in options:
        if option not in known:
            raise ConfigurationError(
                f"{cls.__name__} has no option “{option}”.",
                expected=", ".join(known) or "no options",
                remedy=did_you_mean(option, known),
            )
    try:
        return cls(**options)
    except (TypeError, ValueError, AttributeError) as error:  # what a constructor makes of a wrong type
        raise ConfigurationError(
            f"{cls.__name__} does not accept these options.", got=str(error), remedy="Check their types."
        ) from error
