"""What `patter doctor` asks Telnyx: does it take the credentials, and do calls come here?"""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_telnyx.account import Account

__all__ = ["run_checks"]

_PATH = "/webhooks/telnyx/voice"


async def run_checks(account: Account, connection_id: str) -> list[CheckResult]:
    """What there is to say of an account and its application."""
    try:
        url = await account.webhook_url(connection_id)
        numbers = await account.numbers()
    except CarrierError as error:
        return [problem_of(error)]
    findings = [CheckResult(Level.OK, "Telnyx takes the key, and has the application.")]
    if not url.partition("?")[0].endswith(_PATH):
        set_it = f"Set it in the portal to your public address, with {_PATH} behind it."
        findings.append(CheckResult(Level.WARNING, "The application's webhook does not lead to a Patter.", set_it))
    here = sum(number.connection_id == connection_id for number in numbers)
    if here:
        findings.append(
            CheckResult(Level.OK, f"{here} of {len(numbers)} numbers of the account go to the application.")
        )
    else:
        point = "Say `patter telnyx point NUMBER CONNECTION`; buy a number in the portal if there is none."
        findings.append(CheckResult(Level.WARNING, "No number of the account goes to the application.", point))
    return findings
