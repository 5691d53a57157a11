"""What to do about a refusal with an HTTP status, of a request or of an upgrade: as a rule, about the key."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from patter_core.errors import EngineRefused

__all__ = [
    "KEYS",
    "LACKS_PERMISSION",
    "PermissionLacking",
    "lacking",
    "name_of",
    "refused_upgrade",
    "remedy_for",
    "untried",
]

KEYS = "in the ElevenLabs dashboard under Developers, API keys"
LACKS_PERMISSION = "missing_permissions"
"""The service's name for that. It comes with status 401, as a wrong key does."""


class PermissionLacking(EngineRefused):
    """The key is known, and lacks a permission."""


class _Detail(msgspec.Struct):
    status: str = ""


class _Refusal(msgspec.Struct):
    detail: _Detail | str = ""


def name_of(body: bytes) -> str:
    """Returns the service's name of a refusal; "" if it has none."""
    try:
        detail = msgspec.json.decode(body, type=_Refusal).detail
    except (msgspec.DecodeError, UnicodeError):
        return ""
    return detail.status if isinstance(detail, _Detail) else ""


def lacking(permission: str) -> str:
    """Returns what to do about a key without a permission."""
    return f"Give the key the permission {permission} {KEYS}."


def untried(permission: str) -> str:
    """Returns what a check that uses another permission leaves open."""
    return f"Whether the key has the permission {permission}, too, only a call shows."


def remedy_for(status: int, permission: str, others: Mapping[int, str]) -> str:
    """Returns what to do about a refusal; "" if that is unknown.

    Args:
        status: of the answer.
        permission: what the key needs for the request.
        others: of the statuses that are not about the key.
    """
    if status == 401:
        return (
            f"Check ELEVENLABS_API_KEY, its permission {permission} ({KEYS}), and that it is of the region of base_url."
        )
    return lacking(permission) if status == 403 else others.get(status, "")


def refused_upgrade(error: EngineRefused, permission: str, others: Mapping[int, str]) -> EngineRefused:
    """Returns the refusal of an upgrade, with what to do about it. Arguments are those of `remedy_for`."""
    return EngineRefused(
        error.problem,
        status=error.status,
        retry=error.retry,
        retry_after=error.retry_after,
        expected=error.expected,
        got=error.got,
        remedy=remedy_for(error.status, permission, others) or error.remedy,
    )
