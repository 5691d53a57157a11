"""The values for the placeholders in an agent's prompt, on one call."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping

from patter_core.agent import CallOptions, Scalar, Variables
from patter_core.aio.functions import call_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.telephony.leg import Leg

__all__ = ["variables_of"]

_log = logging.getLogger("patter.call")

_THREADS = 64
"""For functions that are no coroutine functions, of all calls."""


async def variables_of(variables: Variables, options: CallOptions, leg: Leg, within: float) -> dict[str, Scalar]:
    """Returns an agent's variables with those of the call, which win.

    A function that raises, takes longer than `within` s or returns something else is logged; the call goes on without
    its values.
    """
    values = await _looked_up(variables, leg, within) if callable(variables) else variables
    return {**values, **options.variables}


async def _looked_up(function: Callable[[Leg], object], leg: Leg, within: float) -> Mapping[str, Scalar]:
    try:
        found = await call_foreign(function, within, _threads().run, leg)
        found = dict(found) if isinstance(found, Mapping) else found
    except Exception:  # noqa: BLE001 - the user's code: its fault is logged and stays here
        _log.exception("An agent's variables could not be looked up; the call goes on without them.")
        return {}
    if isinstance(found, Mapping) and all(isinstance(k, str) and isinstance(v, Scalar) for k, v in found.items()):
        return found
    _log.error(
        "An agent's variables are no mapping of names to texts, numbers or booleans, but %s; the call goes on without "
        "them.",
        type(found).__name__,
    )
    return {}


@functools.cache
def _threads() -> DaemonThreads:
    return DaemonThreads(_THREADS)
