"""`patter plugins`: what is installed, what it offers, and what is wrong with it."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.console import Console
from rich.table import Table

from patter_core.registry import Plugin, Registry

__all__ = ["plugins"]


class Row(msgspec.Struct, frozen=True):
    """A plugin, as `--json` prints it."""

    name: str
    distribution: str
    version: str
    joined: bool
    offers: list[str]
    problem: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plugins(registry: Registry, *, as_json: bool) -> None:
    """List the installed plugins; exit code 1 if one of them could not be joined."""
    rows = [_row(plugin) for plugin in registry.plugins]
    if as_json:
        click.echo(msgspec.json.encode(rows))
    else:
        Console().print(_table(rows) if rows else "No plugin is installed. Try `pip install getpatter`.")
    if not all(row.joined for row in rows):
        sys.exit(1)


def _row(plugin: Plugin) -> Row:
    return Row(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        joined=plugin.joined,
        offers=[f"{offer.kind} {offer.name}" for offer in plugin.offers],
        problem=plugin.problem,
    )


def _table(rows: list[Row]) -> Table:
    table = Table("plugin", "offers", "distribution", "state", box=None, pad_edge=False)
    for row in rows:
        state = "[green]joined[/]" if row.joined else f"[red]not joined:[/] {row.problem}"
        table.add_row(row.name, ", ".join(row.offers) or "-", f"{row.distribution} {row.version}", state)
    return table
