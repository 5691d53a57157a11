"""Environment variables that have no effect: misspelt ones, and those that name what is not there."""

from __future__ import annotations

import logging
import os

from patter_core.cli.plugin_commands import COMMANDS_GROUP
from patter_core.config import did_you_mean, names_from_environment, unknown_variables
from patter_core.plugins.installed import find_installed, normal_name
from patter_core.registry import Registry

__all__ = ["useless_variables"]

_log = logging.getLogger("patter.cli")


def useless_variables(registry: Registry) -> list[str]:
    """Returns a sentence for each variable that is set without effect."""
    of_plugins: set[str] = set()
    for implementation in registry.manager.hook.patter_variables.get_hookimpls():
        try:
            names: object = implementation.function()
            of_plugins.update(str(name) for name in (names if isinstance(names, list) else ()))
        except BaseException as error:  # the plugin boundary: the other variables are known
            if isinstance(error, KeyboardInterrupt):
                raise
            _log.error("Plugin %s failed to name its variables.", implementation.plugin_name, exc_info=error)
    installed = [*registry.plugins, *find_installed(COMMANDS_GROUP)]
    there = {normal_name(name) for one in installed for name in (one.name, one.distribution)}
    unknown = [name for name in names_from_environment("PATTER_DISABLE") if normal_name(name) not in there]
    known = [one.name for one in installed]
    guesses = [did_you_mean(normal_name(name).removeprefix("patter-"), known) for name in unknown]
    not_there = [
        f"PATTER_DISABLE names {name}, which is not installed. {guess}".rstrip()
        for name, guess in zip(unknown, guesses, strict=True)
    ]
    return [*unknown_variables(os.environ, of_plugins), *not_there]
