"""The account's numbers, and what they are pointed at."""

from __future__ import annotations

import dataclasses
import urllib.parse

import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.leg import Progress
from patter_telnyx.rest import TelnyxApi

__all__ = ["Account", "PhoneNumber"]

_PAGE = 250
"""The most that a page may hold."""


class PhoneNumber(msgspec.Struct, frozen=True):
    """A number of the account's. Its `repr` does not show it."""

    id: str
    phone_number: str
    connection_id: str | None = None
    connection_name: str | None = None
    status: str = ""

    def __repr__(self) -> str:
        return f"<PhoneNumber {self.id}>"


class _Pages(msgspec.Struct, frozen=True):
    total_pages: int = 1


class _Numbers(msgspec.Struct, frozen=True):
    data: list[PhoneNumber]
    meta: _Pages = _Pages()


class _NumberChange(msgspec.Struct, frozen=True):
    connection_id: str


class _Application(msgspec.Struct, frozen=True):
    """What must be said of an application to change it."""

    application_name: str
    webhook_event_url: str


class _ApplicationAnswer(msgspec.Struct, frozen=True):
    data: _Application


class _CallFacts(msgspec.Struct, frozen=True):
    is_alive: bool
    call_duration: int | None = None


class _CallAnswer(msgspec.Struct, frozen=True):
    data: _CallFacts


@dataclasses.dataclass(frozen=True, repr=False)
class Account:
    """One account. Each method raises `CarrierRequestFailed` where Telnyx will not, or is not reached."""

    api: TelnyxApi

    async def numbers(self, number: str = "") -> list[PhoneNumber]:
        """All numbers, or only that one (E.164)."""
        found: list[PhoneNumber] = []
        page, pages = 1, 1
        while page <= pages:
            query = {"page[number]": str(page), "page[size]": str(_PAGE)}
            if number:
                query["filter[phone_number]"] = number
            answer = await self.api.fetch("/phone_numbers", query, _Numbers, wish="list the numbers")
            found += answer.data
            page, pages = page + 1, answer.meta.total_pages
        return [one for one in found if number in {"", one.phone_number}]

    async def point_number(self, number: str, connection_id: str) -> None:
        """Have a number's calls go to an application; nothing is done if they do."""
        found = await self.numbers(number)
        if not found:
            raise CarrierRequestFailed(
                "No such number in this account.", remedy="See `patter telnyx numbers`; write it as it stands there."
            )
        if found[0].connection_id != connection_id:
            path = f"/phone_numbers/{urllib.parse.quote(found[0].id, safe='')}"
            await self.api.change(path, _NumberChange(connection_id), wish="point the number")

    async def webhook_url(self, connection_id: str) -> str:
        """Where an application's events go."""
        path = f"/call_control_applications/{urllib.parse.quote(connection_id, safe='')}"
        answer = await self.api.fetch(path, {}, _ApplicationAnswer, wish="look at the application")
        return answer.data.webhook_event_url

    async def set_webhook_url(self, connection_id: str, url: str) -> None:
        """Have an application's events come to `url`; nothing is done if they do."""
        path = f"/call_control_applications/{urllib.parse.quote(connection_id, safe='')}"
        answer = await self.api.fetch(path, {}, _ApplicationAnswer, wish="look at the application")
        if answer.data.webhook_event_url != url:
            changed = _Application(answer.data.application_name, url)
            await self.api.change(path, changed, wish="set the application's webhook URL")

    async def progress_of(self, call_id: str) -> Progress:
        """What Telnyx knows of a call that should have been answered by now."""
        path = f"/calls/{urllib.parse.quote(call_id, safe='')}"
        call = (await self.api.fetch(path, {}, _CallAnswer, wish="look at the call")).data
        if call.is_alive:
            return Progress.ANSWERED
        return Progress.COMPLETED if call.call_duration else Progress.NO_ANSWER
