"""The commands `numbers` and `point` that a carrier's plugin adds to the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import click

from patter_core.observe.printing import Printer, Table
from patter_core.observe.terminal import one_line
from patter_core.telephony.numbers import AccountNumber, AccountNumbers

__all__ = ["add_number_commands"]


def add_number_commands(
    group: click.Group,
    account: Callable[[], AccountNumbers],
    *,
    target: str,
    target_help: str,
    read_target: Callable[[str], str] = str,
) -> None:
    """Adds `numbers` and `point NUMBER TARGET` to a carrier's command group.

    Args:
        group: the carrier's.
        account: makes the account from the environment.
        target: what a number is pointed at, in capitals: `URL`.
        target_help: what that is.
        read_target: checks the target that the user gave, and completes it.
    """

    @group.command("numbers", help="List the numbers of the account and what their calls go to.")
    def numbers() -> None:
        found = anyio.run(account().fetch)
        if found:
            _show(found)
        else:
            click.echo("This account has no numbers.")

    @group.command("point", help=f"Point NUMBER's incoming calls at {target}.\n\n{target} is {target_help}.")
    @click.argument("number")
    @click.argument("to", metavar=target)
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def point(number: str, to: str, *, yes: bool) -> None:
        _point(account(), number, read_target(to), ask=not yes)


def _show(numbers: Sequence[AccountNumber]) -> None:
    columns = {
        "number": [number.number for number in numbers],
        "name": [number.name for number in numbers],
        "status": [number.status for number in numbers],
        "points at": [_target(number) for number in numbers],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}
    Printer().table(Table(list(shown), list(zip(*shown.values(), strict=True))))


def _point(account: AccountNumbers, number: str, target: str, *, ask: bool) -> None:
    found = anyio.run(account.find, number)
    if found.points_at(target):
        click.echo(f"{number} points there already.")
        return
    fallback = ", without a fallback" if found.fallback == "" else ""
    click.echo(f"{number} points at {one_line(_target(found))} now{fallback}.")
    if ask:
        click.confirm(f"Point it at {target}?", abort=True)
    anyio.run(account.point, found, target)
    click.echo("Done.")


def _target(number: AccountNumber) -> str:
    if not number.target:
        return "nothing"
    return f"{number.target_name} ({number.target})" if number.target_name else number.target
