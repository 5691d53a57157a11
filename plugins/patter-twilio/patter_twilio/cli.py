"""`patter twilio`: the account's numbers, and where their calls go."""

from __future__ import annotations

import urllib.parse

import anyio
import click

from patter_core.errors import ConfigurationError
from patter_twilio.carrier import Twilio
from patter_twilio.rest import ApiNumber

__all__ = ["twilio"]

_VOICE_PATH = "/webhooks/twilio/voice"


@click.group()
def twilio() -> None:
    """Set up Twilio numbers. The account is read from TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."""


@twilio.command()
def numbers() -> None:
    """List the account's numbers, and where their calls go."""
    found = anyio.run(Twilio().api.numbers)
    if not found:
        click.echo("This account has no numbers. You buy them in Twilio's console.")
        return
    from rich.console import Console  # noqa: PLC0415 - `patter --help` loads this module
    from rich.table import Table  # noqa: PLC0415

    table = Table("number", "name", "a call comes in")
    for number in found:
        table.add_row(number.phone_number, number.friendly_name, number.voice_url or "nowhere")
    Console().print(table)


@twilio.command()
@click.argument("number")
@click.argument("url")
@click.option("--yes", is_flag=True, help="Do not ask.")
def point(number: str, url: str, *, yes: bool) -> None:
    """Point NUMBER's incoming calls at URL: Patter's public address, or the whole URL of a webhook."""
    url = _voice_url(url)
    carrier = Twilio()
    found = anyio.run(_the_number, carrier, number)
    if found.voice_url == url:
        click.echo(f"{number} points there already.")
        return
    click.echo(f"{number} points at {found.voice_url or 'nothing'} now.")
    if not yes:
        click.confirm(f"Point it at {url}?", abort=True)
    anyio.run(carrier.api.set_voice_url, found.sid, url)
    click.echo("Done.")


async def _the_number(carrier: Twilio, number: str) -> ApiNumber:
    found = [one for one in await carrier.api.numbers(number) if one.phone_number == number]
    if not found:
        raise ConfigurationError(
            f"{number} is none of this Twilio account's.",
            expected="a number in E.164, such as +15550001234",
            remedy="`patter twilio numbers` lists those that are.",
        )
    return found[0]


def _voice_url(url: str) -> str:
    parts = urllib.parse.urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("That is no public address.", expected="https://host", got=repr(url))
    return parts.geturl() if parts.path.strip("/") else parts._replace(path=_VOICE_PATH).geturl()
