"""The command `patter` and what it is made of: our own commands and those that plugins add."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence

import click

from patter_core import __version__
from patter_core.errors import PatterError
from patter_core.registry import Registry

__all__ = ["COMMANDS", "main"]

_log = logging.getLogger("patter.cli")

COMMANDS = {
    "call": "Have the agent call TO, a number in E.164 or a SIP address, and follow the call. Ctrl-C hangs up.",
    "calls": "List the calls, the latest first; `show` tells one.",
    "demo": "Hear what Patter does: one call, with real audio and no account anywhere.",
    "doctor": "Look at what calls need, and say what to do about what is missing.",
    "new": "Write a new plugin: a distribution that installs, passes its tests, and works.",
    "plugins": "List the installed plugins; exit code 1 if one of them could not be joined.",
    "serve": "Answer calls until SIGINT or SIGTERM.",
    "simulate": "Hear your own engine without a phone: an emulated carrier calls it.",
}
"""What `--help` says of each; its module, `patter_core.cli.<name>`, is loaded when the command is run."""


class _Commands(click.Group):
    """A group that loads a command of ours when it is asked for: `--help` should not pay for numpy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        command: object = getattr(importlib.import_module(f"patter_core.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # the modules are ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        rows = []
        for name in self.list_commands(ctx):
            added = self.commands.get(name)
            text = COMMANDS[name] if added is None else added.get_short_help_str(formatter.width - width - 6)
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def main() -> None:
    """Run `patter`. An error that is ours is told without a traceback, with exit code 1."""
    try:
        registry = Registry.discover(disabled=_switched_off(sys.argv[1:]))
        _with_plugins(_group(), registry)(obj=registry)
    except PatterError as error:
        if os.environ.get("PATTER_TRACEBACK"):
            raise
        click.echo(f"patter: {error}", err=True)
        sys.exit(1)


def _group() -> _Commands:
    group = _Commands(
        "patter",
        help="Give a voice agent a phone number.",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="PATTER_DISABLE switches plugins off, too. PATTER_TRACEBACK=1 shows where an error comes from.",
        params=[
            click.Option(
                ["-p"],
                multiple=True,
                expose_value=False,
                metavar="no:NAME",
                help="Leave out the plugin of that name; may be repeated.",
            )
        ],
    )
    click.version_option(__version__, prog_name="patter")(group)
    return group


def _with_plugins(cli: click.Group, registry: Registry) -> click.Group:
    for implementation in registry.manager.hook.patter_commands.get_hookimpls():
        try:
            implementation.function(**({"cli": cli} if "cli" in implementation.argnames else {}))
        except Exception:  # noqa: BLE001 - the plugin boundary: the other commands still work
            _log.exception("Plugin %s failed to add its commands.", implementation.plugin_name)
    return cli


def _switched_off(arguments: Sequence[str]) -> list[str]:
    """The names in `-p no:NAME` before the command: plugins are joined before click reads anything.

    Raises:
        PatterError: a `-p` that says something else.
    """
    names: list[str] = []
    left = list(arguments)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if not option.startswith("-p"):
            continue
        value = option[2:] or (left.pop(0) if left else "")
        if not value.startswith("no:"):
            raise PatterError("-p is not understood.", expected="-p no:NAME", got=f"-p {value}")
        names.append(value[3:])
    return names
