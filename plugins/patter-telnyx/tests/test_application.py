from __future__ import annotations

import pytest

from patter_telnyx.application import Application
from patter_telnyx.rest import TelnyxApi
from patter_telnyx.testing import TelnyxEmulator

pytestmark = pytest.mark.anyio

URL = "https://phone.example/webhooks/telnyx/voice"


async def test_the_webhook_url_is_changed_once_and_the_name_kept() -> None:
    async with TelnyxEmulator() as telnyx:
        application = Application(TelnyxApi(telnyx.base_url, telnyx.api_key), telnyx.connection_id)
        for _ in range(2):
            await application.set_webhook_url(URL)
        assert await application.webhook_url() == URL
        assert telnyx.api.application.application_name == "patter"
    assert [request.method for request in telnyx.api_requests].count("PATCH") == 1
