"""The numbers of an account: finding one, pointing it somewhere, and what doctor says of them."""

from __future__ import annotations

from typing import ClassVar

import pytest

from patter_core.checks import Level
from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.numbers import AccountNumber, AccountNumbers, check_numbers, leads_here, voice_path

pytestmark = pytest.mark.anyio

OURS = AccountNumber(id="1", number="+15550000001", target="here")
OTHER = AccountNumber(id="2", number="+15550000002")


class AcmeNumbers(AccountNumbers):
    vendor: ClassVar[str] = "Acme"
    carrier: ClassVar[str] = "acme"

    def __init__(self) -> None:
        self.pointed: list[tuple[str, str]] = []

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        return [OTHER, OURS]  # as an API whose filter is generous

    async def point(self, number: AccountNumber, target: str) -> None:
        self.pointed.append((number.id, target))


async def test_one_number_is_found() -> None:
    assert await AcmeNumbers().find(OURS.number) == OURS


async def test_a_number_that_the_account_does_not_have_is_an_error_without_the_number() -> None:
    with pytest.raises(CarrierRequestFailed, match="patter acme numbers") as failure:
        await AcmeNumbers().find("+15559999999")
    assert "9999" not in str(failure.value)


async def test_a_number_is_pointed_only_if_it_points_elsewhere() -> None:
    numbers = AcmeNumbers()
    await numbers.ensure(OURS.number, "here")
    assert numbers.pointed == []
    await numbers.ensure(OTHER.number, "here")
    assert numbers.pointed == [("2", "here")]


@pytest.mark.parametrize(("fallback", "enough"), [(None, True), ("there", True), ("", False)])
def test_a_number_whose_carrier_has_fallbacks_needs_one(fallback: str | None, enough: bool) -> None:
    number = AccountNumber(id="1", number="+15550000001", target="here", fallback=fallback)
    assert number.points_at("here") is enough
    assert not number.points_at("elsewhere")


@pytest.mark.parametrize(
    ("numbers", "level", "what", "remedy"),
    [
        ([], Level.PROBLEM, "The account has no phone number.", True),
        ([OTHER], Level.PROBLEM, "None of the account's numbers points at Patter.", True),
        ([OTHER, OURS], Level.OK, "1 of 2 numbers of the account points at Patter.", False),
    ],
)
def test_doctor_counts_the_numbers_that_point_here(
    numbers: list[AccountNumber], level: Level, what: str, remedy: bool
) -> None:
    result = check_numbers(numbers, lambda number: number.target == "here", at="Patter", remedy="Point one.")
    assert (result.level, result.what, bool(result.remedy)) == (level, what, remedy)


@pytest.mark.parametrize(("number", "remedy"), [("", "point NUMBER x"), (OTHER.number, f"point {OTHER.number} x")])
def test_the_remedy_names_the_phones_number(number: str, remedy: str) -> None:
    assert check_numbers([OTHER], lambda _: False, at="Patter", remedy="point NUMBER x", number=number).remedy == remedy


def test_a_number_is_not_in_a_repr() -> None:
    assert repr(OURS) == "<AccountNumber 1>"


def test_the_voice_webhook_has_the_carriers_name() -> None:
    assert voice_path("acme") == "/webhooks/acme/voice"


@pytest.mark.parametrize(
    ("url", "base", "leads"),
    [
        ("https://voice.example/webhooks/x/voice?token=1", "https://voice.example", True),
        ("https://voice.example/shop/webhooks/x/voice", "https://voice.example/shop", True),
        ("https://voice.example/webhooks/x/voice", "https://voice.example/shop", False),
        ("https://old.example/webhooks/x/voice", "https://voice.example", False),
        ("https://old.example/webhooks/x/voice", "", True),
        ("https://voice.example/", "", False),
        ("", "", False),
    ],
)
def test_a_webhook_leads_here_by_its_whole_address_if_that_is_configured_else_by_its_path(
    url: str, base: str, leads: bool
) -> None:
    assert leads_here(url, "/webhooks/x/voice", base) is leads
