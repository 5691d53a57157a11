from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_core.testing.api import ApiAnswer, fake_api
from patter_twilio.numbers import TwilioNumbers, read_voice_url
from patter_twilio.rest import TwilioApi
from patter_twilio.testing import ACCOUNT_SID, EmulatedNumber, TwilioEmulator

pytestmark = pytest.mark.anyio

NUMBERS = [f"+1500555{number:04}" for number in range(5)]
URL = "https://phone.example/webhooks/twilio/voice"


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioEmulator]:
    async with TwilioEmulator() as emulator:
        emulator.api.numbers = [EmulatedNumber(phone_number=number) for number in NUMBERS]
        yield emulator


def numbers_of(twilio: TwilioEmulator) -> TwilioNumbers:
    return TwilioNumbers(TwilioApi(twilio.base_url, twilio.account_sid, (twilio.account_sid, twilio.auth_token)))


async def test_all_pages_of_numbers_are_listed() -> None:
    first = b'{"incoming_phone_numbers":[{"sid":"PN1","phone_number":"+15005550001"}],"next_page_uri":"%s"}'
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json?Page=1"
    last = b'{"incoming_phone_numbers":[{"sid":"PN2","phone_number":"+15005550002"}],"next_page_uri":null}'
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=first % path.encode()), ApiAnswer(body=last)]
        found = await TwilioNumbers(TwilioApi(api.url, ACCOUNT_SID, (ACCOUNT_SID, "secret"))).fetch()
    assert [number.number for number in found] == ["+15005550001", "+15005550002"]
    assert [request.path for request in api.requests][1] == path
    assert "+1500" not in repr(found)


@pytest.mark.parametrize("elsewhere", [b"@evil.example/x", b"/2010-04-01/Accounts/ACother/x", b"https://evil.example/"])
async def test_a_next_page_elsewhere_is_not_requested(elsewhere: bytes) -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=b'{"incoming_phone_numbers":[],"next_page_uri":"%s"}' % elsewhere)]
        assert await TwilioNumbers(TwilioApi(api.url, ACCOUNT_SID, (ACCOUNT_SID, "secret"))).fetch() == []
    assert len(api.requests) == 1


async def test_one_number_is_pointed_here_once(twilio: TwilioEmulator) -> None:
    for _ in range(2):
        await twilio.carrier().set_voice_url(NUMBERS[3], URL)
    assert [number.voice_url for number in twilio.api.numbers] == ["", "", "", URL, ""]
    assert [number.voice_fallback_url for number in twilio.api.numbers] == ["", "", "", URL, ""]
    assert [request.method for request in twilio.api_requests].count("POST") == 1


@pytest.mark.parametrize(
    ("voice", "fallback", "after"),
    [
        (URL, "", URL),
        ("https://old.example/voice", "https://old.example/voice", URL),
        ("https://old.example/voice", "https://sorry.example/", "https://sorry.example/"),
    ],
    ids=["none", "set together with the old URL", "the owner's"],
)
async def test_a_number_gets_a_fallback_unless_its_owner_has_set_one(
    twilio: TwilioEmulator, voice: str, fallback: str, after: str
) -> None:
    emulated = twilio.api.numbers[0]
    emulated.voice_url, emulated.voice_fallback_url, emulated.voice_fallback_method = voice, fallback, "GET"
    await twilio.carrier().set_voice_url(NUMBERS[0], URL)
    assert (emulated.voice_url, emulated.voice_fallback_url) == (URL, after)
    assert emulated.voice_fallback_method == ("POST" if after == URL else "GET")


async def test_an_application_takes_precedence_over_the_url_and_is_removed(twilio: TwilioEmulator) -> None:
    emulated = twilio.api.numbers[0]
    emulated.voice_url, emulated.voice_application_sid = URL, "AP1"
    assert (await numbers_of(twilio).find(NUMBERS[0])).target == "AP1"
    await twilio.carrier().set_voice_url(NUMBERS[0], URL)
    assert (emulated.voice_url, emulated.voice_application_sid) == (URL, "")


async def test_a_number_is_put_back_with_each_url_and_method(twilio: TwilioEmulator) -> None:
    emulated = twilio.api.numbers[0]
    emulated.voice_url = emulated.voice_fallback_url = "https://old.example"
    emulated.voice_method = emulated.voice_fallback_method = "GET"
    emulated.voice_application_sid = "AP1"
    before, carrier = msgspec.structs.asdict(emulated), twilio.carrier()
    target = await carrier.voice_target(NUMBERS[0])
    await carrier.set_voice_url(NUMBERS[0], URL)
    await carrier.put_back(NUMBERS[0], target)
    assert msgspec.structs.asdict(emulated) == before
    assert target.shown == "AP1"
    assert "AP1" not in repr(target)


async def test_a_number_of_another_account_is_an_error(twilio: TwilioEmulator) -> None:
    with pytest.raises(CarrierRequestFailed, match="patter twilio numbers") as failure:
        await twilio.carrier().set_voice_url("+15005559999", URL)
    with pytest.raises(CarrierRequestFailed, match="patter twilio numbers"):
        await twilio.carrier().voice_target("+15005559999")
    assert "+1500" not in str(failure.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("phone.example", URL),
        ("https://phone.example/", URL),
        (URL, URL),
        ("https://phone.example/prefix/", "https://phone.example/prefix/webhooks/twilio/voice"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/webhooks/twilio/voice"),
        (f"{URL}?shop=main", f"{URL}?shop=main"),
        ("https://phone.example/prefix?shop=main", "https://phone.example/prefix/webhooks/twilio/voice?shop=main"),
    ],
)
def test_a_public_address_is_completed_with_the_path_of_the_voice_webhook(text: str, url: str) -> None:
    assert read_voice_url(text) == url


@pytest.mark.parametrize("text", ["ftp://phone.example", "https://", ""])
def test_what_is_not_a_public_address_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="URL is not a public address"):
        read_voice_url(text)
