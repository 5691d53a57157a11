"""The command `patter`: a group of Patter's own commands and those that plugins add."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

import click

from patter_core import __version__
from patter_core.cli.lazy_group import LazyGroup, prepared
from patter_core.cli.plugin_commands import find_commands, load_command, text_of_command
from patter_core.cli.told import INTERRUPTED, read_environment, shows_traceback, start_json_log, tell, tell_uncaught
from patter_core.errors import PatterError, PluginFailed
from patter_core.observe.logs import guard
from patter_core.plugins.installed import Installed

__all__ = ["COMMANDS", "main"]

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
    """All commands. Plugins are joined when one is run: its help, and an error of its options, need none of them.

    An interrupt that a command does not handle ends it in silence, and not with click's "Aborted!".
    """

    def __init__(self, *arguments: Any, of_plugins: Mapping[str, Installed], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._of_plugins = of_plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._of_plugins})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        of_plugin = self._of_plugins.get(cmd_name)
        if of_plugin is None:
            return super().get_command(ctx, cmd_name)
        try:
            return prepared(load_command(of_plugin), self.prepare)
        except PluginFailed:
            if ctx.resilient_parsing:  # for the shell, which completes what follows
                return None
            raise

    def sections(self, width: int = 80) -> dict[str, list[tuple[str, str]]]:
        of_plugins = [(name, text_of_command(one)) for name, one in self._of_plugins.items()]
        return super().sections(width) | ({"Commands of plugins": of_plugins} if of_plugins else {})

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _join_plugins() -> object:
    from patter_core.cli.joined_plugins import joined_plugins  # noqa: PLC0415 - it loads all that a host needs

    return joined_plugins()


def main() -> None:
    """Runs `patter`. A `PatterError` is printed without a traceback, with exit code 1."""
    tell_uncaught()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has the letters that callers use
    guard()
    try:
        read_environment()
        start_json_log(sys.argv[1:])
        _group()(prog_name="patter")
    except PatterError as error:
        if shows_traceback():
            raise
        tell(error)
        sys.exit(1)
    except KeyboardInterrupt:  # while plugins were looked for
        sys.exit(INTERRUPTED)


def _group() -> click.Group:
    group = _Commands(
        "patter",
        modules="patter_core.cli.",
        texts=COMMANDS,
        of_plugins=find_commands(COMMANDS),
        help="Give a voice agent a phone number.",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=(
            "PATTER_DISABLE=NAME,… leaves plugins out. PATTER_TRACEBACK=1 prints the traceback of an error. The"
            " configuration page of the documentation has all variables."
        ),
    )
    group.prepare = _join_plugins
    click.version_option(__version__, prog_name="patter")(group)
    return group
