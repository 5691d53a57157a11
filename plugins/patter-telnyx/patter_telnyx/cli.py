"""`patter telnyx`: the account's numbers, and which application their calls go to."""

from __future__ import annotations

import os

import anyio
import click

from patter_core.config import required
from patter_core.errors import ConfigurationError
from patter_telnyx.account import Account, PhoneNumber
from patter_telnyx.carrier import API_KEY_WHERE, API_URL
from patter_telnyx.rest import TelnyxApi

__all__ = ["telnyx"]


@click.group()
def telnyx() -> None:
    """Set up Telnyx numbers. The account is that of TELNYX_API_KEY."""


@telnyx.command()
def numbers() -> None:
    """List the account's numbers, and the applications that their calls go to."""
    found = anyio.run(_account().numbers)
    if not found:
        click.echo("This account has no numbers. You buy them in Telnyx's portal.")
        return
    from rich.console import Console  # noqa: PLC0415 - `patter --help` loads this module
    from rich.table import Table  # noqa: PLC0415

    table = Table("number", "status", "connection", "its name")
    for number in found:
        table.add_row(number.phone_number, number.status, number.connection_id or "none", number.connection_name or "")
    Console().print(table)


@telnyx.command()
@click.argument("number")
@click.argument("connection")
@click.option("--yes", is_flag=True, help="Do not ask.")
def point(number: str, connection: str, *, yes: bool) -> None:
    """Point NUMBER's incoming calls at CONNECTION: the ID of a Call Control application."""
    account = _account()
    found = anyio.run(_the_number, account, number)
    if found.connection_id == connection:
        click.echo(f"{number} points there already.")
        return
    click.echo(f"{number} points at {found.connection_name or found.connection_id or 'nothing'} now.")
    if not yes:
        click.confirm(f"Point it at {connection}?", abort=True)
    anyio.run(account.point_number, number, connection)
    click.echo("Done.")


def _account() -> Account:
    """Only the key is needed here: whoever sets a number up may have no connection yet."""
    api_key = required("", parameter="The API key", variable="TELNYX_API_KEY", where=API_KEY_WHERE)
    return Account(TelnyxApi(os.environ.get("TELNYX_BASE_URL") or API_URL, api_key))


async def _the_number(account: Account, number: str) -> PhoneNumber:
    found = await account.numbers(number)
    if not found:
        raise ConfigurationError(
            f"{number} is none of this Telnyx account's.",
            expected="a number in E.164, such as +15550001234",
            remedy="`patter telnyx numbers` lists those that are.",
        )
    return found[0]
