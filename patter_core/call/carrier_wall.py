"""The wall around a carrier's plugin: each request has a limit, and whatever comes out of it is an `Exception`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import ParamSpec, TypeVar

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.carrier import Carrier
from patter_core.errors import CarrierRequestFailed, ForeignHang
from patter_core.observe.metrics import CarrierBill
from patter_core.telephony.prices import Usage

__all__ = ["REQUEST_TIMEOUT", "ask_carrier", "carrier_bill"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("patter.call")

REQUEST_TIMEOUT = 30.0
"""Seconds for a request that a user makes."""


async def ask_carrier(
    request: Callable[P, Coroutine[object, object, T]], within: float, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Returns what one of the carrier's methods returns.

    Args:
        request: the method.
        within: s.
        args: for the method.
        kwargs: for the method.

    Raises:
        CarrierRequestFailed: the carrier refused, could not be reached, or did not answer in time.
        Exception: a fault of the plugin.
    """
    try:
        return await run_foreign(request, within, *args, **kwargs)
    except ForeignHang:
        raise CarrierRequestFailed(
            "The carrier did not answer in time.", expected=f"an answer within {within:.1f} s"
        ) from None


def carrier_bill(carrier: Carrier, usage: Usage) -> CarrierBill | None:
    """Returns what a call has cost so far; None if the carrier's plugin cannot say."""
    try:
        return CarrierBill.of(usage, carrier.rates)
    except BaseException as error:  # noqa: BLE001 - the plugin boundary
        _log.error("The carrier's plugin failed to work out the price of a call.", exc_info=as_exception(error))
        return None
