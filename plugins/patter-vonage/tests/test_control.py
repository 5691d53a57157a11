"""Commands, as the API gets them."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks, DialRequest
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_core.webhook import Accept, Reject
from patter_vonage import ncco
from patter_vonage.control import REGION, Control, Voice
from patter_vonage.jwt import read_private_key
from patter_vonage.testing.keys import new_key

pytestmark = pytest.mark.anyio

KEY = read_private_key(new_key()[0])
LEG = Leg(carrier="vonage", call_id="leg-1", from_number="+15550007777", to_number="+15550001234")
CALLBACKS = Callbacks("https://phone.example/webhooks/vonage", "token")
ACCEPT = Accept(call_id="1", media_url="wss://phone.example/media/vonage/secret", callbacks=CALLBACKS)


def control(base_url: str = "https://api.nexmo.com", *, record: bool = False) -> Control:
    return Control(base_url, "app", KEY, 16_000, Voice("en-GB", 1), record)


def sent(api: FakeApi) -> list[tuple[str, str, Any]]:
    return [(one.method, one.path, msgspec.json.decode(one.body) if one.body else None) for one in api.requests]


def dialling(**changes: object) -> DialRequest:
    request = DialRequest(
        to_number="+15550007777",
        from_number="+15550001234",
        ring_timeout=30.5,
        callbacks=CALLBACKS,
        command_id="command",
    )
    return msgspec.structs.replace(request, **changes)


async def test_a_call_is_made_with_webhooks_of_its_own() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=201, body=b'{"uuid":"leg-2","status":"started"}')]
        assert await control(api.url).dial(dialling()) == "leg-2"
        (request,) = sent(api)
    assert request == (
        "POST",
        "/v1/calls",
        {
            "to": [{"type": "phone", "number": "15550007777"}],
            "from": {"type": "phone", "number": "15550001234"},
            "answer_url": ["https://phone.example/webhooks/vonage/answered?call=token"],
            "answer_method": "POST",
            "event_url": ["https://phone.example/webhooks/vonage/event?call=token"],
            "event_method": "POST",
            "ringing_timer": 31,
        },
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"ring_timeout": 0.1}, "ringing_timer", 1),
        ({"ring_timeout": 600.0}, "ringing_timer", 120),
        ({"to_number": "sip:ada@example.org"}, "to", [{"type": "sip", "uri": "sip:ada@example.org"}]),
        ({"machine_detection": True}, "advanced_machine_detection", {"behavior": "continue", "mode": "detect"}),
        (
            {"machine_detection": True, "await_greeting_end": True},
            "advanced_machine_detection",
            {"behavior": "continue", "mode": "detect_beep"},
        ),
    ],
)
async def test_what_a_request_to_dial_asks_for(changes: dict[str, object], field: str, value: object) -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=201, body=b'{"uuid":"leg-2"}')]
        await control(api.url).dial(dialling(**changes))
        ((_, _, body),) = sent(api)
    assert body[field] == value


async def test_a_transfer_and_a_farewell_replace_what_the_call_does() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=204, body=b"")]
        await control(api.url).transfer(LEG, Transfer("+15550009999", "One moment."))
        await control(api.url).say_and_hang_up(LEG, "Goodbye.")
        transfer, farewell = sent(api)
    talk = {"action": "talk", "text": "One moment.", "language": "en-GB", "style": 1}
    connect = {"action": "connect", "endpoint": [{"type": "phone", "number": "15550009999"}], "from": "15550001234"}
    assert transfer == (
        "PUT",
        "/v1/calls/leg-1",
        {"action": "transfer", "destination": {"type": "ncco", "ncco": [talk, connect]}},
    )
    assert farewell[2]["destination"]["ncco"] == [{**talk, "text": "Goodbye."}]


async def test_keys_and_hold_music_go_to_the_leg() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=200)]
        one = control(api.url)
        await one.send_dtmf(LEG, "1W2w#")
        await one.hold(LEG, "https://music.example/a.mp3")
        await one.resume(LEG)
        await one.hold(LEG, "")
        requests = sent(api)
    assert requests == [
        ("PUT", "/v1/calls/leg-1/dtmf", {"digits": "1p2p#"}),
        ("PUT", "/v1/calls/leg-1/stream", {"stream_url": ["https://music.example/a.mp3"], "loop": 0}),
        ("DELETE", "/v1/calls/leg-1/stream", None),
        ("DELETE", "/v1/calls/leg-1/stream", None),
    ]


async def test_a_call_is_looked_up() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=b'{"uuid":"1","status":"answered","price":"0.1"}')]
        during = await control(api.url).look_up(LEG)
        api.answers = [ApiAnswer(body=b'{"uuid":"1","status":"completed","price":"0.1"}')]
        after = await control(api.url).look_up(LEG)
    assert (during.progress, during.cost) == (Progress.ANSWERED, None)
    assert after.cost is not None
    assert (after.progress, after.cost.currency) == (Progress.COMPLETED, "EUR")


async def test_two_calls_meet_in_a_room_the_other_one_first() -> None:
    other = Leg(carrier="vonage", call_id="leg-2")
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=204, body=b"")]
        await control(api.url).connect(LEG, other)
        first, music, second = sent(api)
        api.requests.clear()
        api.answers = [ApiAnswer(status=404)]
        with pytest.raises(CarrierRequestFailed) as failure:
            await control(api.url).connect(LEG, other)
        assert [request.path for request in api.requests] == ["/v1/calls/leg-2"]  # the caller stays on hold
    assert [first[1], music[1], second[1]] == ["/v1/calls/leg-2", "/v1/calls/leg-1/stream", "/v1/calls/leg-1"]
    assert first[2] == second[2]
    (room,) = first[2]["destination"]["ncco"]
    assert room == {"action": "conversation", "name": room["name"], "endOnExit": True}
    assert failure.value.taken is False


# --- outcomes ------------------------------------------------------------------------------------------------------


def test_an_outcome_is_a_row_of_actions() -> None:
    one = control(record=True)
    assert [type(action).__name__ for action in one.actions(LEG, ACCEPT, is_first=True)] == ["Record", "Connect"]
    assert [type(action).__name__ for action in one.actions(LEG, ACCEPT)] == ["Connect"]  # that recording goes on
    assert [type(action).__name__ for action in control().actions(LEG, ACCEPT, is_first=True)] == ["Connect"]
    assert one.actions(LEG, Reject()) == one.actions(LEG, HangUp()) == []
    assert [type(action).__name__ for action in one.actions(LEG, HangUp("Bye."))] == ["Talk"]
    assert [type(action).__name__ for action in one.actions(LEG, Transfer("+15550009999"))] == ["Connect"]


@pytest.mark.parametrize("direction", list(Direction))
def test_a_call_is_transferred_from_the_accounts_own_number(direction: Direction) -> None:
    leg = msgspec.structs.replace(LEG, direction=direction)
    (action,) = msgspec.to_builtins(control().actions(leg, Transfer("+15550009999")))
    assert action["from"] == ("15550001234" if direction is Direction.INBOUND else "15550007777")


# --- regions -------------------------------------------------------------------------------------------------------


async def test_a_call_is_commanded_in_its_region() -> None:
    async with fake_api() as usual, fake_api() as region:
        for api in (usual, region):
            api.answers = [ApiAnswer(status=204, body=b"")]
        one = control(usual.url)
        await one.hang_up(msgspec.structs.replace(LEG, parameters={REGION: f"{region.url}/v1"}))
        await one.hang_up(LEG)
        assert ([len(api.requests) for api in (usual, region)]) == [1, 1]
        assert region.requests[0].path == "/v1/calls/leg-1"


@pytest.mark.parametrize(
    ("region", "is_taken"),
    [
        ("https://api-eu-3.vonage.com", True),
        ("https://api-us-3.vonage.com/v1", True),
        ("https://api-eu-3.nexmo.com", True),
        ("http://api-eu-3.vonage.com", False),
        ("https://vonage.com.evil.example", False),
        ("https://evilvonage.com", False),
        ("https://evil.example/.vonage.com", False),
        ("https://x@api-eu-3.vonage.com", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_a_token_goes_to_the_vendors_hosts_only(region: str, is_taken: bool) -> None:
    one = control()
    api = one.api(msgspec.structs.replace(LEG, parameters={REGION: region}))
    assert (api is one.api()) is not is_taken
    headers = msgspec.to_builtins(one.actions(msgspec.structs.replace(LEG, parameters={REGION: region}), ACCEPT))
    assert ("patter_region" in headers[0]["endpoint"][0]["headers"]) is is_taken


async def test_hold_music_that_cannot_be_stopped_does_not_hold_up_an_answer() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=401)]
        await control(api.url).stop_hold_music(LEG)
        api.answers = [ApiAnswer(delay=3.0)]
        began = anyio.current_time()
        await control(api.url).stop_hold_music(LEG)
        assert anyio.current_time() - began < 2.5
        assert len(api.requests) == 2


def test_a_notice_is_said_before_the_recording_begins_and_the_stream() -> None:
    accept = msgspec.structs.replace(ACCEPT, notice="Recorded & kept.")
    talk, record, connect = control(record=True).actions(LEG, accept, is_first=True)
    assert talk == ncco.Talk(text="Recorded & kept.", language="en-GB", style=1)
    assert isinstance(record, ncco.Record)
    assert isinstance(connect, ncco.Connect)
