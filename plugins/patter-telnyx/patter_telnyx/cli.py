"""`patter telnyx`: the account's numbers, and the applications that their calls go to."""

from __future__ import annotations

import click

from patter_core.telephony.number_commands import add_number_commands
from patter_telnyx.config import read_api_key, read_api_url
from patter_telnyx.numbers import TelnyxNumbers
from patter_telnyx.rest import TelnyxApi

__all__ = ["telnyx"]


@click.group()
def telnyx() -> None:
    """Set up Telnyx numbers. The account is that of TELNYX_API_KEY."""


def _numbers() -> TelnyxNumbers:
    """Only the key is needed: a user who sets up a number may have no application yet."""
    return TelnyxNumbers(TelnyxApi(read_api_url(), read_api_key()))


add_number_commands(telnyx, _numbers, target="CONNECTION", target_help="the ID of a Voice API application")
