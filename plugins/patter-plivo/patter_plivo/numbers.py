"""The account's numbers, and the applications that their incoming calls go to.

At Plivo a number has no URL: it belongs to an application, which has an answer URL, a fallback and a hang-up URL. So a
number is pointed at a URL by an application that has it. One that fits is used; else one is made. An application of
somebody else's is never changed: other numbers may belong to it.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from typing import ClassVar

import msgspec

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_core.net.rest import path_segment
from patter_core.telephony.numbers import AccountNumber, AccountNumbers, voice_path
from patter_plivo.rest import PlivoApi, is_gone

__all__ = ["PlivoNumbers", "read_answer_url"]

PAGE_SIZE = 20
"""The most that Plivo gives at once."""
MOST_PAGES = 500


class _Number(msgspec.Struct, frozen=True):
    number: str
    alias: str | None = None
    application: str | None = None
    """The path of its application at the API."""

    def __repr__(self) -> str:
        return "<_Number>"


class _Application(msgspec.Struct, frozen=True):
    app_id: str
    app_name: str = ""
    answer_url: str | None = None
    fallback_answer_url: str | None = None
    hangup_url: str | None = None


class _Meta(msgspec.Struct, frozen=True):
    next: str | None = None


class _Numbers(msgspec.Struct, frozen=True):
    objects: tuple[_Number, ...]
    meta: _Meta = _Meta()


class _Applications(msgspec.Struct, frozen=True):
    objects: tuple[_Application, ...]
    meta: _Meta = _Meta()


class _NewApplication(msgspec.Struct, frozen=True):
    app_name: str
    answer_url: str
    fallback_answer_url: str
    hangup_url: str
    answer_method: str = "POST"
    fallback_method: str = "POST"
    hangup_method: str = "POST"


class _Created(msgspec.Struct, frozen=True):
    app_id: str


class _Assignment(msgspec.Struct, frozen=True):
    app_id: str


class PlivoNumbers(AccountNumbers):
    """The numbers of one account. A number's target is the answer URL of its application."""

    vendor: ClassVar[str] = "Plivo"
    carrier: ClassVar[str] = "plivo"

    def __init__(self, api: PlivoApi) -> None:
        self._api = api

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        numbers = await self._numbers() if not number else await self._number(number)
        if not numbers:
            return []
        applications = {one.app_id: one for one in await self._applications()}
        return [_account_number(one, applications) for one in numbers]

    async def point(self, number: AccountNumber, target: str) -> None:
        hangup_url = _hangup_url(target)
        fitting = [
            one.app_id
            for one in await self._applications()
            if (one.answer_url, one.fallback_answer_url, one.hangup_url) == (target, target, hangup_url)
        ]
        app_id = fitting[0] if fitting else await self._create(target, hangup_url)
        path = f"/Number/{path_segment(number.id)}/"
        await self._api.post(path, _Assignment(app_id), action="point the number")

    async def _create(self, target: str, hangup_url: str) -> str:
        name = f"Patter-{hashlib.sha256(target.encode()).hexdigest()[:12]}"  # names are unique in an account
        action = "make an application"
        body = await self._api.post("/Application/", _NewApplication(name, target, target, hangup_url), action=action)
        return self._api.read(body, _Created, action=action).app_id

    async def _number(self, number: str) -> list[_Number]:
        path = f"/Number/{path_segment(number.removeprefix('+'))}/"
        try:
            return [await self._api.fetch(path, _Number, action="look up the number")]
        except CarrierRequestFailed as error:
            if is_gone(error):
                return []
            raise

    async def _numbers(self) -> list[_Number]:
        found: list[_Number] = []
        for page in range(MOST_PAGES):
            query = {"limit": str(PAGE_SIZE), "offset": str(page * PAGE_SIZE)}
            answer = await self._api.fetch("/Number/", _Numbers, action="list the numbers", query=query)
            found += answer.objects
            if not answer.meta.next:
                break
        return found

    async def _applications(self) -> list[_Application]:
        found: list[_Application] = []
        for page in range(MOST_PAGES):
            query = {"limit": str(PAGE_SIZE), "offset": str(page * PAGE_SIZE)}
            answer = await self._api.fetch("/Application/", _Applications, action="list the applications", query=query)
            found += answer.objects
            if not answer.meta.next:
                break
        return found


def _account_number(number: _Number, applications: dict[str, _Application]) -> AccountNumber:
    app_id = (number.application or "").rstrip("/").rpartition("/")[2]
    application = applications.get(app_id, _Application(app_id))
    written = number.number if number.number.startswith("+") else f"+{number.number}"
    return AccountNumber(
        id=number.number,
        number=written,
        name=number.alias or "",
        target=application.answer_url or app_id,
        target_name=application.app_name,
        fallback=application.fallback_answer_url or "",
    )


def _hangup_url(answer_url: str) -> str:
    """Returns where the end of a call is reported: beside our answer URL; "" if it is not ours."""
    parts = urllib.parse.urlsplit(answer_url)
    if not parts.path.endswith(voice_path("plivo")):
        return ""
    return parts._replace(path=f"{parts.path.removesuffix('voice')}status", query="").geturl()


def read_answer_url(text: str) -> str:
    """Returns the URL of the voice webhook: a public address, with or without a path prefix, is completed.

    Raises:
        ConfigurationError: it is not an HTTP address.
    """
    parts = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL is not a public address.", expected="https://host", got=repr(text))
    path = parts.path.rstrip("/")
    complete = path if path.endswith(voice_path("plivo")) else path + voice_path("plivo")
    return parts._replace(path=complete).geturl()
