"""The wall around an engine's plugin: whatever comes out of it is an `EngineError`, so that the fallback runs."""

from __future__ import annotations

import logging
import math

from patter_core.aio.foreign import as_exception, run_behind, run_foreign
from patter_core.engine import ConversationSetup, Engine, EngineSession
from patter_core.errors import EngineError, EngineLost, EngineTimeout, ForeignHang

__all__ = ["as_engine_error", "close_session", "dropped_by", "open_session"]

_log = logging.getLogger("patter.call")

_CLOSE_TIMEOUT = 5.0
"""Seconds for the engine's session to close."""


def as_engine_error(error: BaseException) -> EngineError:
    """Returns what came out of an engine as an `EngineError`; a fault of the plugin is logged with its traceback.

    For an `except BaseException` clause; our own cancellation is raised again.
    """
    fault = as_exception(error)
    if isinstance(fault, EngineError) and _is_sound(fault):
        return fault
    _log.error("The engine's plugin failed.", exc_info=fault)
    lost = EngineLost(
        f"The engine's plugin raised {type(fault).__name__}.",
        retry=True,
        expected="an EngineError, or none",
        remedy="This is a bug of the plugin; the log has its traceback.",
    )
    lost.__cause__ = fault
    return lost


def _is_sound(error: EngineError) -> bool:
    try:
        return bool(str(error)) and math.isfinite(error.retry_after)
    except BaseException as fault:  # noqa: BLE001 - the plugin boundary
        as_exception(fault)
        return False


async def open_session(engine: Engine, setup: ConversationSetup, within: float | None) -> EngineSession:
    """Opens a session. An attempt that is given up delays no other one: if it succeeds later, its session is closed.

    Args:
        engine: whose.
        setup: the agent's settings, and the call.
        within: s; None for no limit.

    Raises:
        EngineError: it failed, whatever the plugin raised; `EngineTimeout` if it took longer.
    """
    sessions: list[EngineSession] = []
    is_wanted = True

    async def attempt() -> None:
        session = await engine.open(setup)
        sessions.append(session)
        if not is_wanted:
            await close_session(session)

    try:
        await run_foreign(attempt, within)
    except BaseException as error:  # noqa: BLE001 - the plugin boundary; our own cancellation is raised again
        is_wanted = False
        if sessions:  # it was ready at the moment at which it was given up
            run_behind(close_session, sessions[0])
        if isinstance(error, TimeoutError):  # ours, or one that the plugin raised
            raise EngineTimeout(
                "The engine was not ready in time.",
                retry=True,
                expected="" if within is None else f"a conversation within {within:.1f} s",
            ) from None
        raise as_engine_error(error) from None
    return sessions[0]


async def close_session(session: EngineSession) -> None:
    """Closes a session, in bounded time. Never raises, except for our own cancellation."""
    try:
        await run_foreign(session.aclose, _CLOSE_TIMEOUT)
    except ForeignHang as hang:
        _log.error("The engine's session did not close within %.0f s.", _CLOSE_TIMEOUT, exc_info=hang)
    except Exception:  # noqa: BLE001 - the plugin boundary: the call has no use for it any more
        _log.exception("The engine's session failed to close.")


def dropped_by(session: EngineSession) -> int:
    """Returns how many frames of the caller a session did not take; 0 if it cannot say."""
    try:
        return int(session.dropped)
    except BaseException as error:  # noqa: BLE001 - the plugin boundary
        as_exception(error)
        return 0
