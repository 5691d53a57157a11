"""The service's close codes, as a table. Sources: the vendor's schemas and SDKs, and reports by its users.

Each way for a conversation to end has its type, which may be handled in its own way:

| end | type |
|---|---|
| the agent ended it, or its maximum duration was reached | None: events end without an error |
| a message, the credentials or an override was refused | `EngineRefused` |
| the quota is used up | `EngineQuotaExceeded` |
| the service or its language model failed | `EngineFailed` |
| the connection was lost; nothing was said for too long; anything else | `EngineLost` |

`retry` of the error says whether a new conversation may succeed; an ended one cannot be resumed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_elevenlabs.refusals import KEYS

__all__ = ["error_for"]


class _Meaning(NamedTuple):
    kind: type[EngineError]
    retry: bool
    problem: str
    remedy: str = ""


_MAXIMUM_DURATION = re.compile(r"max(imum)?( \w+)? duration|duration (limit|exceeded)|time limit", re.IGNORECASE)
"""In a reason: the conversation was as long as the agent's settings allow, whatever the code."""
_OVERRIDE = re.compile(r"[Oo]verride for field '([\w.]{1,60})'")

_LLM_FAILED = _Meaning(EngineFailed, True, "The agent's language model did not answer.")

# Code 1002 has many meanings, told apart by the reason: the first row with a word that is in it counts.
_REASONS: tuple[tuple[tuple[str, ...], _Meaning], ...] = (
    (("llm",), _LLM_FAILED),
    (
        ("quota", "credit", "usage limit"),
        _Meaning(
            EngineQuotaExceeded,
            False,
            "The ElevenLabs quota is used up.",
            "See Subscription in the ElevenLabs dashboard.",
        ),
    ),
    (
        ("no user", "inactiv", "silence"),
        _Meaning(EngineLost, False, "ElevenLabs ended the conversation because the user said nothing."),
    ),
    (("timeout", "timed out"), _LLM_FAILED),
)

_CODES = {
    1002: _Meaning(
        EngineFailed, False, "ElevenLabs could not continue the conversation.", "See the agent's configuration."
    ),
    1006: _Meaning(EngineLost, True, "The connection to ElevenLabs was lost."),
    1008: _Meaning(
        EngineRefused,
        False,
        "ElevenLabs refused a message.",
        "Check the agent's dynamic variables, and what its Security settings allow.",
    ),
    1009: _Meaning(EngineRefused, False, "A message was too large for ElevenLabs."),
    1011: _Meaning(EngineFailed, True, "ElevenLabs had an internal error."),
    3000: _Meaning(
        EngineRefused,
        False,
        "ElevenLabs does not accept this key for this agent.",
        f"Check ELEVENLABS_API_KEY, its permission convai_write ({KEYS}), ELEVENLABS_AGENT_ID, and that both are of one"
        " region.",
    ),
}

_OTHER = _Meaning(EngineLost, True, "ElevenLabs ended the conversation.")


def error_for(code: int, reason: str) -> EngineError | None:
    """Returns the error that a closed socket means; None if the agent ended the conversation.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
    """
    if code == 1000 or _MAXIMUM_DURATION.search(reason):
        return None
    meaning = _meaning_of(code, reason)
    got = f"code {code}" + (f" ({reason})" if reason else "")
    return meaning.kind(meaning.problem, retry=meaning.retry, got=got, remedy=meaning.remedy)


def _meaning_of(code: int, reason: str) -> _Meaning:
    if code == 1008 and (refused := _OVERRIDE.search(reason)):
        return _Meaning(
            EngineRefused,
            False,
            f"The agent does not allow the override of {refused[1]}.",
            "Allow it in the agent's ElevenLabs dashboard under Security, Overrides, or do not set it.",
        )
    if code == 1002:
        lowered = reason.lower()
        for words, meaning in _REASONS:
            if any(word in lowered for word in words):
                return meaning
    return _CODES.get(code, _OTHER)
