"""`Telnyx.check()`, which `patter doctor` asks: each thing that can be wrong at the vendor is found."""

from __future__ import annotations

import pytest

from patter_core.checks import Level
from patter_telnyx import Telnyx
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator

pytestmark = pytest.mark.anyio


async def test_all_is_well() -> None:
    async with TelnyxEmulator() as telnyx:
        telnyx.api.application.webhook_event_url = "https://voice.example/webhooks/telnyx/voice"
        telnyx.api.numbers = [EmulatedNumber(id="1", phone_number="+15005550001", connection_id=telnyx.connection_id)]
        found = await telnyx.carrier().check()
    assert [finding.level for finding in found] == [Level.OK, Level.OK], found
    assert found[1].what.startswith("1 of 1 numbers")


async def test_an_application_that_goes_elsewhere_and_no_number_are_warned_of() -> None:
    async with TelnyxEmulator() as telnyx:
        telnyx.api.numbers = []
        found = await telnyx.carrier().check()
    assert [finding.level for finding in found] == [Level.OK, Level.WARNING, Level.WARNING]
    assert all(finding.remedy for finding in found[1:])


async def test_wrong_credentials_and_no_network_are_problems() -> None:
    async with TelnyxEmulator() as telnyx:
        stranger = Telnyx("wrong", telnyx.connection_id, telnyx.public_key, base_url=telnyx.base_url)
        (refused,) = await stranger.check()
    (away,) = await stranger.check()
    assert refused.level is away.level is Level.PROBLEM
