"""The demo's agent that is made of parts: an emulator for each kind of part that such an agent needs."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence

from patter_core.config import did_you_mean
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.kinds import Kind, Part
from patter_core.plugins.composing import WITHOUT_KINDS, install_hint
from patter_core.registry import Registry
from patter_core.testing.emulator import Emulator, PartEmulator

__all__ = ["EmulatedParts", "part_names"]


class EmulatedParts(Emulator):
    """Plays the services of all parts, one emulator of each kind that is required.

    Args:
        registry: has the parts.
        names: of the parts, by kind; the first of each other kind that has an emulator for the demo is taken.

    Raises:
        PluginError: there is none of a kind.
        ConfigurationError: a kind that is named is not one that is required, or a part has no emulator for the demo.
    """

    def __init__(self, registry: Registry, names: Mapping[str, str]) -> None:
        kinds = [kind for kind in registry.kinds if kind.required]
        if not kinds:
            raise PluginNotFound(
                "No installed plugin makes an engine of parts.",
                remedy=f"{WITHOUT_KINDS}; `patter plugins` says what is installed, and joined.",
            )
        if unknown := sorted(set(names) - {kind.name for kind in kinds}):
            raise ConfigurationError(
                "The demo has no part of that kind.",
                expected=" or ".join(kind.name for kind in kinds),
                got=", ".join(unknown),
                remedy=did_you_mean(unknown[0], [kind.name for kind in kinds]),
            )
        self._registry = registry
        self._emulators = {kind.name: _emulator(registry, kind, names.get(kind.name, "")) for kind in kinds}
        self._open = contextlib.AsyncExitStack()

    def engine(self) -> Engine:
        """The engine that is made of the parts, once all emulators run."""
        return self._registry.compose({kind: emulator.part() for kind, emulator in self._emulators.items()})

    async def start(self) -> None:
        for emulator in self._emulators.values():
            await self._open.enter_async_context(emulator)

    async def stop(self) -> None:
        await self._open.aclose()


def part_names(chosen: Sequence[str]) -> dict[str, str]:
    """Returns the names of parts by kind, from texts such as `stt=acme`.

    Raises:
        ConfigurationError: one of them has another form, or a kind is named twice.
    """
    names: dict[str, str] = {}
    for text in chosen:
        kind, _, name = text.partition("=")
        if not (kind and name) or kind in names:
            raise ConfigurationError("--part is wrong.", expected="KIND=NAME, each kind once", got=text)
        names[kind] = name
    return names


def _emulator(registry: Registry, kind: Kind, name: str) -> PartEmulator:
    for candidate in [name] if name else registry.names(kind.name):
        emulator = _emulator_of(registry.part(kind.name, candidate))
        if emulator is not None:
            return emulator
    if name:
        raise ConfigurationError(
            f"The {kind.name} “{name}” has no emulator for the demo.",
            remedy="Name another one. One of your own is offered by `for_demo` of the emulator that its class names.",
        )
    raise PluginNotFound(
        f"No {kind.name} with an emulator for the demo is installed.",
        got=f"{kind.name}: {', '.join(registry.names(kind.name)) or 'none'}",
        remedy=install_hint(kind),
    )


def _emulator_of(part: type[Part]) -> PartEmulator | None:
    module, _, attribute = part.emulator.partition(":")
    if not module:
        return None
    found: object = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, type)
    assert issubclass(found, PartEmulator)  # by the contract of Part.emulator
    return found.for_demo()
