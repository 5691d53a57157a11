from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_vonage.config import Credentials
from patter_vonage.numbers import VonageNumbers
from patter_vonage.rest import AccountApi
from patter_vonage.testing import EmulatedNumber, VonageEmulator

pytestmark = pytest.mark.anyio

NUMBERS = [f"+1500555{number:04}" for number in range(5)]
URL = "https://phone.example/webhooks/vonage/voice"


@pytest.fixture
async def vonage() -> AsyncIterator[VonageEmulator]:
    async with VonageEmulator() as emulator:
        for number in NUMBERS:
            emulator.add_number(number)
        yield emulator


def numbers(vonage: VonageEmulator) -> VonageNumbers:
    credentials = Credentials(api_key=vonage.api_key, api_secret=vonage.api_secret)
    return VonageNumbers(AccountApi(vonage.base_url, credentials))


async def test_all_pages_of_numbers_are_listed(vonage: VonageEmulator) -> None:
    vonage.api.page_size = 2
    found = await numbers(vonage).fetch()
    assert [number.number for number in found] == NUMBERS
    assert NUMBERS[0] not in repr(found)


async def test_an_account_without_numbers_has_none() -> None:
    async with VonageEmulator() as vonage:
        assert await numbers(vonage).fetch() == []


async def test_one_number_is_linked_to_the_application_once(vonage: VonageEmulator) -> None:
    for _ in range(2):
        await vonage.carrier().set_voice_url(NUMBERS[3], URL)
    assert [number.app_id for number in vonage.api.numbers] == ["", "", "", vonage.application_id, ""]
    assert [request.method for request in vonage.api_requests if request.method != "GET"] == ["POST", "PUT"]
    assert vonage.voice_url(NUMBERS[3]) == URL


async def test_a_number_that_is_forwarded_points_there_until_it_is_pointed_here(vonage: VonageEmulator) -> None:
    number = EmulatedNumber(
        msisdn="15005559999",
        app_id=vonage.application_id,
        voice_callback_type="tel",
        voice_callback_value="15005550000",
    )
    vonage.api.numbers = [number]
    found = await numbers(vonage).find("+15005559999")
    assert found.target == "15005550000"
    await vonage.carrier().set_voice_url("+15005559999", URL)
    assert (number.voice_callback_type, number.app_id) == ("app", vonage.application_id)


async def test_a_number_that_begins_with_the_digits_of_another_is_another(vonage: VonageEmulator) -> None:
    vonage.api.numbers = [EmulatedNumber(msisdn="150055500001")]
    with pytest.raises(CarrierRequestFailed, match="patter vonage numbers") as failure:
        await vonage.carrier().set_voice_url(NUMBERS[0], URL)
    assert "+1500" not in str(failure.value)
    assert vonage.api.numbers[0].app_id == ""


async def test_a_number_is_put_back_with_its_forwarding_and_all_that_the_application_had(
    vonage: VonageEmulator,
) -> None:
    number = vonage.api.numbers[0]
    number.voice_callback_type, number.voice_callback_value = "tel", "15005550000"
    fields: Any = vonage.api.application.fields
    fields["capabilities"]["voice"]["webhooks"] = {
        "answer_url": {"address": "https://old.example", "http_method": "GET"}
    }
    before = copy.deepcopy((msgspec.structs.asdict(number), fields))
    carrier = vonage.carrier()
    target = await carrier.voice_target(NUMBERS[0])
    assert (target.shown, target.shared) == ("15005550000", "all numbers of the application “My application”")
    await carrier.set_voice_url(NUMBERS[0], URL)
    assert await carrier.voice_target(NUMBERS[0]) != target
    await carrier.put_back(NUMBERS[0], target)
    assert (msgspec.structs.asdict(number), vonage.api.application.fields) == before
