"""The command `patter` and what it is made of: our own commands and those that plugins add."""

from __future__ import annotations

import logging
import sys

import click

from patter_core import __version__
from patter_core.cli.calls import calls
from patter_core.cli.demo import demo
from patter_core.cli.events import events
from patter_core.cli.plugins import plugins
from patter_core.errors import PatterError
from patter_core.registry import Registry

__all__ = ["main"]

_log = logging.getLogger("patter.cli")


def main() -> None:
    """Run `patter`. An error that is ours is told without a traceback, with exit code 1."""
    registry = Registry.discover()
    cli = _group()
    for implementation in registry.manager.hook.patter_commands.get_hookimpls():
        try:
            implementation.function(cli)
        except Exception:  # noqa: BLE001 - the plugin boundary: the other commands still work
            _log.exception("Plugin %s failed to add its commands.", implementation.plugin_name)
    try:
        cli(obj=registry)
    except PatterError as error:
        click.echo(f"patter: {error}", err=True)
        sys.exit(1)


def _group() -> click.Group:
    group = click.Group(
        "patter",
        help="Give a voice agent a phone number.",
        context_settings={"help_option_names": ["-h", "--help"]},
        commands=[calls, demo, events, plugins],
    )
    return click.version_option(__version__, prog_name="patter")(group)
