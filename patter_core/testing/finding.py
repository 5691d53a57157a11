"""Finds the emulators of the carriers and engines that are installed."""

from __future__ import annotations

import importlib

from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.errors import PluginNotFound
from patter_core.registry import Registry
from patter_core.testing.emulator import CarrierEmulator, EngineEmulator

__all__ = ["carrier_emulator", "engine_emulator"]


def carrier_emulator(registry: Registry, name: str) -> CarrierEmulator:
    """Returns the emulator of that carrier; without a name, of the one of the lowest `demo_rank`.

    Raises:
        PluginError: there is none.
    """
    emulator = _emulator(registry, "carrier", name)
    assert isinstance(emulator, CarrierEmulator)  # by the contract of Carrier.emulator
    return emulator


def engine_emulator(registry: Registry, name: str) -> EngineEmulator:
    """Returns the emulator of that engine, as `carrier_emulator`."""
    emulator = _emulator(registry, "engine", name)
    assert isinstance(emulator, EngineEmulator)  # by the contract of Engine.emulator
    return emulator


def _emulator(registry: Registry, kind: str, name: str) -> object:
    found: dict[str, type[Carrier | Engine]] = {
        candidate: registry.carrier(candidate) if kind == "carrier" else registry.engine(candidate)
        for candidate in ([name] if name else registry.names(kind))
    }
    for _, cls in sorted(found.items(), key=lambda item: (item[1].demo_rank, item[0])):
        module, _, attribute = cls.emulator.partition(":")
        if module:
            make: object = getattr(importlib.import_module(module), attribute)
            assert callable(make)  # a class, by the contract
            return make()
    off = ", ".join(plugin.name for plugin in registry.plugins if plugin.disabled)
    raise PluginNotFound(
        f"No {kind} with an emulator is installed" + (" and switched on." if off else "."),
        got=f"switched off by PATTER_DISABLE: {off}" if off else "",
        remedy="Take one out of PATTER_DISABLE." if off else "The README says how to install them.",
    )
