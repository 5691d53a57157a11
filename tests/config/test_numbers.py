"""Numbers that users set: those that make no sense are refused where they are set."""

from __future__ import annotations

import math

import msgspec
import pytest

from patter_core import Deadlines, Limits
from patter_core.errors import ConfigurationError

ABOVE_ZERO = {
    Limits: ("calls", "calls_per_second", "message", "engine_minutes", "callback"),
    Deadlines: ("route", "media_start", "engine_connect", "carrier_silence", "transfer", "longest_call"),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in ABOVE_ZERO.items() for name in names])
def test_what_zero_makes_useless_is_more(kind: type[Limits | Deadlines], name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}=…\) is out of range\. Expected more than 0\. Got 0"):
        msgspec.convert({name: 0}, kind)


def test_the_others_may_be_zero() -> None:
    assert Limits(prewarm=0, drain=0, outbound_per_minute=0, reconnects=0).drain == 0
    assert Deadlines(reply=0).reply == 0


def test_less_than_zero_and_no_number_are_refused_in_a_tuple_too() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Expected 0 or more\. Got nan\. Leave it out for the default, 12\.0\."
    ):
        Deadlines(reply=math.nan)
    with pytest.raises(ConfigurationError, match=r"prewarm=…\) .* Got -1\."):
        Limits(prewarm=-1)
    with pytest.raises(ConfigurationError, match=r"price_after=…\) .* Got -2\.0\."):
        Limits(price_after=(1.0, -2.0))
