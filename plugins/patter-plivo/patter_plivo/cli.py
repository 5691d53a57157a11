"""`patter plivo`: the account's numbers, and what their calls go to."""

from __future__ import annotations

import click

from patter_core.telephony.number_commands import add_number_commands
from patter_plivo.config import read_account
from patter_plivo.numbers import PlivoNumbers, read_answer_url
from patter_plivo.rest import PlivoApi

__all__ = ["plivo"]


@click.group()
def plivo() -> None:
    """Set up Plivo numbers. The account is read from PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN."""


def _numbers() -> PlivoNumbers:
    account = read_account()
    return PlivoNumbers(PlivoApi(account.base_url, account.auth_id, account.auth_token))


add_number_commands(
    plivo,
    _numbers,
    target="URL",
    target_help="Patter's public address, or the full URL of a webhook",
    read_target=read_answer_url,
)
