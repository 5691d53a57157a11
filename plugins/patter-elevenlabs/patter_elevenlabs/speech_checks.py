"""The checks of `patter doctor` for the parts: the key, and the voice."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from patter_core.checks import CheckResult, Level
from patter_core.errors import NetworkMisconfigured
from patter_core.net.http import HttpAnswer, send_request
from patter_core.net.peer_name import peer_name
from patter_elevenlabs.config import Account

__all__ = ["check_key", "check_voice"]

_TIMEOUT = 10.0
_NO_PERMISSION = "missing_permissions"
_KEY = "Check ELEVENLABS_API_KEY, and that it is of the region of base_url."


class _Detail(msgspec.Struct):
    status: str = ""


class _Refusal(msgspec.Struct):
    detail: _Detail | str = ""


async def check_voice(account: Account, voice: str) -> Sequence[CheckResult]:
    """Checks that the key is accepted and that the account has the voice."""
    answer = await _get(account, f"/v1/voices/{quote(voice, safe='')}")
    if isinstance(answer, CheckResult):
        return [answer]
    if answer.status == 200:
        return [CheckResult(Level.OK, "ElevenLabs accepts the key, and has the voice.")]
    if _status(answer) == _NO_PERMISSION:
        remedy = "Give the key the permission voices_read as well, and run the check again."
        return [CheckResult(Level.WARNING, "The voice was not checked: the key may not read it.", remedy)]
    if answer.status in {400, 404, 422}:
        remedy = "Take an id from the dashboard under Voices; one of the library must be added to My Voices first."
        return [CheckResult(Level.PROBLEM, "ElevenLabs does not have the voice.", remedy)]
    return [_refused(answer)]


async def check_key(account: Account) -> Sequence[CheckResult]:
    """Checks that the key is accepted; whether it may recognise speech is not told without doing so."""
    answer = await _get(account, "/v1/models")
    if isinstance(answer, CheckResult):
        return [answer]
    if answer.status == 200 or _status(answer) == _NO_PERMISSION:
        return [CheckResult(Level.OK, "ElevenLabs accepts the key.")]
    return [_refused(answer)]


def _refused(answer: HttpAnswer) -> CheckResult:
    if answer.status in {401, 403}:
        return CheckResult(Level.PROBLEM, "ElevenLabs does not accept the API key.", _KEY)
    return CheckResult(Level.PROBLEM, f"ElevenLabs refused the request with HTTP status {answer.status}.")


async def _get(account: Account, path: str) -> HttpAnswer | CheckResult:
    peer = peer_name("ElevenLabs", account.base_url)
    try:
        return await send_request(
            "GET",
            f"{account.base_url}{path}",
            headers=account.headers,
            connect_timeout=_TIMEOUT,
            answer_timeout=_TIMEOUT,
        )
    except TimeoutError:
        return CheckResult(Level.PROBLEM, f"{peer} did not answer in time.")
    except NetworkMisconfigured as error:
        return CheckResult(Level.PROBLEM, f"{peer} cannot be reached. {error.problem}", error.remedy)
    except ConnectionError:
        return CheckResult(Level.PROBLEM, f"{peer} cannot be reached.", "Check the network, and base_url if it is set.")


def _status(answer: HttpAnswer) -> str:
    try:
        detail = msgspec.json.decode(answer.body, type=_Refusal).detail
    except (msgspec.DecodeError, UnicodeError):
        return ""
    return detail.status if isinstance(detail, _Detail) else ""
