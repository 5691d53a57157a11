"""The commands `numbers` and `point`, as a carrier's plugin adds them."""

from __future__ import annotations

from typing import ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import ConfigurationError
from patter_core.telephony.number_commands import add_number_commands
from patter_core.telephony.numbers import AccountNumber, AccountNumbers

NUMBER = "+15550000001"
NAMED = AccountNumber(id="1", number=NUMBER, name="Reception", target="app-1", target_name="Old application")
BARE = AccountNumber(id="2", number="+15550000002")


class AcmeNumbers(AccountNumbers):
    vendor: ClassVar[str] = "Acme"
    carrier: ClassVar[str] = "acme"

    def __init__(self, *numbers: AccountNumber) -> None:
        self.numbers = numbers
        self.pointed: list[tuple[str, str]] = []

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        return list(self.numbers)

    async def point(self, number: AccountNumber, target: str) -> None:
        self.pointed.append((number.id, target))


def read_target(text: str) -> str:
    if text == "wrong":
        raise ConfigurationError("APP is not an application.")
    return text.lower()


def acme(account: AcmeNumbers, *arguments: str, answer: str = "") -> Result:
    group = click.Group()
    add_number_commands(group, lambda: account, target="APP", target_help="an application", read_target=read_target)
    return CliRunner(env={"COLUMNS": "120"}).invoke(group, arguments, input=answer)


def test_numbers_are_listed_with_what_they_point_at() -> None:
    shown = acme(AcmeNumbers(NAMED, BARE), "numbers").output
    for part in (NUMBER, "Reception", "Old application (app-1)", BARE.number, "nothing"):
        assert part in shown
    assert "status" not in shown  # a column without a value is left out


def test_an_account_without_numbers_says_so() -> None:
    assert acme(AcmeNumbers(), "numbers").output == "This account has no numbers.\n"


@pytest.mark.parametrize(("answer", "pointed"), [("y\n", [("1", "app-2")]), ("n\n", [])])
def test_a_number_is_pointed_after_asking(answer: str, pointed: list[tuple[str, str]]) -> None:
    account = AcmeNumbers(NAMED)
    result = acme(account, "point", NUMBER, "APP-2", answer=answer)
    assert f"{NUMBER} points at Old application (app-1) now." in result.output
    assert (account.pointed, result.exit_code) == (pointed, 0 if pointed else 1)


def test_nothing_is_asked_with_yes() -> None:
    account = AcmeNumbers(NAMED)
    assert "Point it" not in acme(account, "point", NUMBER, "app-2", "--yes").output
    assert account.pointed == [("1", "app-2")]


def test_a_number_that_points_there_is_left_alone() -> None:
    account = AcmeNumbers(NAMED)
    assert "already" in acme(account, "point", NUMBER, "app-1").output
    assert account.pointed == []


@pytest.mark.parametrize(("number", "target"), [("+15559999999", "app-2"), (NUMBER, "wrong")])
def test_an_unknown_number_and_a_wrong_target_are_errors(number: str, target: str) -> None:
    account = AcmeNumbers(NAMED)
    assert acme(account, "point", number, target, "--yes").exit_code == 1
    assert account.pointed == []


def test_help_names_the_target() -> None:
    help_text = acme(AcmeNumbers(), "point", "--help").output
    assert "NUMBER APP" in help_text
    assert "Point NUMBER's incoming calls at APP." in help_text
    assert "APP is an application." in help_text
