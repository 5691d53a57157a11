"""What a close code of the service means: a table. Source: the vendor's schemas and SDKs, and reports by its users."""

from __future__ import annotations

import re

from patter_core.errors import EngineError, EngineLost, EngineRefused

__all__ = ["ending"]

_SETTINGS = "in the agent's ElevenLabs dashboard under Security, Overrides"
_OVERRIDE = re.compile(r"[Oo]verride for field '([\w.]{1,60})'")

# Code 1002 is a bag: the reason decides. The first words that are found in it count.
_OPERATIONAL: tuple[tuple[tuple[str, ...], type[EngineError], bool, str], ...] = (
    (("quota", "credit", "limit"), EngineRefused, False, "The ElevenLabs quota is used up."),
    (("no user", "inactiv", "silence"), EngineLost, False, "ElevenLabs ended a conversation in which nobody spoke."),
    (("llm", "timeout", "timed out"), EngineLost, True, "The agent's language model did not answer."),
)

_CODES: dict[int, tuple[type[EngineError], bool, str, str]] = {
    1002: (EngineLost, False, "ElevenLabs could not go on with the conversation.", "See the agent's configuration."),
    1006: (EngineLost, True, "The connection to ElevenLabs broke.", ""),
    1008: (EngineRefused, False, "ElevenLabs refused what was sent.", "See the agent's configuration and variables."),
    1009: (EngineRefused, False, "ElevenLabs found a message too large.", ""),
    1011: (EngineLost, True, "ElevenLabs had an internal error.", ""),
    3000: (
        EngineRefused,
        False,
        "ElevenLabs does not let this key talk to this agent.",
        "Check ELEVENLABS_API_KEY, its permission convai_write, ELEVENLABS_AGENT_ID, and that both are of one region.",
    ),
}


def ending(code: int, reason: str) -> EngineError | None:
    """What the end of a conversation means to a call: None if the agent ended it, else the error to raise.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
    """
    if code == 1000:
        return None
    got = f"code {code}" + (f" ({reason})" if reason else "")
    if code == 1008 and (refused := _OVERRIDE.search(reason)):
        return EngineRefused(
            f"The agent does not allow the override of {refused[1]}.",
            got=got,
            remedy=f"Allow it {_SETTINGS}, or do not set it.",
        )
    if code == 1002:
        said = reason.lower()
        for words, kind, retry, problem in _OPERATIONAL:
            if any(word in said for word in words):
                return kind(problem, retry=retry, got=got)
    kind, retry, problem, remedy = _CODES.get(code, (EngineLost, True, "ElevenLabs ended the conversation.", ""))
    return kind(problem, retry=retry, got=got, remedy=remedy)
