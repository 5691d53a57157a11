"""Plivo's checks for `patter doctor`: the credentials are valid, and a number points at Patter."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_core.telephony.numbers import AccountNumber, check_numbers, voice_path
from patter_plivo.numbers import PlivoNumbers

__all__ = ["run_checks"]


async def run_checks(numbers: PlivoNumbers) -> list[CheckResult]:
    """Checks an account."""
    try:
        found = await numbers.fetch()
    except CarrierError as error:
        return [problem_of(error)]
    return [
        CheckResult(Level.OK, "Plivo accepts the credentials."),
        check_numbers(found, _is_ours, at="Patter", remedy="Run `patter plivo point NUMBER PUBLIC-ADDRESS`."),
    ]


def _is_ours(number: AccountNumber) -> bool:
    return number.target.partition("?")[0].endswith(voice_path("plivo"))
