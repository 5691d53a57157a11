"""The account's numbers, and the applications that their incoming calls go to."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from patter_core.net.rest import path_segment
from patter_core.telephony.numbers import AccountNumber, AccountNumbers
from patter_telnyx.rest import TelnyxApi

__all__ = ["TelnyxNumbers"]

PAGE_SIZE = 250
_PATH = "/phone_numbers"


class _Number(msgspec.Struct, frozen=True):
    id: str
    phone_number: str
    connection_id: str | None = None
    connection_name: str | None = None
    status: str = ""

    def __repr__(self) -> str:
        return f"<_Number {self.id}>"


class _Pages(msgspec.Struct, frozen=True):
    total_pages: int = 1


class _Page(msgspec.Struct, frozen=True):
    data: list[_Number]
    meta: _Pages = _Pages()


class _Change(msgspec.Struct, frozen=True):
    connection_id: str


class TelnyxNumbers(AccountNumbers):
    """The numbers of one account. A number's target is the id of its application (`connection_id`)."""

    vendor: ClassVar[str] = "Telnyx"
    carrier: ClassVar[str] = "telnyx"

    def __init__(self, api: TelnyxApi) -> None:
        self._api = api

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        found: list[AccountNumber] = []
        page, pages = 1, 1
        while page <= pages:
            query = {"page[number]": str(page), "page[size]": str(PAGE_SIZE)}
            if number:
                query["filter[phone_number]"] = number
            answer = await self._api.fetch(_PATH, _Page, action="list the numbers", query=query)
            found += [
                AccountNumber(
                    id=one.id,
                    number=one.phone_number,
                    status=one.status,
                    target=one.connection_id or "",
                    target_name=one.connection_name or "",
                )
                for one in answer.data
                if number in {"", one.phone_number}
            ]
            page, pages = page + 1, answer.meta.total_pages
        return found

    async def point(self, number: AccountNumber, target: str) -> None:
        await self._api.change(f"{_PATH}/{path_segment(number.id)}", _Change(target), action="point the number")
