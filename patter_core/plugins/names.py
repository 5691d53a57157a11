"""Which plugin has a name that several want, and which one is joined if several are the same module.

A carrier's name decides which code gets that carrier's keys. So it does not depend on the order in which plugins are
found, or on which of them works: the name belongs to the distribution that is called after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from patter_core.plugins.metadata import CORE, Plugin, normal_name

__all__ = ["is_called_after", "refuse_taken_names", "refuse_twins"]

Loaded = tuple[Plugin, object | None]
"""A plugin, and what implements its hooks; None if it has a problem."""


def refuse_twins(loaded: Sequence[Loaded]) -> None:
    """Refuses each plugin that is the same module or object as another one."""
    joined: dict[int, Plugin] = {}
    for plugin, implementation in sorted(loaded, key=lambda pair: -_best_claim(pair[0])):
        if implementation is None or not plugin.joined:
            continue
        twin = joined.setdefault(id(implementation), plugin)
        if twin is not plugin:
            plugin.problem = f"it is the same module as {twin.name} of {_name_of(twin)}, which is joined."


def refuse_taken_names(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Refuses each plugin that offers a name of another one. Returns those that were refused."""
    owners = _owners(plugin for plugin in plugins if plugin.joined)
    refused = []
    for plugin in plugins:
        for offer in plugin.offers if plugin.joined else ():
            owner = owners[offer.kind, offer.name]
            if _claim(owner, offer.name) < _NAMED_AFTER:
                owner = next((other for other in plugins if _is_broken_namesake(other, offer.name)), owner)
            if owner is not plugin:
                state = "" if owner.joined or owner in refused else ", which is not joined itself"
                plugin.problem = (
                    f"the {offer.kind} name “{offer.name}” belongs to {_name_of(owner)}{state}. If you do not know"
                    f" {_name_of(plugin)}, uninstall it; PATTER_DISABLE={_name_of(owner)} lets it have the name."
                )
                refused.append(plugin)
                break
    return refused


def is_called_after(plugin: Plugin, name: str) -> bool:
    """True if the plugin's distribution is the one of that name: `patter-` and the name."""
    return normal_name(plugin.distribution) == f"patter-{name}"


_NAMED_AFTER = 2


def _claim(plugin: Plugin, name: str) -> int:
    """Returns how good a claim to a name is: of the core, of a distribution of that name, of a plugin of that name."""
    if normal_name(plugin.distribution) == CORE:
        return 3
    if is_called_after(plugin, name):
        return _NAMED_AFTER
    return int(plugin.name == name)


def _best_claim(plugin: Plugin) -> int:
    return max((_claim(plugin, offer.name) for offer in plugin.offers), default=0)


def _owners(plugins: Iterable[Plugin]) -> dict[tuple[str, str], Plugin]:
    """Returns who has which name: the best claim, and among equals the first in order."""
    owners: dict[tuple[str, str], Plugin] = {}
    for plugin in plugins:
        for offer in plugin.offers:
            owner = owners.setdefault((offer.kind, offer.name), plugin)
            if _claim(plugin, offer.name) > _claim(owner, offer.name):
                owners[offer.kind, offer.name] = plugin
    return owners


def _is_broken_namesake(plugin: Plugin, name: str) -> bool:
    """True if the distribution of that name is installed and could not be joined. Its name is not for others."""
    return not plugin.joined and not plugin.disabled and plugin.name == name and is_called_after(plugin, name)


def _name_of(plugin: Plugin) -> str:
    return plugin.distribution or plugin.name
