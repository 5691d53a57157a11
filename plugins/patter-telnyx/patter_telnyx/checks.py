"""Telnyx's checks for `patter doctor`: the key is valid, the webhook is ours, and a number goes to the application."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_core.telephony.numbers import check_numbers, voice_path
from patter_telnyx.application import Application
from patter_telnyx.numbers import TelnyxNumbers

__all__ = ["run_checks"]


async def run_checks(numbers: TelnyxNumbers, application: Application, connection_id: str) -> list[CheckResult]:
    """Checks an account and its application."""
    try:
        url = await application.webhook_url()
        found = await numbers.fetch()
    except CarrierError as error:
        return [problem_of(error)]
    results = [CheckResult(Level.OK, "Telnyx accepts the key, and has the application.")]
    if not url.partition("?")[0].endswith(voice_path("telnyx")):
        remedy = f"Set it in Telnyx's portal to your public address, followed by {voice_path('telnyx')}."
        results.append(CheckResult(Level.WARNING, "The application's webhook URL does not point at Patter.", remedy))
    numbers_result = check_numbers(
        found,
        lambda number: number.target == connection_id,
        at="the application",
        remedy="Run `patter telnyx point NUMBER CONNECTION`.",
    )
    return [*results, numbers_result]
