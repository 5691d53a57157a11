"""The account's numbers, and the applications that their incoming calls go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from patter_core.telephony.e164 import address_of
from patter_core.telephony.numbers import AccountNumber, AccountNumbers
from patter_vonage.ncco import plain_number
from patter_vonage.rest import AccountApi

__all__ = ["VonageNumbers"]

PAGE_SIZE = 100
MOST_PAGES = 100
_FORWARDED = frozenset({"sip", "tel"})
"""Types of a callback that comes before the application."""


class _Number(msgspec.Struct, frozen=True):
    country: str
    msisdn: str
    app_id: str = ""
    voice_callback_type: str = msgspec.field(name="voiceCallbackType", default="")
    voice_callback_value: str = msgspec.field(name="voiceCallbackValue", default="")

    @property
    def number(self) -> str:
        return address_of(self.msisdn, has_plus=False) or self.msisdn

    @property
    def target(self) -> str:
        return self.voice_callback_value if self.voice_callback_type in _FORWARDED else self.app_id

    def __repr__(self) -> str:
        return "<_Number>"


class _Page(msgspec.Struct, frozen=True):
    count: int = 0
    numbers: tuple[_Number, ...] = ()


class VonageNumbers(AccountNumbers):
    """The numbers of one account.

    A number's target is the id of its application; or what it is forwarded to, which comes first at Vonage. Its id is
    country and number.
    """

    vendor: ClassVar[str] = "Vonage"
    carrier: ClassVar[str] = "vonage"

    def __init__(self, api: AccountApi) -> None:
        self._api = api

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        return [
            AccountNumber(
                id=f"{one.country}:{one.msisdn}",
                number=one.number,
                target=one.target,
            )
            for one in await self._fetch(number)
        ]

    async def point(self, number: AccountNumber, target: str) -> None:
        # A callback of the type app ends a forwarding to a number or a SIP address.
        await self.put_link(number, {"app_id": target, "voiceCallbackType": "app", "voiceCallbackValue": target})

    async def link(self, number: str) -> dict[str, str]:
        """Returns what a number's calls go to, in the fields of the API."""
        for one in await self._fetch(number):
            return {
                "app_id": one.app_id,
                "voiceCallbackType": one.voice_callback_type,
                "voiceCallbackValue": one.voice_callback_value,
            }
        raise self.lacks_number()

    async def put_link(self, number: AccountNumber, link: Mapping[str, str]) -> None:
        """Sets those fields."""
        country, _, msisdn = number.id.partition(":")
        await self._api.post_form(
            "/number/update", {"country": country, "msisdn": msisdn, **link}, action="point the number"
        )

    async def _fetch(self, number: str) -> list[_Number]:
        found: list[_Number] = []
        wanted = {"pattern": plain_number(number), "search_pattern": "0"} if number else {}
        for index in range(1, MOST_PAGES + 1):
            query = {"size": str(PAGE_SIZE), "index": str(index), **wanted}
            page = await self._api.fetch("/account/numbers", _Page, action="list the numbers", query=query)
            found += page.numbers
            if not page.numbers or len(found) >= page.count:
                break
        return [one for one in found if number in {"", one.number}]
