"""What an agent knows of its call: given values, or a function that looks them up and may fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest

from patter_core.agent import CallOptions
from patter_core.call.variables import variables_of
from patter_core.telephony.leg import Leg

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15550001111")
OPTIONS = CallOptions(variables={"name": "Ann"})


def plain(leg: Leg) -> Mapping[str, str | int]:
    return {"caller": leg.from_number, "name": "Bob", "visits": 3}


async def later(leg: Leg) -> Mapping[str, str | int]:
    await anyio.sleep(0.01)
    return plain(leg)


@pytest.mark.parametrize("given", [plain, later, plain(LEG)], ids=["plain", "coroutine", "values"])
async def test_values_or_a_function_of_the_call_and_the_calls_own_win(given: Any) -> None:  # a function or a mapping
    assert await variables_of(given, OPTIONS, LEG, 1) == {"caller": "+15550001111", "name": "Ann", "visits": 3}


def leaves(_leg: Leg) -> Mapping[str, str]:
    raise SystemExit(1)


def hangs(_leg: Leg) -> Mapping[str, str]:
    time.sleep(5)
    return {}


async def cancels(_leg: Leg) -> Mapping[str, str]:
    raise asyncio.CancelledError


class Odd(dict[str, str]):
    """A mapping that cannot be read."""

    def keys(self) -> Any:  # as of a plugin
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (leaves, "SystemExit"),
        (hangs, "too long"),
        (cancels, "CancelledError"),
        (lambda _leg: None, "NoneType"),
        (lambda _leg: {"list": []}, "dict"),
        (dict, "TypeError"),
    ],
)
async def test_a_function_that_fails_is_told_of_and_the_call_goes_on_without(
    function: Callable[..., Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.fail_after(3):
        assert await variables_of(function, OPTIONS, LEG, 0.2) == {"name": "Ann"}
    assert told in caplog.text
