"""The commands that plugins bring: entry points of the group `patter.commands`. None is imported before it is run."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection

import click

from patter_core.config import names_from_environment
from patter_core.errors import PluginFailed
from patter_core.hookspecs import ENTRY_POINT_GROUP
from patter_core.observe.terminal import one_line
from patter_core.plugins.installed import Installed, find_installed, is_called_after, is_named, text_of

__all__ = ["COMMANDS_GROUP", "find_commands", "load_command", "text_of_command"]

COMMANDS_GROUP = "patter.commands"
"""The group of entry points, each of which is a click command. Its name is the command's."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.IGNORECASE)
_log = logging.getLogger("patter.cli")


def find_commands(taken: Collection[str]) -> dict[str, Installed]:
    """Returns the commands of plugins by their names, without those that PATTER_DISABLE leaves out.

    A name belongs to the distribution that is called after it, also where that is damaged.

    Args:
        taken: names of Patter's own commands, which none of these may have.
    """
    off = names_from_environment("PATTER_DISABLE")
    off += [one.distribution for one in find_installed(ENTRY_POINT_GROUP) if is_named(one, off)] if off else []
    installed = [one for one in find_installed(COMMANDS_GROUP) if not is_named(one, off)]
    installed.sort(key=lambda one: (one.name, not is_called_after(one, one.name), one.distribution))
    damaged = [one for one in installed if one.point is None]
    found: dict[str, Installed] = {}
    for one in installed:
        if one.point is None:
            continue
        namesakes = [other for other in damaged if is_called_after(other, one.name)]
        if not _NAME.fullmatch(one.name):
            _log.error("The command %s of %s is left out: it has no usable name.", one_line(one.name), _maker(one))
        elif one.name in taken:
            _log.error("The command %s of %s is left out: the name belongs to Patter.", one.name, _maker(one))
        elif one.name in found or namesakes:
            owner = _maker(found.get(one.name) or namesakes[0])
            _log.error("The command %s of %s is left out: the name belongs to %s.", one.name, _maker(one), owner)
        else:
            found[one.name] = one
    return found


def load_command(installed: Installed) -> click.Command:
    """Imports a command.

    Raises:
        PluginFailed: it cannot be imported, is none, or its distribution is for another version of the core.
    """
    told = f"The command {installed.name} of {_maker(installed)} cannot be used"
    if installed.problem or installed.point is None:
        raise PluginFailed(f"{told}: {installed.problem}")
    try:
        command: object = installed.point.load()
        if isinstance(command, click.Command):
            return command
    except BaseException as error:  # the plugin boundary: it may end itself
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginFailed(f"{told}: {text_of(error)}.", remedy="PATTER_TRACEBACK=1 prints the traceback.") from error
    raise PluginFailed(f"{told}.", expected="a click command", got=type(command).__name__)


def text_of_command(installed: Installed) -> str:
    """Returns what `patter --help` says of a command: what its distribution says of itself in one line."""
    try:
        assert installed.point is not None
        assert installed.point.dist is not None
        return one_line(str(installed.point.dist.metadata["Summary"] or "").strip()) or f"Of {_maker(installed)}."
    except Exception:  # noqa: BLE001 - there is none, or it cannot be read
        return f"Of {_maker(installed)}."


def _maker(installed: Installed) -> str:
    return one_line(installed.distribution) or "a distribution whose metadata cannot be read"
