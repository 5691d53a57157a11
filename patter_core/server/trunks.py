"""The carriers of a worker, and what each has for itself: tokens, hang-ups that failed, prices.

What is looked up by a carrier's own ids, or waits for its API, is kept apart: the ids of two carriers may be the same,
and one that does not answer holds up no call of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from patter_core.aio.foreign import run_foreign
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError
from patter_core.server.hang_ups import HangUps
from patter_core.server.price_lookup import PriceLookup
from patter_core.server.tokens import CallTokens
from patter_core.telephony.e164 import is_e164, number_error
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost

__all__ = ["Trunk", "carriers_by_name", "check_number", "numbers_by_carrier", "picked"]

_log = logging.getLogger("patter.host")

_SETTLES_WITHIN = 3.0
"""Seconds for a carrier to request what it was told to."""


class Trunk:
    """One carrier of a worker.

    Args:
        carrier: brings and dials calls.
        on_price: takes what its ended calls cost.
        price_after: as `Limits.price_after`.
    """

    def __init__(
        self, carrier: Carrier, *, on_price: Callable[[Leg, Cost], None], price_after: tuple[float, ...]
    ) -> None:
        self.carrier = carrier
        self.tokens = CallTokens(carrier)
        self.hang_ups = HangUps(carrier)
        self.prices = PriceLookup(carrier, on_price, price_after)

    async def settle(self) -> None:
        """Waits for what the carrier requests here after its last calls. The server must still be open."""
        try:
            await run_foreign(self.carrier.settle, _SETTLES_WITHIN)
        except Exception:  # noqa: BLE001 - the plugin boundary
            _log.exception("%s was not waited for at the end of the worker.", self.carrier.name)

    def __repr__(self) -> str:
        return f"<Trunk {self.carrier.name}>"


def carriers_by_name(carriers: Carrier | Sequence[Carrier]) -> Mapping[str, Carrier]:
    """Returns the carriers of a phone by name, in the order given.

    Raises:
        ConfigurationError: there is none, one is no carrier, or two have the same name.
    """
    several: Sequence[object] = (carriers,) if isinstance(carriers, Carrier) else _as_list(carriers)
    found: dict[str, Carrier] = {}
    for carrier in several:
        if not isinstance(carrier, Carrier):
            raise _no_carrier(carrier)
        if carrier.name in found:
            raise ConfigurationError(
                f"There are two carriers “{carrier.name}”.",
                expected="one of each name: its webhooks and its calls are told apart by it",
                remedy="Make a second Patter for the other account.",
            )
        found[carrier.name] = carrier
    if not found:
        raise ConfigurationError("`carrier` is an empty list.", expected="one carrier at least")
    return found


def _as_list(carriers: object) -> Sequence[object]:
    if isinstance(carriers, Sequence) and not isinstance(carriers, str | bytes):
        return carriers
    raise _no_carrier(carriers)


def _no_carrier(value: object) -> ConfigurationError:
    return ConfigurationError(
        "`carrier` is not a Carrier.",
        expected="an instance of a carrier's class, or a list of such instances",
        got=type(value).__name__,
    )


def numbers_by_carrier(numbers: str | Mapping[str, str], carriers: Mapping[str, Carrier]) -> Mapping[str, str]:
    """Returns the phone's number at each carrier that has one.

    Args:
        numbers: one number, of the only carrier; or the numbers by the name of their carrier.
        carriers: of the phone, by name.

    Raises:
        ConfigurationError: a number is not E.164, its carrier is unknown, or it is not said which carrier's it is.
    """
    if isinstance(numbers, str):
        if numbers and len(carriers) > 1:
            raise ConfigurationError(
                "`phone_number` does not say which carrier's number it is.",
                expected=f"a mapping by carrier: {{{', '.join(f'{name!r}: …' for name in carriers)}}}",
            )
        numbers = dict.fromkeys(carriers, numbers) if numbers else {}
    for name, number in numbers.items():
        if name not in carriers:
            raise ConfigurationError(
                f"`phone_number` names the carrier “{name}”, which this phone has not.", expected=" or ".join(carriers)
            )
        check_number(number)
    return dict(numbers)


def check_number(number: str) -> None:
    """Checks a phone's number. The error has the form of what came, and not the number.

    Raises:
        ConfigurationError: it is not E.164.
    """
    if not is_e164(number):
        raise number_error(ConfigurationError, "`phone_number` is not an E.164 number.", number, takes_sip=False)


def picked(wanted: str | Carrier | Sequence[str | Carrier], carriers: Mapping[str, Carrier]) -> Sequence[str]:
    """Returns the names of the carriers that may dial a call, in that order; of the first one if none is wanted.

    Args:
        wanted: carriers of the phone, or their names.
        carriers: of the phone, by name.

    Raises:
        ConfigurationError: one is not the phone's, or is named twice.
    """
    several = [wanted] if isinstance(wanted, str | Carrier) else list(wanted)
    names: list[str] = []
    for one in several:
        name = one.name if isinstance(one, Carrier) else one
        if name not in carriers or (isinstance(one, Carrier) and carriers[name] is not one):
            raise ConfigurationError(
                f"The carrier “{name}” is not one of this phone.",
                expected=f"{' or '.join(carriers)}, or what Patter(carrier=…) was given",
            )
        if name in names:
            raise ConfigurationError(f"The carrier “{name}” is named twice.", expected="each carrier once")
        names.append(name)
    return names or [next(iter(carriers))]
