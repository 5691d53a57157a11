"""What an error says of a service that was not reached: one form for all, with what was tried and what to do."""

from __future__ import annotations

import msgspec

from patter_core.errors import EngineError, EngineTimeout, NetworkMisconfigured

__all__ = ["Unreached", "engine_unreached", "unreached"]


class Unreached(msgspec.Struct, frozen=True):
    """The parts of an error."""

    problem: str
    expected: str = ""
    got: str = ""
    remedy: str = ""


def unreached(
    error: Exception, peer: str, *, setting: str = "the base URL", action: str = "", is_own: bool = False
) -> Unreached:
    """Returns what is said of a service that was not reached, or did not answer.

    Args:
        error: why: a `TimeoutError` did not answer.
        peer: the service, as `peer_name` returns it.
        setting: how a user sets its address: `base_url or ACME_BASE_URL`.
        action: what could not be done for that: `make the call`; "" if the peer says it.
        is_own: its user runs it.
    """
    tried = f"Could not {action}: {peer}" if action else peer
    if isinstance(error, NetworkMisconfigured):
        return Unreached(f"{tried} cannot be reached. {error.problem}", error.expected, error.got, error.remedy)
    remedy = f"Check {'that it runs, ' if is_own else ''}the network, and {setting}, if one is set."
    if isinstance(error, TimeoutError):
        return Unreached(f"{tried} did not answer in time.", remedy=remedy)
    told = str(error) if isinstance(error, ConnectionError) else ""  # others may quote the URL, which may hold secrets
    return Unreached(f"{tried} cannot be reached.", got=told or type(error).__name__, remedy=remedy)


def engine_unreached(
    error: Exception, peer: str, *, setting: str = "the base URL", action: str = "", is_own: bool = False
) -> EngineError:
    """Returns the error of an engine for that. Arguments are those of `unreached`."""
    told = unreached(error, peer, setting=setting, action=action, is_own=is_own)
    kind = EngineTimeout if isinstance(error, TimeoutError) else EngineError
    is_lasting = isinstance(error, NetworkMisconfigured)
    return kind(told.problem, retry=not is_lasting, expected=told.expected, got=told.got, remedy=told.remedy)
