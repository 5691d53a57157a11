from __future__ import annotations

import pytest

from patter_core.telephony.leg import Direction, Leg
from patter_plivo import outbound
from patter_plivo.outbound import OutboundCalls


def leg(call_id: str, direction: Direction = Direction.OUTBOUND) -> Leg:
    return Leg(carrier="plivo", call_id=call_id, direction=direction)


def test_a_call_that_we_made_has_two_ids_once_they_are_known() -> None:
    calls = OutboundCalls()
    assert calls.uuid_of(leg("request")) == "request"
    calls.learn(leg("request"), "call")
    assert calls.uuid_of(leg("request")) == "call"


def test_an_incoming_call_has_one() -> None:
    calls = OutboundCalls()
    calls.learn(leg("a", Direction.INBOUND), "b")
    assert calls.uuid_of(leg("a", Direction.INBOUND)) == "a"


def test_machines_are_remembered_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "MOST_CALLS", 2)
    calls = OutboundCalls()
    for number in range(3):
        calls.learn(leg(f"request-{number}"), f"call-{number}")
        calls.note_machine(leg(f"request-{number}"))
    assert [calls.uuid_of(leg(f"request-{number}")) for number in range(3)] == ["request-0", "call-1", "call-2"]
    assert [calls.is_machine(leg(f"request-{number}")) for number in range(3)] == [False, True, True]
