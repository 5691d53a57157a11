"""The phone numbers of an account at a carrier, and what their incoming calls go to."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult, Level
from patter_core.errors import CarrierRequestFailed
from patter_core.observe.terminal import counted

__all__ = ["AccountNumber", "AccountNumbers", "VoiceTarget", "check_numbers", "leads_here", "voice_path"]


class AccountNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A phone number of an account. Its `repr` does not show it."""

    id: str
    """The carrier's id of it."""
    number: str
    """E.164."""
    name: str = ""
    """As the account's owner calls it."""
    status: str = ""
    """As the carrier names it."""
    target: str = ""
    """What its incoming calls go to: a URL, or the id of an application; "" if nothing."""
    target_name: str = ""
    fallback: str | None = None
    """What a call goes to if its target fails; "" if nothing, None if the carrier has no such setting."""

    def points_at(self, target: str) -> bool:
        """True if nothing is to be changed so that calls go to that target, and are not lost if it fails."""
        return self.target == target and self.fallback != ""

    def __repr__(self) -> str:
        return f"<AccountNumber {self.id}>"


class VoiceTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What a number's incoming calls go to, with everything that is needed to put it back.

    Two are equal if nothing of that was changed in between. Its `repr` does not show it.
    """

    shown: str
    """For the number's owner: a URL, or the name of what it belongs to; "" if its calls go nowhere."""
    shared: str = ""
    """Which other numbers are pointed with it, as in "all numbers of the application “main”"; "" if none."""
    settings: dict[str, str]
    """What the plugin puts back. Only the plugin reads it."""

    def __repr__(self) -> str:
        return "<VoiceTarget>"


class AccountNumbers(abc.ABC):
    """The numbers of one account.

    Each method raises `CarrierRequestFailed` if the carrier refuses or is not reached.
    """

    vendor: ClassVar[str]
    """The carrier as its users write it."""
    carrier: ClassVar[str]
    """Its name in the registry, which is that of its commands, too."""

    @abc.abstractmethod
    async def fetch(self, number: str = "") -> list[AccountNumber]:
        """Returns all numbers, or the one that is asked for (E.164), if the account has it."""

    @abc.abstractmethod
    async def point(self, number: AccountNumber, target: str) -> None:
        """Makes a number's incoming calls go to a target.

        A `fallback` that the account's owner has set is kept.
        """

    async def find(self, number: str) -> AccountNumber:
        """Returns one number.

        Raises:
            CarrierRequestFailed: the account does not have it.
        """
        for found in await self.fetch(number):
            if found.number == number:
                return found
        raise self.lacks_number()

    def lacks_number(self) -> CarrierRequestFailed:
        """Returns the error for a number that the account does not have."""
        return CarrierRequestFailed(
            f"The number is not in this {self.vendor} account.",
            taken=False,
            expected="a number in E.164, such as +15550001234",
            remedy=f"`patter {self.carrier} numbers` lists the numbers of the account.",
        )

    async def ensure(self, number: str, target: str) -> None:
        """Makes a number's incoming calls go to a target; sends no change if they do."""
        found = await self.find(number)
        if not found.points_at(target):
            await self.point(found, target)


def check_numbers(
    numbers: Sequence[AccountNumber],
    is_ours: Callable[[AccountNumber], bool],
    *,
    at: str,
    remedy: str,
    number: str = "",
) -> CheckResult:
    """Checks whether numbers of an account point here, for `patter doctor`.

    Args:
        numbers: all of the account.
        is_ours: True if a number points here.
        at: what "here" is, in the result: `Patter`.
        remedy: what to do if none does. NUMBER in it becomes the phone's, if that is known.
        number: the one that must (E.164); "" if any may.
    """
    remedy = remedy.replace("NUMBER", number) if number else remedy
    if not numbers:
        return CheckResult(Level.PROBLEM, "The account has no phone number.", "Buy a number with voice.")
    ours = [found for found in numbers if is_ours(found)]
    account, verb = f"{counted(len(numbers), 'number')} of the account", "points" if len(ours) == 1 else "point"
    if number and all(found.number != number for found in numbers):
        what = f"The phone's number is none of the {account}."
        return CheckResult(Level.PROBLEM, what, "Set phone_number (PATTER_PHONE_NUMBER) to one of them.")
    if number and all(found.number != number for found in ours):
        return CheckResult(Level.PROBLEM, f"The phone's number does not point at {at}.", remedy)
    if ours:
        return CheckResult(Level.OK, f"{len(ours)} of {account} {verb} at {at}.")
    return CheckResult(Level.PROBLEM, f"None of the account's numbers points at {at}.", remedy)


def leads_here(url: str, path: str, base: str = "") -> bool:
    """True if a webhook's URL is one of ours.

    Args:
        url: as the carrier has it. Its query does not count.
        path: of the webhook, below the public address.
        base: the public address; "" if it is not configured.
    """
    url = url.partition("?")[0]
    return url == base + path if base else url.endswith(path)


def voice_path(carrier: str) -> str:
    """Returns the path of a carrier's voice webhook, below the public address."""
    return f"/webhooks/{carrier}/voice"
