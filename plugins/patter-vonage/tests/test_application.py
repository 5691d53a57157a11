"""The application's webhooks: what is not changed is written back as it was."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.testing.api import ApiAnswer, fake_api
from patter_vonage.application import Application, event_url_for
from patter_vonage.config import Credentials
from patter_vonage.rest import AccountApi
from patter_vonage.testing import VonageEmulator

pytestmark = pytest.mark.anyio

URL = "https://phone.example/webhooks/vonage/voice"
EVENTS = "https://phone.example/webhooks/vonage/event"


@pytest.fixture
async def vonage() -> AsyncIterator[VonageEmulator]:
    async with VonageEmulator() as emulator:
        yield emulator


def application(vonage: VonageEmulator) -> Application:
    api = AccountApi(vonage.base_url, Credentials(api_key=vonage.api_key, api_secret=vonage.api_secret))
    return Application(api, vonage.application_id)


async def test_its_webhooks_are_set_and_all_else_is_kept(vonage: VonageEmulator) -> None:
    before: Any = copy.deepcopy(vonage.api.application.fields)
    await application(vonage).set_webhooks(URL)
    after: Any = copy.deepcopy(vonage.api.application.fields)
    voice = after["capabilities"]["voice"]
    post = {"http_method": "POST"}
    assert voice.pop("webhooks") == {
        "answer_url": {"address": URL, **post},
        "event_url": {"address": EVENTS, **post},
        "fallback_answer_url": {"address": URL, **post},
    }
    assert voice["signed_callbacks"] is True
    voice["signed_callbacks"] = False
    del before["capabilities"]["voice"]["webhooks"]
    assert after == before
    assert (await application(vonage).settings()).fits(URL)


async def test_nothing_is_sent_if_nothing_is_to_be_changed(vonage: VonageEmulator) -> None:
    for _ in range(2):
        await application(vonage).set_webhooks(URL)
    assert [request.method for request in vonage.api_requests].count("PUT") == 1


async def test_timeouts_and_the_users_own_fallback_are_kept(vonage: VonageEmulator) -> None:
    fields: Any = vonage.api.application.fields
    fields["capabilities"]["voice"]["webhooks"] = {
        "answer_url": {"address": "https://old.example", "http_method": "GET", "connect_timeout": 500},
        "fallback_answer_url": {"address": "https://static.example/sorry.json", "http_method": "GET"},
        "event_url": {"address": "https://old.example/e", "socket_timeout": 3000},
    }
    await application(vonage).set_webhooks(URL)
    fields = vonage.api.application.fields
    assert fields["capabilities"]["voice"]["webhooks"] == {
        "answer_url": {"address": URL, "http_method": "POST", "connect_timeout": 500},
        "fallback_answer_url": {"address": "https://static.example/sorry.json", "http_method": "GET"},
        "event_url": {"address": EVENTS, "http_method": "POST", "socket_timeout": 3000},
    }


async def test_an_application_without_voice_gets_it(vonage: VonageEmulator) -> None:
    vonage.api.application.fields = {"name": "Bare", "capabilities": None}
    assert (await application(vonage).settings()).answer_url == ""
    await application(vonage).set_webhooks(URL)
    assert vonage.api.application.answer_url == URL


async def test_one_that_is_not_as_documented_is_left_alone() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=b'{"name":"x","capabilities":[1]}')]
        found = Application(AccountApi(api.url, Credentials(api_key="k", api_secret="s")), "app")
        with pytest.raises(CarrierRequestFailed, match="not as documented"):
            await found.set_webhooks(URL)
    assert [request.method for request in api.requests] == ["GET"]


def test_the_url_for_events_is_beside_the_one_for_calls() -> None:
    assert event_url_for(URL) == EVENTS
    assert event_url_for(f"{URL}?a=b/c") == f"{EVENTS}?a=b/c"
