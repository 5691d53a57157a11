"""Ends the carrier's leg when the call is over on this worker."""

from __future__ import annotations

import logging

from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.context import CallContext
from patter_core.carrier import Carrier
from patter_core.events import TransferDone, TransferStarted
from patter_core.telephony.outcome import HangUp, Reason, Transfer

__all__ = ["end_leg", "may_be_on_another_worker", "must_end_leg", "transfer_leg"]

_log = logging.getLogger("patter.call")

_TIMEOUT = 5.0
"""Seconds for each request to the carrier."""

_LEG_IS_OVER = frozenset(
    {Reason.BUSY, Reason.CANCELED, Reason.DIAL_FAILED, Reason.TRANSFERRED, Reason.VOICEMAIL},
)
"""Ends after which the carrier's leg is over, or no longer ours."""


def may_be_on_another_worker(reason: Reason | None, carrier: Carrier, *, several_workers: bool) -> bool:
    """True if the carrier may have brought the call to another worker."""
    match reason:
        case Reason.MOVED:
            return True
        case Reason.NO_MEDIA:
            return several_workers
        case Reason.MEDIA_LOST:
            return carrier.asks_at_stream_end
        case _:
            return False


def must_end_leg(reason: Reason | None, carrier: Carrier, *, several_workers: bool) -> bool:
    """True if we must end the carrier's leg ourselves."""
    if reason in _LEG_IS_OVER or may_be_on_another_worker(reason, carrier, several_workers=several_workers):
        return False
    if reason is Reason.CALLER_HUNG_UP:
        return not carrier.stream_end_is_call_end
    return True


async def end_leg(call: CallContext, final_action: HangUp | Transfer) -> None:
    """Carries out the final action, or hangs up if that fails. Never raises."""
    carrier, leg = call.carrier, call.leg
    try:
        if isinstance(final_action, Transfer):
            await transfer_leg(call, final_action, within=_TIMEOUT)
            return
        if final_action.say:
            await ask_carrier(carrier.say_and_hang_up, _TIMEOUT, leg, final_action.say)
            return
    except Exception:  # noqa: BLE001 - the plugin boundary: the leg is hung up instead
        _log.exception("Call %s: the carrier did not carry out the final action; it is hung up.", call.call_id)
    try:
        await ask_carrier(carrier.hang_up, _TIMEOUT, leg)
    except Exception:  # noqa: BLE001 - the plugin boundary: the call is over for us in any case
        _log.exception("Call %s: the carrier refused to hang up.", call.call_id)


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
