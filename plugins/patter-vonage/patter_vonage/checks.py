"""Vonage's checks for `patter doctor`: the keys are valid, the webhooks ours and signed, and a number goes there."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import CarrierError
from patter_core.telephony.numbers import check_numbers, leads_here
from patter_vonage.application import EVENT_PATH, VOICE_PATH, Application, Settings
from patter_vonage.numbers import VonageNumbers
from patter_vonage.rest import VonageApi

__all__ = ["check_account", "check_key"]


async def check_key(api: VonageApi) -> CheckResult:
    """Checks that the private key is the application's."""
    try:
        await api.check()
    except CarrierError as error:
        return problem_of(error)
    return CheckResult(Level.OK, "Vonage accepts the private key.")


async def check_account(
    numbers: VonageNumbers, application: Application, application_id: str, *, base: str, number: str
) -> list[CheckResult]:
    """Checks an account and its application, as in `Carrier.check`."""
    try:
        settings = await application.settings()
        found = await numbers.fetch()
    except CarrierError as error:
        return [problem_of(error)]
    ours = check_numbers(
        found,
        lambda found: found.target == application_id,
        at="the application",
        remedy=f"Run `patter vonage point NUMBER {application_id}`.",
        number=number,
    )
    return [
        CheckResult(Level.OK, "Vonage accepts the API key, and has the application."),
        *_check_webhooks(settings, base),
        ours,
    ]


def _check_webhooks(settings: Settings, base: str) -> list[CheckResult]:
    results, remedy = [], f"Run `patter vonage webhooks {base or 'PUBLIC-ADDRESS'}`."
    if not (leads_here(settings.answer_url, VOICE_PATH, base) and leads_here(settings.event_url, EVENT_PATH, base)):
        what = f"The application's answer and event URLs do not both point at {base or 'Patter'}."
        results.append(CheckResult(Level.PROBLEM, what, remedy))
    elif not settings.is_post:
        results.append(CheckResult(Level.PROBLEM, "The application's webhooks are not sent with POST.", remedy))
    if not settings.is_signed:
        results.append(
            CheckResult(Level.PROBLEM, "The application's webhooks are not signed, so all are refused.", remedy)
        )
    return results
