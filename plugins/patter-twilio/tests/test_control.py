from __future__ import annotations

import urllib.parse
from decimal import Decimal
from xml.etree.ElementTree import fromstring

import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.api import ApiAnswer, fake_api
from patter_core.webhook import Accept
from patter_twilio.control import Control
from patter_twilio.rest import LONGEST_TWIML, TwilioApi
from patter_twilio.testing import ACCOUNT_SID

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="twilio", call_id="CA1")


def control(url: str = "http://127.0.0.1:9") -> Control:
    return Control(TwilioApi(url, ACCOUNT_SID, (ACCOUNT_SID, "secret")), voice="alice", language="")


async def test_a_transfer_interrupts_the_call_with_a_text_in_the_configured_voice() -> None:
    async with fake_api() as api:
        await control(api.url).transfer(LEG, Transfer("+15005550009", "One moment."))
    (request,) = api.requests
    document = fromstring(urllib.parse.parse_qs(request.body.decode())["Twiml"][0])
    assert [(verb.tag, verb.text, verb.attrib) for verb in document] == [
        ("Say", "One moment.", {"voice": "alice"}),
        ("Dial", "+15005550009", {}),
    ]


async def test_a_hold_without_audio_is_silence_for_as_long_as_a_call_may_last() -> None:
    async with fake_api() as api:
        await control(api.url).hold(LEG, "")
    document = fromstring(urllib.parse.parse_qs(api.requests[0].body.decode())["Twiml"][0])
    assert {verb.tag for verb in document} == {"Pause"}
    assert sum(int(verb.get("length", "0")) for verb in document) == 4 * 3_600


async def test_a_hold_ends_at_the_voice_webhook_which_is_the_fallback_too() -> None:
    callbacks = Callbacks("https://phone.example/webhooks/twilio", "token")
    async with fake_api() as api:
        await control(api.url).resume(LEG, Accept(call_id="1", media_url="wss://phone.example/m", callbacks=callbacks))
    form = urllib.parse.parse_qs(api.requests[0].body.decode())
    url = "https://phone.example/webhooks/twilio/voice?call=token"
    assert form == {"Url": [url], "Method": ["POST"], "FallbackUrl": [url], "FallbackMethod": ["POST"]}


async def test_a_reported_price_is_a_cost_although_twilio_writes_it_as_a_debit() -> None:
    async with fake_api() as api:
        api.answers = [
            ApiAnswer(body=b'{"sid":"CA1","status":"completed","price":"-0.0085","price_unit":"usd"}'),
            ApiAnswer(body=b'{"sid":"CA1","status":"completed","price":null,"price_unit":"USD"}'),
        ]
        costs = [(await control(api.url).look_up(LEG)).cost for _ in range(2)]
    assert costs == [Cost(Decimal("0.0085"), "USD", estimated=False), None]


async def test_a_text_that_is_too_long_for_twilio_is_an_error_and_changes_nothing() -> None:
    with pytest.raises(CarrierRequestFailed, match="too long for Twilio"):
        await control().say_and_hang_up(LEG, "A" * LONGEST_TWIML)


async def test_calls_are_connected_in_a_room_that_ends_with_either_the_human_first() -> None:
    async with fake_api() as api:
        await control(api.url).connect(LEG, Leg(carrier="twilio", call_id="CA2"))
    assert [request.path.rpartition("/")[2] for request in api.requests] == ["CA2.json", "CA1.json"]
    for request in api.requests:
        document = fromstring(urllib.parse.parse_qs(request.body.decode())["Twiml"][0])
        ((room,),) = document
        assert (document[0].tag, room.tag, room.text) == ("Dial", "Conference", "CA1-CA2")
        assert room.attrib == {"startConferenceOnEnter": "true", "endConferenceOnExit": "true", "beep": "false"}


async def test_a_human_who_is_gone_leaves_the_caller_on_hold() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=400, body=b'{"code":21220}')]
        with pytest.raises(CarrierRequestFailed):
            await control(api.url).connect(LEG, Leg(carrier="twilio", call_id="CA2"))
    assert [request.path.rpartition("/")[2] for request in api.requests] == ["CA2.json"]


def test_a_notice_is_said_before_the_stream() -> None:
    callbacks = Callbacks("https://phone.example", "t")
    accept = Accept(call_id="1", media_url="wss://phone.example/m", callbacks=callbacks, notice="<1 & 2>")
    say, connect = control("https://api.twilio.com").verbs(LEG, accept)
    assert (say.text, say.get("voice"), connect.tag) == ("<1 & 2>", "alice", "Connect")
