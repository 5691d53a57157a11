"""`patter twilio`: the account's numbers, and what their calls go to."""

from __future__ import annotations

import click

from patter_core.telephony.number_commands import add_number_commands
from patter_twilio.config import read_account
from patter_twilio.numbers import TwilioNumbers, read_voice_url
from patter_twilio.rest import TwilioApi

__all__ = ["twilio"]


@click.group()
def twilio() -> None:
    """Set up Twilio numbers. The account is read from TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."""


def _numbers() -> TwilioNumbers:
    account = read_account()
    return TwilioNumbers(TwilioApi(account.base_url, account.account_sid, account.credentials))


add_number_commands(
    twilio,
    _numbers,
    target="URL",
    target_help="Patter's public address, or the full URL of a webhook",
    read_target=read_voice_url,
)
