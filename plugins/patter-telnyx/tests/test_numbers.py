from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_telnyx.numbers import TelnyxNumbers
from patter_telnyx.rest import TelnyxApi
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio

NUMBERS = [f"+1500555{number:04}" for number in range(5)]
URL = "https://phone.example/webhooks/telnyx/voice"


@pytest.fixture
async def telnyx() -> AsyncIterator[TelnyxEmulator]:
    async with TelnyxEmulator() as emulator:
        emulator.api.numbers = [
            EmulatedNumber(id=str(number), phone_number=name) for number, name in enumerate(NUMBERS)
        ]
        yield emulator


async def test_all_pages_of_numbers_are_listed(telnyx: TelnyxEmulator) -> None:
    telnyx.api.page_size = 2
    found = await TelnyxNumbers(TelnyxApi(telnyx.base_url, telnyx.api_key)).fetch()
    assert [number.number for number in found] == NUMBERS
    assert NUMBERS[0] not in repr(found)


async def test_one_number_is_pointed_here_once(telnyx: TelnyxEmulator) -> None:
    for _ in range(2):
        await telnyx.carrier().set_voice_url(NUMBERS[3], URL)
    assert [number.connection_id for number in telnyx.api.numbers] == [None] * 3 + [telnyx.connection_id, None]
    assert [request.method for request in telnyx.api_requests].count("PATCH") == 2  # the number, and the application


async def test_a_number_of_another_account_is_an_error(telnyx: TelnyxEmulator) -> None:
    with pytest.raises(CarrierRequestFailed, match="patter telnyx numbers") as failure:
        await telnyx.carrier().set_voice_url("+15005559999", URL)
    assert "+1500" not in str(failure.value)


async def test_a_number_is_put_back_to_its_application_and_ours_to_its_url(telnyx: TelnyxEmulator) -> None:
    telnyx.api.numbers[0].connection_id, telnyx.api.application.webhook_event_url = "7", "https://old.example"
    carrier = telnyx.carrier()
    target = await carrier.voice_target(NUMBERS[0])
    assert (target.shown, target.shared) == ("7", "all numbers of the application “patter”")
    await carrier.set_voice_url(NUMBERS[0], URL)
    assert (await carrier.voice_target(NUMBERS[0])).shown == URL
    await carrier.put_back(NUMBERS[0], target)
    assert telnyx.api.numbers[0].connection_id == "7"
    assert telnyx.api.application.webhook_event_url == "https://old.example"
