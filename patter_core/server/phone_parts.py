"""What a phone is made of, for those who look at it and do not serve it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

from patter_core.app import WebApp
from patter_core.call.limits import Limits
from patter_core.carrier import Carrier
from patter_core.config import flag_from_environment
from patter_core.errors import ConfigurationError
from patter_core.observe.redaction import Redaction
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["PhoneParts", "distinct", "has_several_workers"]


class PhoneParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts and settings that `Patter` was made with."""

    carriers: tuple[Carrier, ...]
    numbers: Mapping[str, str]
    """The phone's number at each carrier that has one, by the carrier's name."""
    base: str
    """The public address; "" if it is not configured."""
    sinks: tuple[EventSink, ...]
    store: CallStore | None
    limits: Limits
    apps: tuple[WebApp, ...]
    redaction: Redaction
    notice: str
    """Of agents that have none of their own."""

    def __repr__(self) -> str:
        return f"<PhoneParts on {', '.join(carrier.name for carrier in self.carriers)}>"


def distinct(sinks: Iterable[EventSink]) -> tuple[EventSink, ...]:
    """Returns the sinks, of which no two have the same file or folder: each would write into what the other keeps.

    Raises:
        ConfigurationError: two have.
    """
    found: dict[str, EventSink] = {}
    several = tuple(sinks)
    for sink in several:
        if sink.path is None:
            continue
        place = os.path.realpath(sink.path)
        if place in found:
            raise ConfigurationError(
                f"The sinks {found[place].name} and {sink.name} have the same path.",
                expected="a file or a folder of its own for each",
                got=f"{sink.path} twice",
            )
        found[place] = sink
    return several


def has_several_workers(given: bool | None, store: CallStore | None) -> bool:
    """Returns whether other workers take calls for the same numbers: as given, else as the environment says.

    Where neither says so, there are others if there is a store, which only several workers need.
    """
    several = flag_from_environment("PATTER_SEVERAL_WORKERS") if given is None else given
    return store is not None if several is None else several
