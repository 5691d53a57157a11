"""Secrets that users make: how long they must be; and those that are made up where none are set.

What is made up is the same in all processes that one command starts.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping

from patter_core.errors import ConfigurationError

__all__ = ["check_length", "check_workers_secret", "environment_of_workers", "made_up_secret"]

_VARIABLE = "PATTER_WORKERS_SECRET"
_SHORTEST = 16


def check_length(secret: str, *, parameter: str, shortest: int = _SHORTEST) -> None:
    """Checks the length of a secret that a user makes. Not of one that a vendor makes.

    Args:
        secret: what was found; the error does not show it.
        parameter: as in `required`.
        shortest: of characters.

    Raises:
        ConfigurationError: it is too short, so that it could be found by trying.
    """
    if len(secret) < shortest:
        raise ConfigurationError(
            f"{parameter} is too short.",
            expected=f"at least {shortest} characters that cannot be guessed",
            got=f"{len(secret)}",
            remedy="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'.",
        )


def check_workers_secret() -> None:
    """Checks the secret that workers have in common, where one is set, also where nothing is made up from it yet.

    Raises:
        ConfigurationError: PATTER_WORKERS_SECRET is too short.
    """
    _common_secret(os.environ)


def made_up_secret(purpose: str) -> str:
    """Returns a secret that cannot be guessed, for what works without one that the user has set.

    Workers of one command, and one that replaces another, get the same; another process gets another one.

    Args:
        purpose: what it is for: each purpose has a secret of its own.

    Raises:
        ConfigurationError: PATTER_WORKERS_SECRET is too short.
    """
    common = _common_secret(os.environ)
    return hmac.digest(common.encode(), purpose.encode(), "sha256").hex() if common else secrets.token_urlsafe(32)


def environment_of_workers(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment for the workers of this process: with what their made-up secrets come from.

    Args:
        environment: in place of that of this process.

    Raises:
        ConfigurationError: PATTER_WORKERS_SECRET is too short.
    """
    environment = os.environ if environment is None else environment
    return {**environment, _VARIABLE: _common_secret(environment) or secrets.token_urlsafe(32)}


def _common_secret(environment: Mapping[str, str]) -> str:
    found = environment.get(_VARIABLE, "").strip()
    if found:
        check_length(found, parameter=_VARIABLE)
    return found
