"""Ends the carrier's leg when the call is over on this worker."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable

from patter_core.aio.foreign import as_exception
from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.context import CallContext
from patter_core.events import FallbackUsed, TransferDone, TransferStarted
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Direction, Progress
from patter_core.telephony.outcome import HangUp, Reason, Transfer

__all__ = ["LegEnd", "end_leg", "may_be_on_another_worker", "must_end_leg", "transfer_leg"]

_log = logging.getLogger("patter.call")

_TIMEOUT = 5.0
"""Seconds for each request to the carrier."""

_LEG_IS_OVER = frozenset(
    {Reason.BUSY, Reason.CANCELED, Reason.DIAL_FAILED, Reason.TRANSFERRED, Reason.VOICEMAIL},
)
"""Ends after which the carrier's leg is over, or no longer ours."""
_MAY_BE_LIVE_ELSEWHERE = frozenset({Reason.NO_MEDIA, Reason.HOST_HUNG_UP, Reason.CRASHED})
"""Ends of a call whose audio never came, after which it is looked up."""


class LegEnd(enum.Enum):
    """What came of ending a leg."""

    TAKEN = "taken"
    """The carrier has ended it, or does what we asked for instead."""
    FAILED = "failed"
    """The carrier did not take the hang-up."""
    LEFT = "left"
    """It was not ended: its audio never came here, and it is live, so another worker has it."""


def may_be_on_another_worker(call: CallContext) -> bool:
    """True if a call that is over here may have been brought to another worker by its carrier."""
    if call.leg_is_over:
        return False
    match call.state.reason:
        case Reason.MOVED:
            return True
        case Reason.NO_MEDIA:
            return call.config.several_workers
        case Reason.MEDIA_LOST:
            return call.carrier.asks_at_stream_end and not call.was_held
        case _:
            return False


def must_end_leg(call: CallContext) -> bool:
    """True if we must end the carrier's leg ourselves, now that the call is over here."""
    if not call.leg.call_id or call.leg_is_over:
        return False
    if call.state.reason in _LEG_IS_OVER or may_be_on_another_worker(call):
        return False
    return call.state.reason is not Reason.CALLER_HUNG_UP or not call.carrier.stream_end_is_call_end


async def end_leg(call: CallContext, final_action: HangUp | Transfer, hang_up_media: Callable[[], None]) -> LegEnd:
    """Carries out the final action, or hangs up if that fails. Never raises.

    Args:
        call: whose leg.
        final_action: what is done with the caller.
        hang_up_media: ends the call by the media socket, where the carrier takes that: it is the fastest way.
    """
    return await _let_alone(call) or await _end(call, final_action, hang_up_media)


async def _let_alone(call: CallContext) -> LegEnd | None:
    """Returns why the leg is not to be ended, for a call that is not known to be ours; None if it is to be ended.

    A webhook that was recorded on another worker opens a call here, whose audio never comes. If it is ours all the
    same, because its stream could not be opened, the carrier asks what is next.
    """
    carrier = call.carrier
    if call.state.reason not in _MAY_BE_LIVE_ELSEWHERE or call.state.media_at is not None:
        return None
    if not carrier.asks_at_stream_end:
        return None
    is_dialled_here = call.leg.direction is Direction.OUTBOUND and call.token.is_new
    if is_dialled_here or Capability.LOOK_UP not in carrier.capabilities:
        return None
    try:
        progress = Progress((await ask_carrier(carrier.look_up, _TIMEOUT, call.leg)).progress)
    except Exception as error:  # noqa: BLE001 - the plugin boundary: what is not known to be ours is not ended
        _log.error("Call %s: its audio never came; the carrier did not say if it is live: %s", call.call_id, error)
        return LegEnd.LEFT
    if progress is Progress.ANSWERED:
        _log.warning("Call %s: its audio never came, but it is live; perhaps another worker has it.", call.call_id)
        return LegEnd.LEFT
    return LegEnd.TAKEN if progress.is_final else None


async def _end(call: CallContext, final_action: HangUp | Transfer, hang_up_media: Callable[[], None]) -> LegEnd:
    carrier, leg = call.carrier, call.leg
    if isinstance(final_action, Transfer) or final_action.say:
        if call.has_failed and isinstance(final_action, Transfer):
            call.emit(FallbackUsed(say=final_action.say, to=final_action.to))
        problem = await _carry_out(call, final_action)
        if call.has_failed and isinstance(final_action, HangUp):
            call.emit(FallbackUsed(say=final_action.say, ok=problem is None, detail=problem or ""))
        if problem is None:
            return LegEnd.TAKEN
    try:
        hang_up_media()
    except BaseException as error:  # noqa: BLE001 - the plugin boundary
        _log.error("Call %s: the carrier's codec failed to hang up.", call.call_id, exc_info=as_exception(error))
    try:
        await ask_carrier(carrier.hang_up, _TIMEOUT, leg)
    except Exception:  # noqa: BLE001 - the plugin boundary: the call is over for us in any case
        _log.exception("Call %s: the carrier did not take the hang-up; it is asked again.", call.call_id)
        return LegEnd.FAILED
    return LegEnd.TAKEN


async def _carry_out(call: CallContext, final_action: HangUp | Transfer) -> str | None:
    """Has the carrier say a text and hang up, or transfer. Returns why it did not; None if it took it."""
    carrier, leg = call.carrier, call.leg
    try:
        if isinstance(final_action, Transfer):
            await transfer_leg(call, final_action, within=_TIMEOUT)
        elif Capability.SAY in carrier.capabilities:
            await ask_carrier(carrier.say_and_hang_up, _TIMEOUT, leg, final_action.say)
        else:
            _log.warning(
                "Call %s is hung up without the text of its HangUp: the carrier %s cannot say one.",
                call.call_id,
                carrier.name,
            )
            return f"the carrier {carrier.name} cannot say a text"
    except Exception as error:  # noqa: BLE001 - the plugin boundary: the leg is hung up instead
        _log.exception("Call %s: the carrier did not carry out the final action; it is hung up.", call.call_id)
        return str(error) or type(error).__name__
    return None


async def transfer_leg(call: CallContext, transfer: Transfer, *, within: float) -> None:
    """Transfers the leg, and records how that went. Raises as the carrier does.

    Args:
        call: whose leg.
        transfer: where to.
        within: s for the carrier to carry it out.
    """
    call.emit(TransferStarted(to=transfer.to))
    try:
        await ask_carrier(call.carrier.transfer, within, call.leg, transfer)
    except BaseException as error:  # cancelled, too
        call.emit(TransferDone(to=transfer.to, ok=False, detail=str(error)))
        raise
    call.emit(TransferDone(to=transfer.to))
