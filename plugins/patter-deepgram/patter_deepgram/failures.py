"""What a refusal, an error or a close of the service means for a session.

| what the service says | type |
|---|---|
| the credit of the account is used up | `EngineQuotaExceeded` |
| the key, the model or an option is refused; the audio is not what was said | `EngineRefused` |
| too many sessions at once | `EngineRefused`, a later one may succeed |
| the service failed | `EngineFailed`, a new session may succeed |
| the connection was lost, or closed for another reason | `EngineLost`, a new session may succeed |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_core.observe.terminal import one_line

__all__ = ["REASON_HEADER", "Told", "closed", "failed", "remedied"]

REASON_HEADER = "dg-error"
"""In which the service says why it refuses an upgrade."""

_QUOTED = 200
"""Characters that are quoted of what the service says."""
_CODE = re.compile(r"\b(MESSAGE|DATA|BIG|NET)-?(\d{4})\b", re.IGNORECASE)
"""In the reason of a close frame, as such or in the address of the vendor's page on it."""

_REMEDIES = {
    400: "See what the service says of the options; not every model has every option and language.",
    401: "Check DEEPGRAM_API_KEY.",
    403: "The key's project may not use this model or option: see the Deepgram console.",
    404: "Check the base URL, if one is set.",
    405: "The model does not exist, or does not stream.",
    429: "More sessions are open than the account may have at once.",
}


class Told(NamedTuple):
    """An error that the service told before it closed."""

    code: str
    text: str


class _Meaning(NamedTuple):
    kind: type[EngineError]
    retry: bool
    problem: str
    remedy: str = ""


_MEANINGS = {
    "MESSAGE": _Meaning(EngineRefused, False, "Deepgram refused a message."),
    "DATA": _Meaning(EngineRefused, False, "Deepgram could not read what it was sent."),
    "BIG": _Meaning(EngineRefused, False, "A message was too large."),
    "NET": _Meaning(EngineFailed, True, "Deepgram did not answer in its own time."),
}
_IDLE = _Meaning(
    EngineLost,
    True,
    "Deepgram ended the session because nothing was sent.",
    "Feed it at real-time pace, silence included.",
)
_CODES = {
    1003: _MEANINGS["MESSAGE"],
    1008: _Meaning(EngineRefused, False, "Deepgram refused to go on."),
    1009: _MEANINGS["BIG"],
    1011: _Meaning(EngineFailed, True, "Deepgram had an internal error."),
}
_LOST = _Meaning(EngineLost, True, "The connection to Deepgram was lost.")
_IDLE_CODES = {"NET-0001", "NET-0004"}


def closed(code: int, reason: str, last: Told | None = None) -> EngineError:
    """Returns the error that a closed socket means: the service never ends a session by itself.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
        last: the last error that it told, which may be the cause.
    """
    got = f"code {code}" + (f" ({_quoted(reason)})" if reason else "")
    if last is not None:
        got += f" after {_label(last)}"
    return _error(_meaning(reason) or (_meaning(last.code) if last else None) or _CODES.get(code, _LOST), got)


def failed(told: Told) -> EngineError:
    """Returns the error that a fatal message means."""
    known = _meaning(told.code) or _Meaning(EngineFailed, True, "Deepgram reported an error.")
    return _error(known, _label(told))


def remedied(error: EngineRefused) -> EngineRefused:
    """Returns the refusal of an upgrade, with what to do about it."""
    kind = EngineQuotaExceeded if error.status == 402 else EngineRefused
    return kind(
        "The credit of the Deepgram account is used up." if error.status == 402 else "Deepgram refused the connection.",
        status=error.status,
        retry=error.retry,
        retry_after=error.retry_after,
        expected=error.expected,
        got=error.got,
        remedy=_REMEDIES.get(error.status, error.remedy),
    )


def _meaning(text: str) -> _Meaning | None:
    found = _CODE.search(text)
    if found is None:
        return None
    code = f"{found[1].upper()}-{found[2]}"
    return _IDLE if code in _IDLE_CODES else _MEANINGS[found[1].upper()]


def _error(meaning: _Meaning, got: str) -> EngineError:
    return meaning.kind(meaning.problem, retry=meaning.retry, got=got, remedy=meaning.remedy)


def _label(told: Told) -> str:
    return ": ".join(part for part in (_quoted(told.code), _quoted(told.text)) if part) or "an error without a text"


def _quoted(text: str) -> str:
    return one_line(text[:_QUOTED])[:_QUOTED]
