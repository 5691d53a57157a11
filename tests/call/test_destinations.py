"""An agent that is talked into calling at will reaches few numbers, and none that is dear."""

from __future__ import annotations

import pytest

from patter_core.call.destinations import Destinations
from patter_core.call.limits import Limits
from patter_core.errors import CallLimitReached, ConfigurationError
from patter_core.telephony.e164 import is_e164
from patter_core.telephony.premium import PREMIUM_PREFIXES
from tests.calls import OutboundScene

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def number(count: int) -> str:
    return f"+1555000{count:04}"


def test_as_many_calls_are_made_a_minute_as_the_limit_says() -> None:
    clock = Clock()
    destinations = Destinations(Limits(outbound_per_minute=2), clock)
    for _ in range(2):
        destinations.take_call(number(1))
        clock.now += 20
    with pytest.raises(CallLimitReached, match=r"within this minute.*at most 2 \(Limits.outbound_per_minute\)"):
        destinations.take_call(number(1))
    destinations.take(number(1))  # a transfer is no further call
    clock.now += 20
    destinations.take_call(number(1))  # the first is a minute ago
    with pytest.raises(CallLimitReached):
        destinations.take_call(number(1))


def test_as_many_numbers_are_called_an_hour_as_the_limit_says() -> None:
    clock = Clock()
    destinations = Destinations(Limits(destinations_per_hour=2), clock)
    destinations.take_call(number(1))
    clock.now += 1800
    destinations.take(number(2))
    for take in (destinations.take, destinations.take_call):
        with pytest.raises(CallLimitReached, match=r"different numbers.*at most 2 \(Limits.destinations_per_hour\)"):
            take(number(3))
        take(number(2))  # one that was called
    clock.now += 1800
    destinations.take(number(3))
    with pytest.raises(CallLimitReached):
        destinations.take(number(1))


def test_what_is_refused_does_not_count() -> None:
    destinations = Destinations(Limits(destinations_per_hour=1, outbound_per_minute=1), Clock())
    with pytest.raises(CallLimitReached, match="switched off"):
        destinations.take_call("+19005550000")
    destinations.take_call(number(1))
    with pytest.raises(CallLimitReached, match="this minute"):
        destinations.take_call(number(1))
    destinations.take(number(1))


def test_one_number_is_one_however_it_is_written() -> None:
    destinations = Destinations(Limits(destinations_per_hour=1), Clock())
    destinations.take("sip:desk@Example.org;transport=tcp")
    destinations.take("sip:desk@example.org")


@pytest.mark.parametrize(
    "to",
    [
        *("+19005550000", "+97912345678", "+449012345678", "+4990012345678", "+881612345678"),
        *("sip:+19005550000@gateway.example", "sips:+19005550000@gateway.example:5061;transport=tls"),
        "sip:+19005550000@gateway.example;user=phone",
    ],
)
def test_premium_numbers_are_switched_off_unless_they_are_allowed(to: str) -> None:
    with pytest.raises(CallLimitReached, match=r"begin with \+\d+ are switched off") as refused:
        Destinations(Limits()).take(to)
    assert to not in str(refused.value)
    with pytest.raises(CallLimitReached):
        Destinations(Limits()).take_call(to)
    Destinations(Limits(refused_prefixes=())).take(to)


@pytest.mark.parametrize("to", ["+15550001111", "+4930123456", "+447700900123", "+441632960000", "+18005550000"])
def test_usual_numbers_are_not(to: str) -> None:
    Destinations(Limits()).take_call(to)


def test_the_prefixes_begin_numbers() -> None:
    assert len(set(PREMIUM_PREFIXES)) == len(PREMIUM_PREFIXES)
    assert all(is_e164(prefix + "1234567") for prefix in PREMIUM_PREFIXES)
    for wrong in ("900", "+", "", "1900", "+1 900"):
        with pytest.raises(ConfigurationError, match="refused_prefixes"):
            Limits(refused_prefixes=(wrong,))


async def test_a_transfer_that_is_refused_leaves_the_call_as_it_was() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        with pytest.raises(CallLimitReached, match="switched off"):
            await scene.handle.transfer("+19005550000")
        assert scene.carrier.commands == []
        assert scene.handle.status == "answered"
        await scene.handle.transfer("+15550003333")
    assert scene.end.reason == "transferred"
