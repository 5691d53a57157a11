"""What goes wrong between a request and the end of its answer, as errors. Nothing of the server's text is in them.

Servers quote requests in their messages, and with them what callers said. Codes and names of parameters are shown.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import msgspec

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_core.net.json import UNREADABLE
from patter_core.net.retry_after import is_passing, seconds_asked

__all__ = ["Fault", "broken_off", "failed", "fault_of", "malformed", "refused"]

_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
_ACCOUNT = frozenset({"invalid_api_key", "account_deactivated", "authentication_error"})
_MODEL = frozenset({"model_not_found", "DeploymentNotFound"})
_FILTER = frozenset({"content_filter", "content_policy_violation"})
_LENGTH = frozenset({"context_length_exceeded"})
_FINAL = _QUOTA | _ACCOUNT | _MODEL | _FILTER | _LENGTH | frozenset({"invalid_request_error", "tool_use_failed"})
"""After these the same request fails again."""

_NAME = re.compile(r"[A-Za-z0-9_.\-\[\]]{1,64}")
_REMEDIES = {
    400: "Check the options: not every model and server takes all of them.",
    401: "Check `api_key`; OPENAI_API_KEY is sent to OpenAI only, or to OPENAI_BASE_URL.",
    403: "Check that the key's project may use the model.",
    404: "Check the model's name, and `base_url` or OPENAI_BASE_URL, which ends with /v1 as a rule.",
    429: "The account's limits are used up for the moment.",
}
_REASONING = (
    "With tools, this model answers chat completions without reasoning only, or not at all: "
    "set reasoning_effort='none', or choose another model, such as gpt-6-luna."
)


class Fault(msgspec.Struct, frozen=True):
    """What a server says of an error: only what is a name."""

    type: str = ""
    code: str = ""
    param: str = ""

    @property
    def names(self) -> set[str]:
        return {self.type, self.code} - {""}

    def __str__(self) -> str:
        said = dict.fromkeys(part for part in (self.type, self.code) if part)
        return ", ".join([*said, *([f"parameter {self.param}"] if self.param else [])])


class _Told(msgspec.Struct):
    type: object = None
    code: object = None
    param: object = None
    error: object = None


def fault_of(said: object) -> Fault:
    """Returns what a server says of an error: an object with `type`, `code` and `param`, or with `error`; or a text."""
    told = _told(said)
    if told.type is None and told.error is not None:
        told = _told(told.error)
    return Fault(_name(told.type), _name(told.code), _name(told.param))


def _told(said: object) -> _Told:
    try:
        return msgspec.convert(said, _Told)
    except msgspec.ValidationError:
        return _Told()


def _name(value: object) -> str:
    text = str(value) if isinstance(value, int) else value
    return text if isinstance(text, str) and _NAME.fullmatch(text) else ""


def refused(server: str, status: int, headers: Mapping[str, str], body: bytes) -> EngineError:
    """Returns the error that a request was answered with another status than 200.

    Args:
        server: its name.
        status: of the answer.
        headers: of the answer.
        body: of the answer.
    """
    try:
        fault = fault_of(msgspec.json.decode(body))
    except UNREADABLE:
        fault = Fault()
    got = f"HTTP status {status}" + (f", {fault}" if fault.names or fault.param else "")
    if fault.names & _QUOTA:
        return _quota(server, got, status)
    remedy = _REMEDIES.get(status, "")
    if fault.param == "reasoning_effort":
        remedy = _REASONING
    elif fault.names & _FILTER:
        remedy = "The server's filter refused what was said."
    elif fault.names & _LENGTH:
        remedy = "The instructions, the tools and what was said are longer than the model takes."
    return EngineRefused(
        f"{server} refused to answer.",
        status=status,
        retry=is_passing(status),
        retry_after=_asked_for(headers),
        got=got,
        remedy=remedy,
    )


def failed(server: str, fault: Fault) -> EngineError:
    """Returns the error that a server reported in the middle of an answer."""
    got = str(fault)
    if fault.names & _QUOTA:
        return _quota(server, got)
    return EngineFailed(f"{server} reported an error in its answer.", retry=not fault.names & _FINAL, got=got)


def broken_off(server: str, got: str = "") -> EngineError:
    """Returns the error that an answer ended in the middle."""
    return EngineLost(f"The answer of {server} broke off.", retry=True, got=got)


def malformed(server: str, got: str) -> EngineError:
    """Returns the error that an answer is not as documented."""
    return EngineFailed(f"The answer of {server} is not as documented.", retry=True, got=got)


def _quota(server: str, got: str, status: int = 0) -> EngineError:
    return EngineQuotaExceeded(
        f"The credit or the limit of the account at {server} is used up.",
        status=status,
        got=got,
        remedy="See the account's billing.",
    )


def _asked_for(headers: Mapping[str, str]) -> float:
    exact = headers.get("retry-after-ms", "")
    if exact.isascii() and exact.isdigit():
        return float(exact[:9]) / 1000
    return seconds_asked(headers.get("retry-after", ""), time.time())
