"""Secrets that are made up where none are set, and the same in all processes that one command starts."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping

from patter_core.config.environment import from_environment

__all__ = ["environment_of_workers", "made_up_secret"]

_VARIABLE = "PATTER_WORKERS_SECRET"


def made_up_secret(purpose: str) -> str:
    """Returns a secret that cannot be guessed, for what works without one that the user has set.

    Workers of one command, and one that replaces another, get the same; another process gets another one.

    Args:
        purpose: what it is for: each purpose has a secret of its own.
    """
    common = from_environment("", _VARIABLE)
    return hmac.digest(common.encode(), purpose.encode(), "sha256").hex() if common else secrets.token_urlsafe(32)


def environment_of_workers(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment for the workers of this process: with what their made-up secrets come from.

    Args:
        environment: in place of that of this process.
    """
    return {_VARIABLE: secrets.token_urlsafe(32), **(os.environ if environment is None else environment)}
