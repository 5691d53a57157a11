"""The checks of `patter doctor` for the parts: the key, and the voice."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.net.http import HttpAnswer, send_request
from patter_core.net.peer_name import peer_name
from patter_core.net.unreached import engine_unreached
from patter_elevenlabs.config import BASE_URL_SETTING, Account
from patter_elevenlabs.refusals import KEYS, LACKS_PERMISSION, lacking, name_of, untried

__all__ = ["check_key", "check_voice"]

_TIMEOUT = 10.0
_KEY = f"Check ELEVENLABS_API_KEY ({KEYS}), and that it is of the region of base_url."


async def check_voice(account: Account, voice: str) -> Sequence[CheckResult]:
    """Checks that the key is accepted and that the account has the voice."""
    answer = await _get(account, f"/v1/voices/{quote(voice, safe='')}", "look up the voice")
    if isinstance(answer, CheckResult):
        return [answer]
    if answer.status == 200:
        return [CheckResult(Level.OK, f"ElevenLabs accepts the key, and has the voice. {untried('text_to_speech')}")]
    if name_of(answer.body) == LACKS_PERMISSION:
        remedy = f"{lacking('voices_read')} Then run the check again."
        return [CheckResult(Level.WARNING, "The voice was not checked: the key may not read it.", remedy)]
    if answer.status in {400, 404, 422}:
        remedy = "Take an id from the dashboard under Voices; one of the library must be added to My Voices first."
        return [CheckResult(Level.PROBLEM, "ElevenLabs does not have the voice.", remedy)]
    return [_refused(answer)]


async def check_key(account: Account) -> Sequence[CheckResult]:
    """Checks that the key is accepted; whether it may recognise speech is not told without doing so."""
    answer = await _get(account, "/v1/models", "check the key")
    if isinstance(answer, CheckResult):
        return [answer]
    if answer.status == 200 or name_of(answer.body) == LACKS_PERMISSION:
        return [CheckResult(Level.OK, f"ElevenLabs accepts the key. {untried('speech_to_text')}")]
    return [_refused(answer)]


def _refused(answer: HttpAnswer) -> CheckResult:
    if answer.status in {401, 403}:
        return CheckResult(Level.PROBLEM, "ElevenLabs does not accept the API key.", _KEY)
    return CheckResult(Level.PROBLEM, f"ElevenLabs refused the request with HTTP status {answer.status}.")


async def _get(account: Account, path: str, action: str) -> HttpAnswer | CheckResult:
    try:
        return await send_request(
            "GET",
            f"{account.base_url}{path}",
            headers=account.headers,
            connect_timeout=_TIMEOUT,
            answer_timeout=_TIMEOUT,
        )
    except (ConnectionError, TimeoutError) as error:
        peer = peer_name("ElevenLabs", account.base_url)
        return problem_of(engine_unreached(error, peer, setting=BASE_URL_SETTING, action=action))
