"""The account's numbers, and the URLs that their incoming calls go to."""

from __future__ import annotations

import urllib.parse
from typing import ClassVar

import msgspec

from patter_core.errors import ConfigurationError
from patter_core.net.rest import path_segment
from patter_core.telephony.numbers import AccountNumber, AccountNumbers, VoiceTarget, voice_path
from patter_twilio.rest import TwilioApi

__all__ = ["TwilioNumbers", "read_voice_url"]

PAGE_SIZE = 200
MOST_PAGES = 50
_PATH = "/IncomingPhoneNumbers"


class _Number(msgspec.Struct, frozen=True):
    sid: str
    phone_number: str
    friendly_name: str = ""
    voice_url: str | None = None
    voice_method: str | None = None
    voice_fallback_url: str | None = None
    voice_fallback_method: str | None = None
    voice_application_sid: str | None = None
    """A TwiML application, which takes precedence over the URL."""

    @property
    def target(self) -> str:
        return self.voice_application_sid or self.voice_url or ""

    def __repr__(self) -> str:
        return f"<_Number {self.sid}>"


class _Page(msgspec.Struct, frozen=True):
    incoming_phone_numbers: tuple[_Number, ...]
    next_page_uri: str | None = None


class TwilioNumbers(AccountNumbers):
    """The numbers of one account. A number's target is its voice URL, or its TwiML application if it has one."""

    vendor: ClassVar[str] = "Twilio"
    carrier: ClassVar[str] = "twilio"

    def __init__(self, api: TwilioApi) -> None:
        self._api = api

    async def fetch(self, number: str = "") -> list[AccountNumber]:
        return [
            AccountNumber(
                id=one.sid,
                number=one.phone_number,
                name=one.friendly_name,
                target=one.target,
                fallback=one.voice_fallback_url or "",
            )
            for one in await self._fetch(number)
        ]

    async def point(self, number: AccountNumber, target: str) -> None:
        form = [("VoiceUrl", target), ("VoiceMethod", "POST"), ("VoiceApplicationSid", "")]
        if number.fallback in {"", number.target}:  # a request that failed is asked again: perhaps of another worker
            form += [("VoiceFallbackUrl", target), ("VoiceFallbackMethod", "POST")]
        await self._change(number, form)

    async def voice_target(self, number: str) -> VoiceTarget:
        """As in the contract of carriers."""
        one = next((one for one in await self._fetch(number) if one.phone_number == number), None)
        if one is None:
            raise self.lacks_number()
        settings = {
            "VoiceUrl": one.voice_url,
            "VoiceMethod": one.voice_method,
            "VoiceFallbackUrl": one.voice_fallback_url,
            "VoiceFallbackMethod": one.voice_fallback_method,
            "VoiceApplicationSid": one.voice_application_sid,
        }
        known = {name: value or "" for name, value in settings.items() if value or not name.endswith("Method")}
        return VoiceTarget(shown=one.target, settings=known)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        """As in the contract of carriers."""
        await self._change(await self.find(number), list(target.settings.items()))

    async def _change(self, number: AccountNumber, form: list[tuple[str, str]]) -> None:
        await self._api.post(f"{_PATH}/{path_segment(number.id)}.json", form, action="point the number")

    async def _fetch(self, number: str) -> list[_Number]:
        query = {"PageSize": str(PAGE_SIZE), **({"PhoneNumber": number} if number else {})}
        path = f"{_PATH}.json?{urllib.parse.urlencode(query)}"
        found: list[_Number] = []
        for _ in range(MOST_PAGES):
            page = await self._api.fetch(path, _Page, action="list the numbers")
            found += page.incoming_phone_numbers
            following = page.next_page_uri or ""
            path = following.removeprefix(self._api.account_path)
            if path == following:  # the last page, or one elsewhere, where the credentials must not go
                break
        return found


def read_voice_url(text: str) -> str:
    """Returns the URL of the voice webhook: a public address, with or without a path prefix, is completed.

    Raises:
        ConfigurationError: it is not an HTTP address.
    """
    parts = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL is not a public address.", expected="https://host", got=repr(text))
    path = parts.path.rstrip("/")
    return (
        parts.geturl()
        if path.endswith(voice_path("twilio"))
        else parts._replace(path=path + voice_path("twilio")).geturl()
    )
