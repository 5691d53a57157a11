"""`patter plugins`: the installed plugins, what each offers, and why one could not be joined."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import msgspec

from patter_core.observe.printing import Printer, Span, Table
from patter_core.observe.terminal import shown_json
from patter_core.registry import Offer, Plugin, Registry

__all__ = ["plugins"]


class KindRow(msgspec.Struct, frozen=True):
    """A kind that a plugin defines, as `--json` prints it."""

    name: str
    api_version: int
    conformance: str
    required: bool


class NeedRow(msgspec.Struct, frozen=True):
    """A part that cannot be used, as `--json` prints it."""

    name: str
    needs: str


class OfferRow(msgspec.Struct, frozen=True):
    """A class that a plugin offers, as `--json` prints it."""

    kind: str
    name: str
    api_version: int
    capabilities: list[str]


class Row(msgspec.Struct, frozen=True):
    """A plugin, as `--json` prints it."""

    name: str
    distribution: str
    version: str
    joined: bool
    disabled: bool
    kinds: list[KindRow]
    composes: bool
    offers: list[OfferRow]
    needs: list[NeedRow]
    problem: str
    cause: str
    """The class of the exception, if there was one."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print what each part can, and its API version, too.")
@click.pass_obj
def plugins(registry: Registry, *, as_json: bool, verbose: bool) -> None:
    """List the installed plugins. Exit code 1 if one of them could not be joined."""
    rows = [_row(plugin) for plugin in registry.plugins]
    if as_json:
        click.echo(shown_json(msgspec.json.encode(rows)))
    elif not rows:
        click.echo("No plugin is installed. The README says how to install them.")
    else:
        Printer().table(_details(rows) if verbose else _table(rows))
    if not all(row.joined or row.disabled for row in rows):
        sys.exit(1)


def _row(plugin: Plugin) -> Row:
    return Row(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        joined=plugin.joined,
        disabled=plugin.disabled,
        kinds=[KindRow(kind.name, kind.api_version, kind.conformance, kind.required) for kind in plugin.kinds],
        composes=plugin.composes,
        offers=[_offer(offer) for offer in plugin.offers],
        needs=[NeedRow(need.name, need.distribution) for need in plugin.needs],
        problem=plugin.problem,
        cause=type(plugin.cause).__name__ if plugin.cause is not None else "",
    )


def _offer(offer: Offer) -> OfferRow:
    capabilities: object = getattr(offer.cls, "capabilities", ())
    names = sorted(map(str, capabilities)) if isinstance(capabilities, frozenset) else []
    if getattr(offer.cls, "emulator", ""):
        names.append("emulator")
    return OfferRow(offer.kind.name, offer.name, offer.cls.api_version, names)


def _table(rows: list[Row]) -> Table:
    """Returns a table with a line for each plugin, and for each thing that it brings beyond the first."""
    cells = list[Sequence[str | Span]]()
    for row in rows:
        state = Span("joined", "green") if row.joined else Span(f"not joined: {row.problem}", "red")
        if row.disabled:
            state = Span(f"off: {row.problem}", "yellow")
        made = f"{row.distribution} {row.version}"
        first, *others = [what for what, _, _ in _brought(row)] or ["-"]
        cells.append((row.name, first, made, state))
        cells += [("", other, "", "") for other in others]
        cells += [("", what, "", Span(known, "yellow")) for what, _, known in _missing(row)]
    return Table(("plugin", "offers", "distribution", "state"), cells)


def _details(rows: list[Row]) -> Table:
    """Returns a table of what there is to know of each thing that plugins bring."""
    cells = [
        (row.name if number == 0 else "", *line)
        for row in rows
        for number, line in enumerate([*_brought(row), *_missing(row)] or [("-", "", row.problem)])
    ]
    return Table(("plugin", "offers", "API", "capabilities"), cells)


def _brought(row: Row) -> list[tuple[str, str, str]]:
    """Returns what a plugin brings: what it is, the version of its contract, and what there is to know of it."""
    kinds = [
        (f"kind {kind.name}", str(kind.api_version), f"checked by {kind.conformance}" if kind.conformance else "")
        for kind in row.kinds
    ]
    composer = [("pipeline mode", "", "")] if row.composes else []
    offers = [
        (f"{offer.kind} {offer.name}", str(offer.api_version), ", ".join(offer.capabilities)) for offer in row.offers
    ]
    return [*kinds, *composer, *offers]


def _missing(row: Row) -> list[tuple[str, str, str]]:
    """Returns, in the same form, the parts that cannot be used, each with what it needs."""
    return [(f"part {need.name}".rstrip(), "", f"needs {need.needs}") for need in row.needs]
