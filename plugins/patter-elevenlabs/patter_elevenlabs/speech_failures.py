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

__all__ = ["closed", "named", "refused_upgrade"]


class _Meaning(NamedTuple):
    kind: type[EngineError]
    retry: bool
    problem: str
    remedy: str = ""


_KEY = _Meaning(
    EngineRefused,
    False,
    "ElevenLabs does not accept the API key.",
    "Check ELEVENLABS_API_KEY, its permissions text_to_speech and speech_to_text, and that it is of this region.",
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
    "missing_permissions": _KEY,
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

_STATUSES = {
    401: _KEY.remedy,
    403: _KEY.remedy,
    404: "Check the voice, the model, and base_url.",
    429: "Try again later: too many at once for this account.",
}
_QUOTED = 300
"""Characters that are quoted of the service's words."""


def named(name: str, text: str, code: int = 0) -> EngineError:
    """Returns the error that the service names.

    Args:
        name: of the error.
        text: what the service says about it.
        code: the close code that it announces, or 0: for a name that is not known.
    """
    meaning = _NAMES.get(name) or (_IDLE if _TIMED_OUT in text else _CODES.get(code, _FAULT))
    return _error(meaning, ": ".join(part for part in (name, text[:_QUOTED]) if part))


def closed(code: int, reason: str) -> EngineError:
    """Returns the error that a closed socket means: neither service ends a session by itself.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
    """
    meaning = next((found for name, found in _NAMES.items() if name != "error" and name in reason), None)
    if meaning is None:
        meaning = _IDLE if _TIMED_OUT in reason else _CODES.get(code, _OTHER)
    return _error(meaning, f"code {code}" + (f" ({reason[:_QUOTED]})" if reason else ""))


def refused_upgrade(error: EngineRefused) -> EngineRefused:
    """Returns the refusal of an upgrade, with what to do about it."""
    return EngineRefused(
        "ElevenLabs refused the connection.",
        status=error.status,
        retry=error.retry,
        retry_after=error.retry_after,
        expected=error.expected,
        got=error.got,
        remedy=_STATUSES.get(error.status, error.remedy),
    )


def _error(meaning: _Meaning, got: str) -> EngineError:
    return meaning.kind(meaning.problem, retry=meaning.retry, got=got, remedy=meaning.remedy)
