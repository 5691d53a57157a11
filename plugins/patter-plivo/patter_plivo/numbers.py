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
from patter_core.telephony.numbers import AccountNumber, AccountNumbers, VoiceTarget, voice_path
from patter_plivo.rest import PlivoApi, is_gone

__all__ = ["PlivoNumbers", "read_answer_url"]

PAGE_SIZE = 20
"""The most that Plivo gives at once."""
MOST_PAGES = 500
_APP_ID = "app_id"


class _Number(msgspec.Struct, frozen=True):
    number: str
    alias: str | None = None
    application: str | None = None
    """The path of its application at the API."""

    @property
    def app_id(self) -> str:
        return (self.application or "").rstrip("/").rpartition("/")[2]

    def __repr__(self) -> str:
        return "<_Number>"


class _Application(msgspec.Struct, frozen=True):
    app_id: str
    app_name: str = ""
    answer_url: str | None = None
    fallback_answer_url: str | None = None
    hangup_url: str | None = None

    @property
    def is_made_here(self) -> bool:
        return self.app_name == _name_for(self.answer_url or "")


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
        await self._assign(number, app_id)

    async def voice_target(self, number: str) -> VoiceTarget:
        """As in the contract of carriers."""
        found = await self.find(number)
        app_id = (await self._number(number))[0].app_id
        return VoiceTarget(shown=found.target or app_id, settings={_APP_ID: app_id})

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        """As in the contract of carriers. The application that was made to point the number is deleted."""
        found = await self.find(number)
        app_id = (await self._number(number))[0].app_id
        if app_id != target.settings[_APP_ID]:
            await self._assign(found, target.settings[_APP_ID])
            await self._tidy(app_id)

    async def _assign(self, number: AccountNumber, app_id: str) -> None:
        path = f"/Number/{path_segment(number.id)}/"
        await self._api.post(path, _Assignment(app_id), action="point the number")

    async def _tidy(self, app_id: str) -> None:
        """Deletes an application that was made here, if no number belongs to it."""
        is_ours = any(one.app_id == app_id and one.is_made_here for one in await self._applications())
        if is_ours and all(one.app_id != app_id for one in await self._numbers()):
            await self._api.delete_application(app_id)

    async def _create(self, target: str, hangup_url: str) -> str:
        action = "make an application"
        made = _NewApplication(_name_for(target), target, target, hangup_url)
        body = await self._api.post("/Application/", made, action=action)
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
    application = applications.get(number.app_id, _Application(number.app_id))
    written = number.number if number.number.startswith("+") else f"+{number.number}"
    return AccountNumber(
        id=number.number,
        number=written,
        name=number.alias or "",
        target=application.answer_url or number.app_id,
        target_name=application.app_name,
        fallback=application.fallback_answer_url or "",
    )


def _name_for(answer_url: str) -> str:
    """Returns the name of an application that is made here. Names are unique in an account."""
    return f"Patter-{hashlib.sha256(answer_url.encode()).hexdigest()[:12]}"


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
