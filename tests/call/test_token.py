"""What a call carries from worker to worker."""

from __future__ import annotations

import msgspec

from patter_core.call.limits import Limits
from patter_core.telephony.leg import Leg
from tests.calls import new_token

TOKEN = new_token(Leg(carrier="fake", call_id="leg-1"))
LIMITS = Limits(reconnects=3)


def losses_borne(lasted: float, most: int = 500) -> int:
    """How many streams of that many s may be lost in a row."""
    token, count = TOKEN, 0
    while (following := token.after_loss(LIMITS, lasted=lasted)) is not None and count < most:
        token, count = following, count + 1
    return count


def test_streams_that_are_lost_at_once_may_come_back_as_often_as_the_limit_says() -> None:
    assert losses_borne(lasted=0) == 3


def test_a_loss_every_few_minutes_is_borne_for_hours() -> None:
    assert losses_borne(lasted=60) == 500
    assert losses_borne(lasted=180) == 500


def test_a_loss_every_few_seconds_is_not() -> None:
    assert losses_borne(lasted=10) == 3


def test_each_loss_is_counted_and_remembered_by_the_next_worker() -> None:
    token = TOKEN.after_loss(LIMITS, lasted=0)
    assert token is not None
    assert (token.streams, token.losses) == (1, 1)
    token = token.after_loss(LIMITS, lasted=30)
    assert token is not None
    assert (token.streams, token.losses) == (2, 1.5)


def test_without_reconnects_the_first_loss_is_the_last() -> None:
    assert TOKEN.after_loss(Limits(reconnects=0), lasted=3600) is None


def test_a_lost_stream_leaves_behind_when_the_call_began() -> None:
    told = msgspec.structs.replace(TOKEN, began=1_000.0, issued_at=1_030.0).after_loss(LIMITS, lasted=20)
    assert told is not None
    assert (told.began, told.lasted(1_060.0), told.lasted(990.0)) == (1_000.0, 60.0, 0.0)
    killed = msgspec.structs.replace(TOKEN, issued_at=1_030.0).after_loss(LIMITS, lasted=20)
    assert killed is not None
    assert killed.began == 1_030.0
    assert TOKEN.lasted(1_060.0) == 0.0
