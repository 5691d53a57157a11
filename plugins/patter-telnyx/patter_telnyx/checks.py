"""Telnyx's checks for `patter doctor`: the key is valid, the webhook is ours, and a number goes to the application."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_core.telephony.numbers import check_numbers, leads_here, voice_path
from patter_telnyx.application import Application
from patter_telnyx.numbers import TelnyxNumbers

__all__ = ["run_checks"]


async def run_checks(
    numbers: TelnyxNumbers, application: Application, connection_id: str, *, base: str, number: str
) -> list[CheckResult]:
    """Checks an account and its application, as in `Carrier.check`."""
    try:
        url = await application.webhook_url()
        found = await numbers.fetch()
    except CarrierError as error:
        return [problem_of(error)]
    results = [CheckResult(Level.OK, "Telnyx accepts the key, and has the application.")]
    if not leads_here(url, voice_path("telnyx"), base):
        remedy = f"Set it in Telnyx's portal to {base or 'your public address, followed by '}{voice_path('telnyx')}."
        what = f"The application's webhook URL does not point at {base or 'Patter'}."
        results.append(CheckResult(Level.PROBLEM, what, remedy))
    numbers_result = check_numbers(
        found,
        lambda found: found.target == connection_id,
        at="the application",
        remedy=f"Run `patter telnyx point NUMBER {connection_id}`.",
        number=number,
    )
    return [*results, numbers_result]
