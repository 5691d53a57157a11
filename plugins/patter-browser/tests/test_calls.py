from __future__ import annotations

import time

import msgspec
import pytest

from patter_browser import Browser
from patter_browser.calls import Answer
from patter_browser.signing import HEADER, sign
from patter_core.errors import WebhookRefused
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeRouter
from patter_core.webhook import Accept, Reject, WebhookRequest

pytestmark = pytest.mark.anyio

SECRET = "a secret of 16 characters or more"
ROOT = "https://phone.example/webhooks/browser"
ACCEPT = Accept(
    call_id="1", media_url="wss://phone.example/media/browser/stream", callbacks=Callbacks(ROOT, "callback")
)
ACCEPTED = Answer(
    media_url=ACCEPT.media_url,
    stream_url=f"{ROOT}/stream?call=callback",
    call="1",
    call_id="0123456789abcdef",
    rate=24_000,
)
CALL = {"call_id": "0123456789abcdef"}


async def asked(webhook: str, router: FakeRouter, fields: object, *, query: str = "") -> Answer:
    body, url = msgspec.json.encode(fields), f"{ROOT}/{webhook}{query}"
    headers = {HEADER: sign(SECRET, url, body, time.time())}
    request = WebhookRequest(method="POST", candidate_urls=(url,), headers=headers, body=body)
    carrier = Browser(SECRET, public=True)
    answer = await carrier.webhooks()[webhook].handler(request, router)
    return msgspec.json.decode(answer.body, type=Answer)


async def test_a_call_is_reported_with_its_numbers_and_parameters() -> None:
    router = FakeRouter(ACCEPT)
    fields = {**CALL, "from_number": "+1 500 555 0006", "to_number": "sales", "parameters": {"cart": "42"}}
    assert await asked("voice", router, fields) == ACCEPTED
    (report,) = router.reports
    assert report.leg == Leg(
        carrier="browser", call_id=CALL["call_id"], from_number="+15005550006", parameters={"cart": "42"}
    )
    assert report.verified_url == f"{ROOT}/voice"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Reject(reason="busy"), "busy"), (Reject(), "rejected"), (Transfer("+15005550009"), "rejected")],
)
async def test_a_call_that_is_not_taken_says_why(outcome: Reject | Transfer, reason: str) -> None:
    assert await asked("voice", FakeRouter(outcome), CALL) == Answer(reason=reason)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"call_id": "short"},
        {"call_id": "0123456789abcdef/../.."},
        {**CALL, "from_number": "1" * 201},
        {**CALL, "parameters": {str(number): "" for number in range(21)}},
        {**CALL, "parameters": {"a": 1}},
        [],
    ],
)
async def test_a_body_of_another_form_is_refused(fields: object) -> None:
    router = FakeRouter(ACCEPT)
    with pytest.raises(WebhookRefused, match="not as documented"):
        await asked("voice", router, fields)
    assert not router.reports


async def test_a_lost_socket_leads_to_another_one_or_to_the_end() -> None:
    router = FakeRouter(at_stream_end=ACCEPT)
    assert await asked("stream", router, CALL, query="?call=callback") == ACCEPTED
    assert (router.reports[0].what, router.reports[0].token) == ("stream_ended", "callback")
    assert await asked("stream", FakeRouter(at_stream_end=HangUp()), CALL) == Answer(reason="over")


def test_no_secret_of_a_call_is_shown() -> None:
    assert "stream" not in repr(ACCEPTED)
