"""What becomes of the carrier's call when it is over for this worker."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from patter_core.carrier import Carrier
from patter_core.events import CallEvent, TransferDone, TransferStarted
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Reason, Transfer

__all__ = ["end_leg", "hand_over", "may_be_on_another_worker", "must_end_leg"]

_log = logging.getLogger("patter.call")

_TIMEOUT = 5.0
"""Seconds for each thing that is asked of the carrier."""

_OVER = frozenset(
    {Reason.BUSY, Reason.CANCELED, Reason.DIAL_FAILED, Reason.TRANSFERRED, Reason.VOICEMAIL},
)
"""Ends after which the carrier's call is over, or somebody else's."""


def may_be_on_another_worker(reason: Reason | None, carrier: Carrier, *, shared: bool) -> bool:
    """Is it over for this worker only? The carrier may have brought the call to another one, if there is any."""
    match reason:
        case Reason.ANSWERED_ELSEWHERE:
            return True
        case Reason.NO_MEDIA:
            return shared
        case Reason.MEDIA_LOST | Reason.SILENT_CARRIER:
            return carrier.asks_at_stream_end
        case _:
            return False


def must_end_leg(reason: Reason | None, carrier: Carrier, *, shared: bool) -> bool:
    """Has the carrier's call to be ended by us?"""
    if reason in _OVER or may_be_on_another_worker(reason, carrier, shared=shared):
        return False
    if reason is Reason.CALLER_HUNG_UP:
        return not carrier.stream_end_is_call_end
    return True


async def end_leg(
    call_id: str, leg: Leg, carrier: Carrier, verdict: HangUp | Transfer, emit: Callable[[CallEvent], None]
) -> None:
    """Do what the verdict says, or hang up if that cannot be done. Never raises."""
    try:
        with anyio.fail_after(_TIMEOUT):
            if isinstance(verdict, Transfer):
                await hand_over(leg, carrier, verdict, emit)
                return
            if verdict.say:
                await carrier.say_and_hang_up(leg, verdict.say)
                return
    except Exception:  # noqa: BLE001 - the plugin boundary: then it is hung up
        _log.exception("Call %s: the carrier would not do what the fallback says; it is hung up.", call_id)
    try:
        with anyio.fail_after(_TIMEOUT):
            await carrier.hang_up(leg)
    except TimeoutError:
        _log.error("Call %s: the carrier did not answer the hang-up.", call_id)
    except Exception:  # noqa: BLE001 - the plugin boundary: the call is over for us in any case
        _log.exception("Call %s: the carrier would not hang up.", call_id)


async def hand_over(leg: Leg, carrier: Carrier, transfer: Transfer, emit: Callable[[CallEvent], None]) -> None:
    """Have the carrier give the call to another number, and tell how that went; raises as the carrier does."""
    emit(TransferStarted(to=transfer.to))
    try:
        await carrier.transfer(leg, transfer)
    except BaseException as error:  # cancelled, too
        emit(TransferDone(to=transfer.to, ok=False, detail=str(error)))
        raise
    emit(TransferDone(to=transfer.to))
