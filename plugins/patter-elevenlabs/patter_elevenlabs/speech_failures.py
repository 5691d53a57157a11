"""What an error of a speech service means, as a table. Both of them name their errors.

| what the service says | type |
|---|---|
| the quota is used up | `EngineQuotaExceeded` |
| the key, the voice, the model, an option or a message is refused | `EngineRefused` |
| too many at once; it failed | `EngineFailed`, another session may succeed |
| nothing was said for too long; the session is as old as it may be; the connection was lost | `EngineLost`, the same |
"""

from __future__ import annotations

from typing import NamedTuple

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_elevenlabs.refusals import KEYS, LACKS_PERMISSION, lacking

__all__ = ["REMEDIES", "closed", "named"]


class _Meaning(NamedTuple):
    kind: type[EngineError]
    retry: bool
    problem: str
    remedy: str = ""


_KEY = _Meaning(
    EngineRefused,
    False,
    "ElevenLabs does not accept the API key.",
    f"Check ELEVENLABS_API_KEY, its permission {{permission}} ({KEYS}), and that it is of this region.",
)
_LACKING = _Meaning(
    EngineRefused, False, "The ElevenLabs key lacks the permission {permission}.", lacking("{permission}")
)
_QUOTA = _Meaning(
    EngineQuotaExceeded, False, "The ElevenLabs quota is used up.", "See Subscription in the ElevenLabs dashboard."
)
_VOICE = _Meaning(
    EngineRefused,
    False,
    "ElevenLabs does not have this voice.",
    "Take an id from the dashboard under Voices; one of the library must be added to My Voices first.",
)
_MODEL = _Meaning(EngineRefused, False, "ElevenLabs does not have this model.", "Check model=….")
_BUSY = _Meaning(EngineFailed, True, "ElevenLabs takes no more at the moment, or not for this account.")
_FAULT = _Meaning(EngineFailed, True, "ElevenLabs had an internal error.")
_IDLE = _Meaning(EngineLost, True, "ElevenLabs ended a session in which nothing was said for some time.")
_OLD = _Meaning(EngineLost, True, "The ElevenLabs session is as old as it may be.")
_MESSAGE = _Meaning(EngineRefused, False, "ElevenLabs refused a message or an option.")
_TERMS = _Meaning(
    EngineRefused,
    False,
    "The account has not accepted the terms of this ElevenLabs service.",
    "Do so in the dashboard.",
)

_NAMES = {
    "auth_error": _KEY,
    "invalid_api_key": _KEY,
    "invalid_authorization_header": _KEY,
    LACKS_PERMISSION: _LACKING,
    "needs_authorization": _KEY,
    "unauthorized": _KEY,
    "unaccepted_terms": _TERMS,
    "quota_exceeded": _QUOTA,
    "voice_id_does_not_exist": _VOICE,
    "voice_not_found": _VOICE,
    "invalid_voice_id": _VOICE,
    "model_not_found": _MODEL,
    "invalid_model_id": _MODEL,
    "max_active_conversations": _BUSY,
    "rate_limited": _BUSY,
    "queue_overflow": _BUSY,
    "resource_exhausted": _BUSY,
    "system_busy": _BUSY,
    "too_many_concurrent_requests": _BUSY,
    "internal_error": _FAULT,
    "internal_server_error": _FAULT,
    "transcriber_error": _FAULT,
    "error": _FAULT,
    "input_timeout_exceeded": _IDLE,
    "session_time_limit_exceeded": _OLD,
    "chunk_size_exceeded": _MESSAGE,
    "input_error": _MESSAGE,
    "invalid_request": _MESSAGE,
}

_CODES = {
    1006: _Meaning(EngineLost, True, "The connection to ElevenLabs was lost."),
    1008: _MESSAGE,
    1009: _Meaning(EngineRefused, False, "A message was too large for ElevenLabs."),
    1011: _FAULT,
    3000: _KEY,
}
_OTHER = _Meaning(EngineLost, True, "ElevenLabs ended the session.")
_TIMED_OUT = "within the timeout"
"""In the reason of a close: nothing was said for too long. The error may have no name then."""

REMEDIES = {
    404: "Check the voice, the model, and base_url.",
    429: "Try again later: too many at once for this account.",
}
"""What to do about the status of an upgrade that is not about the key."""
_QUOTED = 300
"""Characters that are quoted of the service's words."""


def named(name: str, text: str, permission: str, code: int = 0) -> EngineError:
    """Returns the error that the service names.

    Args:
        name: of the error.
        text: what the service says about it.
        permission: what the key needs.
        code: the close code that it announces, or 0: for a name that is not known.
    """
    meaning = _NAMES.get(name) or (_IDLE if _TIMED_OUT in text else _CODES.get(code, _FAULT))
    return _error(meaning, ": ".join(part for part in (name, text[:_QUOTED]) if part), permission)


def closed(code: int, reason: str, permission: str) -> EngineError:
    """Returns the error that a closed socket means: neither service ends a session by itself.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
        permission: what the key needs.
    """
    meaning = next((found for name, found in _NAMES.items() if name != "error" and name in reason), None)
    if meaning is None:
        meaning = _IDLE if _TIMED_OUT in reason else _CODES.get(code, _OTHER)
    return _error(meaning, f"code {code}" + (f" ({reason[:_QUOTED]})" if reason else ""), permission)


def _error(meaning: _Meaning, got: str, permission: str) -> EngineError:
    problem, remedy = (text.format(permission=permission) for text in (meaning.problem, meaning.remedy))
    return meaning.kind(problem, retry=meaning.retry, got=got, remedy=remedy)
