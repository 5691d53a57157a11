"""Which plugin has what several want, and which one is joined if several are the same module.

A carrier's name decides which code gets that carrier's keys. So it does not depend on the order in which plugins are
found, or on which of them works: the name belongs to the distribution that is called after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from patter_core.plugins.installed import CORE, is_called_after, normal_name
from patter_core.plugins.loading import Loaded
from patter_core.plugins.plugin import Plugin

__all__ = ["refuse_taken_kinds", "refuse_taken_names", "refuse_twins"]

Claim = tuple[str, str]
"""What only one plugin can have, in words; and the name by which it is decided which one."""


def refuse_twins(loaded: Sequence[Loaded]) -> None:
    """Refuses each plugin that is the same module or object as another one."""
    joined: dict[int, Plugin] = {}
    for one in sorted(loaded, key=lambda one: -_best_claim(one.plugin)):
        plugin = one.plugin
        if not plugin.joined:
            continue
        twin = joined.setdefault(id(one.implementation), plugin)
        if twin is not plugin:
            plugin.problem = f"it is the same module as {twin.name} of {_name_of(twin)}, which is joined."


def refuse_taken_kinds(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Refuses each plugin that defines a kind of another one, or composes though another one does. Returns those."""
    return _refuse_taken(plugins, _claims_to_kinds)


def refuse_taken_names(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Refuses each plugin that offers a name of another one. Returns those that were refused."""
    return _refuse_taken(plugins, _claims_to_names)


def _claims_to_kinds(plugin: Plugin) -> list[Claim]:
    kinds = [(f"the kind name “{kind.name}”", kind.name) for kind in plugin.kinds]
    return [*kinds, ("pipeline mode", "pipeline")] if plugin.composes else kinds


def _claims_to_names(plugin: Plugin) -> list[Claim]:
    return [(f"the {offer.kind.name} name “{offer.name}”", offer.name) for offer in plugin.offers]


def _refuse_taken(plugins: Sequence[Plugin], claims: Callable[[Plugin], list[Claim]]) -> list[Plugin]:
    owners = _owners((plugin for plugin in plugins if plugin.joined), claims)
    refused = []
    for plugin in plugins:
        for claim in claims(plugin) if plugin.joined else ():
            what, name = claim
            owner = owners[claim]
            if _claim(owner, name) < _NAMED_AFTER:
                owner = next((other for other in plugins if _is_broken_namesake(other, name)), owner)
            if owner is not plugin:
                state = "" if owner.joined or owner in refused else ", which is not joined itself"
                plugin.problem = (
                    f"{what} belongs to {_name_of(owner)}{state}. If you do not know"
                    f" {_name_of(plugin)}, uninstall it; PATTER_DISABLE={_name_of(owner)} lets it have that."
                )
                refused.append(plugin)
                break
    return refused


_NAMED_AFTER = 2


def _claim(plugin: Plugin, name: str) -> int:
    """Returns how good a claim to a name is: of the core, of a distribution of that name, of a plugin of that name."""
    if normal_name(plugin.distribution) == CORE:
        return 3
    if is_called_after(plugin, name):
        return _NAMED_AFTER
    return int(plugin.name == name)


def _best_claim(plugin: Plugin) -> int:
    claims = [*_claims_to_kinds(plugin), *_claims_to_names(plugin)]
    return max((_claim(plugin, name) for _, name in claims), default=0)


def _owners(plugins: Iterable[Plugin], claims: Callable[[Plugin], list[Claim]]) -> dict[Claim, Plugin]:
    """Returns who has what: the best claim, and among equals the first in order."""
    owners: dict[Claim, Plugin] = {}
    for plugin in plugins:
        for claim in claims(plugin):
            owner = owners.setdefault(claim, plugin)
            if _claim(plugin, claim[1]) > _claim(owner, claim[1]):
                owners[claim] = plugin
    return owners


def _is_broken_namesake(plugin: Plugin, name: str) -> bool:
    """True if the distribution of that name is installed and could not be joined. Its name is not for others."""
    return not plugin.joined and not plugin.disabled and plugin.name == name and is_called_after(plugin, name)


def _name_of(plugin: Plugin) -> str:
    return plugin.distribution or plugin.name
