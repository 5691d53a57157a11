"""What an error or a close of the service means for a session.

| what the service says | type |
|---|---|
| the quota or the credit of the account is used up | `EngineQuotaExceeded` |
| the key, the model, the account or an option is refused | `EngineRefused` |
| the session is as old as it may be | `EngineLost`, a new one may succeed |
| the service failed | `EngineFailed`, a new session may succeed |
| the connection was lost, or closed for another reason | `EngineLost`, a new session may succeed |

All other errors are no endings: the session goes on.
"""

from __future__ import annotations

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_openai import wire

__all__ = ["closed", "fatal", "refused", "remedied"]

_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
_ACCOUNT = frozenset({"invalid_api_key", "account_deactivated"})
_MODEL = frozenset({"model_not_found"})
_EXPIRED = frozenset({"session_expired"})

_STATUSES = {
    401: "Check OPENAI_API_KEY.",
    403: "Give the key the permission for the Realtime API, and check that its project may use the model.",
    404: "Check the model's name, and `base_url` or OPENAI_BASE_URL.",
    429: "The account's limits or its credit are used up: see Limits and Billing on the OpenAI platform.",
}
"""Remedies, by the status with which an upgrade or a request is refused."""

_FAULTS = frozenset({1011, 1012, 1013})
"""Close codes of a service that fails or restarts."""


def fatal(error: wire.ServiceError) -> EngineError | None:
    """Returns the error that ends the session; None if it goes on."""
    names = {error.code or "", error.type}
    got = _quoted(error)
    if names & _QUOTA:
        return EngineQuotaExceeded(
            "The OpenAI account's credit or limit is used up.", got=got, remedy="See Billing on the OpenAI platform."
        )
    if names & _ACCOUNT:
        return EngineRefused("OpenAI does not accept the API key.", got=got, remedy=_STATUSES[401])
    if names & _MODEL:
        return EngineRefused(
            "The model does not exist, or the key may not use it.",
            got=got,
            remedy="`patter openai models` lists those that it may use.",
        )
    if names & _EXPIRED:
        return EngineLost("The OpenAI session is as old as it may be.", retry=True, got=got)
    return None


def refused(error: wire.ServiceError) -> EngineError:
    """Returns the error that a session could not be configured."""
    param = error.param if isinstance(error.param, str) else ""
    return fatal(error) or EngineRefused(
        "OpenAI refused the configuration of the session" + (f", because of {param}." if param else "."),
        retry=error.type == "server_error",
        got=_quoted(error),
        remedy="Check the options of OpenAIRealtime: not every model takes all of them.",
    )


def closed(code: int, reason: str, last: wire.ServiceError | None = None) -> EngineError:
    """Returns the error that a closed socket means: the service never ends a conversation by itself.

    Args:
        code: of the close frame; 1006 if there was none.
        reason: of the close frame, as the service wrote it.
        last: the last error that it told, which may be the cause.
    """
    if last is not None and (cause := fatal(last)) is not None:
        return cause
    got = f"code {code}" + (f" ({reason})" if reason else "")
    if last is not None and last.message:
        got += f" after the error {_quoted(last)}"
    if code == 1008:
        return EngineRefused("OpenAI refused a message.", got=got)
    if code in _FAULTS:
        return EngineFailed("OpenAI had an internal error.", retry=True, got=got)
    return EngineLost("The connection to OpenAI was lost.", retry=True, got=got)


def remedied(error: EngineRefused) -> EngineRefused:
    """Returns the refusal of an upgrade, with what to do about it."""
    remedy = _STATUSES.get(error.status)
    if remedy is None:
        return error
    return EngineRefused(
        "OpenAI refused the connection.",
        status=error.status,
        retry=error.retry,
        retry_after=error.retry_after,
        got=f"HTTP status {error.status}",
        remedy=remedy,
    )


def _quoted(error: wire.ServiceError) -> str:
    return ": ".join(part for part in (error.label, error.message[:300]) if part)
