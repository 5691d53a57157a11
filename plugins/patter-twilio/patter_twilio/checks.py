"""What `patter doctor` asks Twilio: does it take the credentials, and do calls come here?"""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_twilio.rest import TwilioApi

__all__ = ["run_checks"]

_PATH = "/webhooks/twilio/voice"


async def run_checks(api: TwilioApi) -> list[CheckResult]:
    """What there is to say of an account."""
    try:
        numbers = await api.numbers()
    except CarrierError as error:
        return [problem_of(error)]
    findings = [CheckResult(Level.OK, "Twilio takes the credentials.")]
    if not numbers:
        buy = "Buy one with Voice in Twilio's console, under Phone Numbers."
        return [*findings, CheckResult(Level.WARNING, "The account has no number.", buy)]
    here = sum((number.voice_url or "").partition("?")[0].endswith(_PATH) for number in numbers)
    if here:
        return [*findings, CheckResult(Level.OK, f"{here} of {len(numbers)} numbers of the account point at a Patter.")]
    point = "Say `patter twilio point NUMBER PUBLIC-ADDRESS`."
    return [
        *findings,
        CheckResult(Level.WARNING, f"None of the account's {len(numbers)} numbers points at a Patter.", point),
    ]
