"""The numbers of calls: `Leg` holds E.164, a SIP address or "", whatever the vendor writes."""

from __future__ import annotations

import re

from patter_core.telephony.e164 import E164_FORM, is_address
from patter_core.telephony.leg import Leg
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.scene import SOON, Scenario, Scene

__all__ = ["NUMBERS", "check_numbers"]

_SIP_CALLER = "sip:ada@Example.org;transport=tcp"


def check_numbers(check: Check, leg: Leg) -> None:
    """Checks the form of a leg's numbers. What is told shows no digit of theirs."""
    check.now_here("the numbers of a leg")
    for name, number in (("from_number", leg.from_number), ("to_number", leg.to_number)):
        check.require(
            is_address(number),
            f"Leg.{name} is neither E.164, nor a plain SIP address, nor empty.",
            expected=f"{E164_FORM}; sip:user@host, without parameters; or “” for a number that is withheld",
            got=f"“{re.sub('[0-9]', '0', number)[:40]}”",
            mistake="the number is passed on as the vendor writes it",
            remedy="Convert it with patter_core.telephony.e164.address_of.",
        )


async def _withheld(scene: Scene) -> None:
    leg = await _leg(scene, scene.harness.emulator.withheld)
    scene.check.require(
        leg.from_number == "",
        "A caller who withholds their number has one.",
        expected="Leg.from_number of “”",
        got=f"“{re.sub('[0-9]', '0', leg.from_number)[:40]}”",
        mistake="a word, or digits, that the vendor writes in place of a number are taken for one",
    )


async def _sip(scene: Scene) -> None:
    leg = await _leg(scene, _SIP_CALLER)
    scene.check.require(
        leg.from_number in {"sip:ada@example.org", ""},
        "A SIP caller is another one.",
        expected="sip:ada@example.org; or “” where the vendor has no SIP callers",
        got=f"“{leg.from_number[:40]}”",
    )


async def _leg(scene: Scene, from_number: str) -> Leg:
    """Returns the leg of a call from there; its numbers have their form."""
    call = scene.place(from_number=from_number)
    with scene.check.within(
        SOON, "A call from a caller without a number does not reach the engine.", mistake="the webhook is refused"
    ):
        session = await scene.harness.engine.session_of(call.call_id)
    check_numbers(scene.check, session.setup.leg)
    return session.setup.leg


NUMBERS = (
    Scenario("a caller who withholds their number", _withheld),
    Scenario("a caller with a SIP address", _sip),
)
