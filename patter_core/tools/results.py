"""What an agent gets as the result of a tool."""

from __future__ import annotations

import msgspec

from patter_core.aio.foreign import as_exception
from patter_core.observe.secrets import conceal_fields
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["RESULT_LIMIT", "message_of", "stringify"]

RESULT_LIMIT = 32_768
"""Bytes of a result. Few models read more, and the engine's socket is needed for audio."""


def stringify(result: object) -> str:
    """Returns a result as the agent gets it: text unchanged, an end of the call in words, anything else as JSON.

    Raises:
        BaseException: the result has no JSON form; it may be an object of the user's.
    """
    match result:
        case str():
            return str.__str__(result)
        case HangUp():
            return "The call ends as soon as the caller has heard what you say now."
        case Transfer():
            return "The call is transferred as soon as the caller has heard what you say now."
        case _:
            return msgspec.json.encode(result, enc_hook=str).decode()


def message_of(error: Exception) -> str:
    """Returns what the agent is told of an error. Never raises, and shows no secret."""
    try:
        return conceal_fields(str(error)) or type(error).__name__
    except BaseException as fault:  # noqa: BLE001 - the user's class
        as_exception(fault)
        return type(error).__name__
