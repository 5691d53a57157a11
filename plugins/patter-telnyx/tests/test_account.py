from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.leg import Leg
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio

NUMBERS = [f"+1500555{number:04}" for number in range(5)]


@pytest.fixture
async def telnyx() -> AsyncIterator[TelnyxEmulator]:
    async with TelnyxEmulator() as emulator:
        emulator.api.numbers = [
            EmulatedNumber(id=str(number), phone_number=name) for number, name in enumerate(NUMBERS)
        ]
        yield emulator


async def test_all_pages_of_numbers_are_listed(telnyx: TelnyxEmulator) -> None:
    telnyx.api.page_size = 2
    found = await telnyx.carrier()._account.numbers()
    assert [number.phone_number for number in found] == NUMBERS
    assert NUMBERS[0] not in repr(found)


async def test_a_number_is_pointed_at_the_application_and_the_application_here(telnyx: TelnyxEmulator) -> None:
    for _ in range(2):
        await telnyx.carrier().set_voice_url(NUMBERS[3], "https://phone.example/webhooks/telnyx/voice")
    assert [number.connection_id for number in telnyx.api.numbers] == [None] * 3 + [telnyx.connection_id, None]
    assert telnyx.api.application.webhook_event_url == "https://phone.example/webhooks/telnyx/voice"
    assert telnyx.api.application.application_name == "patter"
    assert [request.method for request in telnyx.api_requests].count("PATCH") == 2  # nothing is changed twice


async def test_a_number_of_somebody_else_is_told(telnyx: TelnyxEmulator) -> None:
    with pytest.raises(CarrierRequestFailed, match="patter telnyx numbers") as failure:
        await telnyx.carrier().set_voice_url("+15005559999", "https://phone.example")
    assert "+1500" not in str(failure.value)


async def test_a_call_that_nobody_knows_is_told(telnyx: TelnyxEmulator) -> None:
    with pytest.raises(CarrierRequestFailed) as failure:
        await telnyx.carrier().look_up(Leg(carrier="telnyx", call_id="v3:unknown"))
    assert failure.value.status == 404


async def test_a_wrong_key_is_told(telnyx: TelnyxEmulator) -> None:
    telnyx.api._credentials = b"Bearer other"
    with pytest.raises(CarrierRequestFailed, match="TELNYX_API_KEY"):
        await telnyx.carrier()._account.numbers()
