"""The command `patter`: a group of Patter's own commands and those that plugins add."""

from __future__ import annotations

import io
import logging
import sys

import click

from patter_core import __version__
from patter_core.cli.lazy_group import LazyGroup, suggesting
from patter_core.cli.told import INTERRUPTED, read_environment, shows_traceback, start_json_log, tell, tell_uncaught
from patter_core.cli.useless_variables import useless_variables
from patter_core.errors import PatterError
from patter_core.observe.logs import guard
from patter_core.registry import Registry

__all__ = ["COMMANDS", "main"]

_log = logging.getLogger("patter.cli")

COMMANDS = {
    "call": "Make a call to TO, a number in E.164 or a SIP address, and follow it. Ctrl-C hangs up.",
    "calls": "List the calls in a file of the SQLite sink, the latest first; `show` prints one, `delete` erases them.",
    "demo": "Make a demo call on this machine: real audio, emulated vendors, no account.",
    "dev": "Talk to your agent in the browser, while you write it.",
    "doctor": "Check what calls need, and say how to fix what is missing.",
    "new": "Create a plugin: a distribution that installs, works and passes its tests.",
    "plugins": "List the installed plugins. Exit code 1 if one of them could not be joined.",
    "serve": "Answer calls until SIGINT, SIGTERM or SIGHUP. A second one ends the live calls at once.",
    "simulate": "Call your own engine with an emulated carrier: hear your agent without a phone.",
}
"""The text of each command in `--help`. Its module is `patter_core.cli.<name>`."""


class _Commands(LazyGroup):
    """All commands. An interrupt that a command does not handle ends it in silence, and not with click's "Aborted!"."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def main() -> None:
    """Runs `patter`. A `PatterError` is printed without a traceback, with exit code 1."""
    tell_uncaught()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has the letters that callers use
    guard()
    try:
        read_environment()
        start_json_log(sys.argv[1:])
        registry = Registry.discover()
        for told in useless_variables(registry):
            tell(told, logging.WARNING)
        group = _group()
        _add_plugin_commands(group, registry)
        group(obj=registry)
    except PatterError as error:
        if shows_traceback():
            raise
        tell(error)
        sys.exit(1)
    except KeyboardInterrupt:  # while plugins were loaded
        sys.exit(INTERRUPTED)


def _group() -> click.Group:
    group = _Commands(
        "patter",
        modules="patter_core.cli.",
        texts=COMMANDS,
        help="Give a voice agent a phone number.",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=(
            "PATTER_DISABLE=NAME,… leaves plugins out. PATTER_TRACEBACK=1 prints the traceback of an error. The"
            " configuration page of the documentation has all variables."
        ),
    )
    click.version_option(__version__, prog_name="patter")(group)
    return group


def _add_plugin_commands(group: click.Group, registry: Registry) -> None:
    for implementation in registry.manager.hook.patter_commands.get_hookimpls():
        before = dict(group.commands)
        try:
            implementation.function(**({"cli": group} if "cli" in implementation.argnames else {}))
        except BaseException as error:  # the plugin boundary: the other commands still work
            if isinstance(error, KeyboardInterrupt):
                raise
            _log.error("Plugin %s failed to add its commands.", implementation.plugin_name, exc_info=error)
        for name in sorted(name for name, command in group.commands.items() if before.get(name) is not command):
            if name in before or name in COMMANDS:
                _log.error("Plugin %s may not replace the command %s.", implementation.plugin_name, name)
                del group.commands[name]
        group.commands.update(before)
    group.commands = {name: suggesting(command) for name, command in group.commands.items()}
