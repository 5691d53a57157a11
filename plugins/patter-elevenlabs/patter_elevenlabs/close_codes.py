"""What a close code of the service means: a table. Source: the vendor's schemas and SDKs, and reports by its users.

Each ending has its type, and each type may be handled in its own way:

| ending | |
|---|---|
| the agent ended it, or its time was up | None: events end without an error |
| refused: what was sent, who asks, a field | `EngineRefused` |
| the quota is used up | `EngineQuotaExceeded` |
| the service or its language model failed | `EngineFailed` |
| the connection broke; nobody spoke; anything else | `EngineLost` |

`retry` of the error says whether a new conversation may succeed; there is no going on with the old one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused

__all__ = ["ending"]


class _Ending(NamedTuple):
    kind: type[EngineError]
    retry: bool
    problem: str
    remedy: str = ""


_OVERRIDE = re.compile(r"[Oo]verride for field '([\w.]{1,60})'")

# Code 1002 is a bag: the reason decides. The first row with words that are found in it counts.
_OPERATIONAL: tuple[tuple[tuple[str, ...], _Ending], ...] = (
    (
        ("llm",),
        _Ending(EngineFailed, True, "The agent's language model did not answer."),
    ),
    (
        ("quota", "credit", "usage limit"),
        _Ending(
            EngineQuotaExceeded,
            False,
            "The ElevenLabs quota is used up.",
            "See Subscription in the ElevenLabs dashboard.",
        ),
    ),
    (
        ("no user", "inactiv", "silence"),
        _Ending(EngineLost, False, "ElevenLabs ended a conversation in which nobody spoke."),
    ),
    (
        ("timeout", "timed out"),
        _Ending(EngineFailed, True, "The agent's language model did not answer."),
    ),
)

_CODES = {
    1002: _Ending(
        EngineFailed, False, "ElevenLabs could not go on with the conversation.", "See the agent's configuration."
    ),
    1006: _Ending(EngineLost, True, "The connection to ElevenLabs broke."),
    1008: _Ending(
        EngineRefused,
        False,
        "ElevenLabs refused what was sent.",
        "See the agent's dynamic variables, and what its Security settings allow.",
    ),
    1009: _Ending(EngineRefused, False, "ElevenLabs found a message too large."),
    1011: _Ending(EngineFailed, True, "ElevenLabs had an internal error."),
    3000: _Ending(
        EngineRefused,
        False,
        "ElevenLabs does not let this key talk to this agent.",
        "Check ELEVENLABS_API_KEY, its permission convai_write, ELEVENLABS_AGENT_ID, and that both are of one region.",
    ),
}

_OTHER = _Ending(EngineLost, True, "ElevenLabs ended the conversation.")


def ending(code: int, reason: str) -> EngineError | None:
    """What the end of a conversation means to a call: None if the agent ended it, else the error to raise.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
    """
    if code == 1000:
        return None
    found = _find(code, reason)
    got = f"code {code}" + (f" ({reason})" if reason else "")
    return found.kind(found.problem, retry=found.retry, got=got, remedy=found.remedy)


def _find(code: int, reason: str) -> _Ending:
    if code == 1008 and (refused := _OVERRIDE.search(reason)):
        return _Ending(
            EngineRefused,
            False,
            f"The agent does not allow the override of {refused[1]}.",
            "Allow it in the agent's ElevenLabs dashboard under Security, Overrides, or do not set it.",
        )
    if code == 1002:
        said = reason.lower()
        for words, found in _OPERATIONAL:
            if any(word in said for word in words):
                return found
    return _CODES.get(code, _OTHER)
