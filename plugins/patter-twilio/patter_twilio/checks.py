"""Twilio's checks for `patter doctor`: the credentials are valid, and a number points at Patter."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_core.telephony.numbers import check_numbers, leads_here, voice_path
from patter_twilio.numbers import TwilioNumbers

__all__ = ["run_checks"]


async def run_checks(numbers: TwilioNumbers, base: str, number: str) -> list[CheckResult]:
    """Checks an account, as in `Carrier.check`."""
    try:
        found = await numbers.fetch()
    except CarrierError as error:
        return [problem_of(error)]
    return [
        CheckResult(Level.OK, "Twilio accepts the credentials."),
        check_numbers(
            found,
            lambda found: leads_here(found.target, voice_path("twilio"), base),
            at=base or "Patter",
            remedy=f"Run `patter twilio point NUMBER {base or 'PUBLIC-ADDRESS'}`.",
            number=number,
        ),
    ]
