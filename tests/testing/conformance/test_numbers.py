"""A carrier that passes numbers on as its vendor writes them is told so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from patter_core.errors import ConformanceError
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import Leg
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.numbers import check_numbers
from patter_telnyx.testing import TelnyxEmulator
from tests.testing.conformance.test_control import try_one
from tests.testing.conformance.told import told


def in_words_only(text: str) -> str:
    """Knows words, and not the digits that stand for them."""
    return address_of(text) or "+15005550000"


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    ("doing", "convert", "said"),
    [
        ("a caller who withholds their number", str, "Leg.from_number is neither E.164"),
        ("a caller who withholds their number", in_words_only, "who withholds their number has one"),
        ("a caller with a SIP address", str, "Leg.from_number is neither E.164"),
        ("a caller with a SIP address", in_words_only, ""),
    ],
)
async def test_a_carrier_that_does_not_convert_numbers_is_told(
    doing: str, convert: Callable[[str], str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patter_telnyx.webhooks.address_of", convert)
    if not said:
        await try_one(TelnyxEmulator(), doing)
        return
    message = await told(lambda patience: try_one(TelnyxEmulator(), doing, patience), said, patience=0.4)
    assert "[carrier: " in message
    assert "address_of" in message or "in place of a number" in message


@pytest.mark.parametrize("number", ["15005550001", "+1 500 555 0001", "client:ada", "sip:ada@x.org;a=b", "00155"])
@pytest.mark.parametrize("name", ["from_number", "to_number"])
def test_a_number_in_another_form_is_told_without_its_digits(name: str, number: str) -> None:
    leg = Leg(carrier="acme", call_id="leg-1", **{name: number})  # type: ignore[arg-type] # names of strings
    with pytest.raises(ConformanceError, match=rf"Leg\.{name} is neither E\.164") as failure:
        check_numbers(Check("carrier"), leg)
    assert "5005550001" not in str(failure.value)
    assert "address_of" in failure.value.remedy


@pytest.mark.parametrize("number", ["", "+15005550001", "sip:ada@example.org"])
def test_a_number_in_its_form_is_sound(number: str) -> None:
    check_numbers(Check("carrier"), Leg(carrier="acme", call_id="leg-1", from_number=number, to_number=number))
