"""The application: Vonage asks and tells its webhooks about the calls of all numbers that are linked to it.

A change replaces all of an application. So it is read, changed and written back, with every field that is not known
here as it was.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.json import UNREADABLE
from patter_core.net.rest import path_segment
from patter_core.telephony.numbers import voice_path
from patter_vonage.rest import AccountApi

__all__ = ["EVENT_PATH", "VOICE_PATH", "Application", "Settings", "event_url_for"]

VOICE_PATH = voice_path("vonage")
EVENT_PATH = VOICE_PATH.removesuffix("voice") + "event"
_READ_ONLY = frozenset({"id", "_links"})
_POST = "POST"

_Fields = dict[str, msgspec.Raw]
T = TypeVar("T")


class _Url(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    address: str = ""
    http_method: str = ""
    connect_timeout: int | None = None
    socket_timeout: int | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an application's voice webhooks are set to."""

    name: str = ""
    answer_url: str = ""
    event_url: str = ""
    is_post: bool = False
    """Both are requested with POST."""
    is_signed: bool = False

    def fits(self, answer_url: str) -> bool:
        """True if nothing is to be changed for calls to be announced at that URL."""
        wanted = (answer_url, event_url_for(answer_url), True, True)
        return (self.answer_url, self.event_url, self.is_post, self.is_signed) == wanted


class Application:
    """One application. Each method raises `CarrierRequestFailed` if Vonage refuses or is not reached."""

    def __init__(self, api: AccountApi, application_id: str) -> None:
        self._api = api
        self._path = f"/v2/applications/{path_segment(application_id)}"

    async def settings(self) -> Settings:
        """Returns what its webhooks are set to."""
        return _settings(await self._read())

    async def set_webhooks(self, answer_url: str) -> None:
        """Has calls announced at that URL, and events told beside it, all signed; sends no change if they are."""
        fields = await self._read()
        if not _settings(fields).fits(answer_url):
            changed = _changed(fields, answer_url)
            await self._api.change(self._path, msgspec.json.encode(changed), action="set the application's webhooks")

    async def voice(self) -> str:
        """Returns all that is set for voice, as JSON with its fields in order: for `put_voice`."""
        return _sorted(_inner(_inner(await self._read(), "capabilities"), "voice"))

    async def put_voice(self, voice: str) -> None:
        """Sets that again; sends no change if nothing of it was changed."""
        fields = await self._read()
        capabilities = _inner(fields, "capabilities")
        if _sorted(_inner(capabilities, "voice")) != voice:
            capabilities["voice"] = msgspec.Raw(voice.encode())
            kept = {name: value for name, value in fields.items() if name not in _READ_ONLY}
            changed = {**kept, "capabilities": _raw(capabilities)}
            await self._api.change(
                self._path, msgspec.json.encode(changed), action="put back the application's webhooks"
            )

    async def _read(self) -> _Fields:
        return await self._api.fetch(self._path, _Fields, action="look up the application")


def event_url_for(answer_url: str) -> str:
    """Returns the URL for events that belongs to one for calls."""
    path, question_mark, query = answer_url.partition("?")
    return path.rpartition("/")[0] + "/event" + question_mark + query


def _settings(fields: _Fields) -> Settings:
    voice = _inner(_inner(fields, "capabilities"), "voice")
    webhooks = _inner(voice, "webhooks")
    answer, event = _url(webhooks, "answer_url"), _url(webhooks, "event_url")
    return Settings(
        name=_read(fields.get("name"), str) or "",
        answer_url=answer.address,
        event_url=event.address,
        is_post=answer.http_method == event.http_method == _POST,
        is_signed=bool(_read(voice.get("signed_callbacks"), bool)),
    )


def _changed(fields: _Fields, answer_url: str) -> _Fields:
    capabilities = _inner(fields, "capabilities")
    voice = _inner(capabilities, "voice")
    webhooks = _inner(voice, "webhooks")
    answer, fallback = _url(webhooks, "answer_url"), _url(webhooks, "fallback_answer_url")
    urls = {"answer_url": answer_url, "event_url": event_url_for(answer_url)}
    if fallback.address in {"", answer.address}:  # a request that failed is sent again: perhaps to another worker
        urls["fallback_answer_url"] = answer_url
    for name, address in urls.items():
        url = msgspec.structs.replace(_url(webhooks, name), address=address, http_method=_POST)
        webhooks[name] = _raw(url)
    voice |= {"webhooks": _raw(webhooks), "signed_callbacks": _raw(True)}
    capabilities["voice"] = _raw(voice)
    kept = {name: value for name, value in fields.items() if name not in _READ_ONLY}
    return {**kept, "capabilities": _raw(capabilities)}


def _inner(fields: _Fields, name: str) -> _Fields:
    return _read(fields.get(name), _Fields) or {}


def _url(webhooks: _Fields, name: str) -> _Url:
    return _read(webhooks.get(name), _Url) or _Url()


def _read(raw: msgspec.Raw | None, shape: type[T]) -> T | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=shape | None)
    except UNREADABLE:
        raise CarrierRequestFailed(
            "Could not read the application: the answer of Vonage is not as documented.", taken=False
        ) from None


def _sorted(fields: _Fields) -> str:
    plain: object = msgspec.json.decode(msgspec.json.encode(fields))
    return msgspec.json.encode(plain, order="sorted").decode()


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
