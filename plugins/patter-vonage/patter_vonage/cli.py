"""`patter vonage`: the account's numbers, the application that their calls go to, and the webhooks of that."""

from __future__ import annotations

import urllib.parse
import uuid

import anyio
import click

from patter_core.errors import ConfigurationError
from patter_core.observe.terminal import one_line
from patter_core.telephony.number_commands import add_number_commands
from patter_vonage.application import VOICE_PATH, Application, event_url_for
from patter_vonage.config import Credentials, account_url, api_url, read_application_id, rest_url
from patter_vonage.numbers import VonageNumbers
from patter_vonage.rest import AccountApi

__all__ = ["vonage"]


@click.group()
def vonage() -> None:
    """Set up Vonage numbers. The account is that of VONAGE_API_KEY and VONAGE_API_SECRET."""


def _numbers() -> VonageNumbers:
    """Only the account is needed: a user who sets up a number may have no private key here."""
    return VonageNumbers(AccountApi(rest_url(api_url()), Credentials.read()))


def _read_target(text: str) -> str:
    """Returns the id of an application, to which Vonage gives the calls of a number: it takes no URL there.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ConfigurationError(
            "APPLICATION is not the ID of a Vonage application.",
            expected="a UUID, such as 78d335fa-323d-0114-9c3d-d6f0d48968cf",
            got=repr(text),
            remedy="The dashboard shows it, under “Applications”. Where its calls are announced is set by "
            "`patter vonage webhooks URL`.",
        ) from None


add_number_commands(
    vonage,
    _numbers,
    target="APPLICATION",
    target_help="the ID of a Vonage application",
    read_target=_read_target,
)


@vonage.command("webhooks", help="Announce an application's calls to URL.\n\nURL is Patter's public address.")
@click.argument("url")
@click.option("--application", default="", metavar="ID", help="Default: VONAGE_APPLICATION_ID.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def webhooks(url: str, application: str, *, yes: bool) -> None:
    """Shows what the webhooks are set to, asks, and sets them: with POST, and signed."""
    answer_url = _read_answer_url(url)
    found = Application(AccountApi(account_url(api_url()), Credentials.read()), read_application_id(application))
    now = anyio.run(found.settings)
    if now.fits(answer_url):
        click.echo("The application's webhooks point there already.")
        return
    click.echo(f"The application “{one_line(now.name)}” has these webhooks now:")
    for kind, address in (("calls", now.answer_url), ("events", now.event_url)):
        click.echo(f"  {kind}: {one_line(address) or 'none'}")
    click.echo(f"  signed: {'yes' if now.is_signed else 'no'}")
    if not yes:
        click.confirm(f"Set them to {answer_url} and {event_url_for(answer_url)}, signed?", abort=True)
    anyio.run(found.set_webhooks, answer_url)
    click.echo("Done.")


def _read_answer_url(text: str) -> str:
    """Returns the URL of the voice webhook: a public address, with or without a path prefix, is completed.

    Raises:
        ConfigurationError: it is not an HTTP address.
    """
    parts = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL is not a public address.", expected="https://host", got=repr(text))
    path = parts.path.rstrip("/")
    return parts.geturl() if path.endswith(VOICE_PATH) else parts._replace(path=path + VOICE_PATH).geturl()
