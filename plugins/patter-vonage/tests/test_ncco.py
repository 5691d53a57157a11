"""NCCOs, compared with the models of the vendor's own library."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vonage_voice.models import ncco as theirs
from vonage_voice.models.common import WebsocketAuthorization
from vonage_voice.models.connect_endpoints import PhoneEndpoint, SipEndpoint, WebsocketEndpoint

from patter_vonage import ncco
from patter_vonage.testing.requests import LONGEST_HEADERS, read_ncco
from patter_vonage.wire import SocketHeaders

URL = "https://phone.example/webhooks/vonage/stream?call=t"


def written(*actions: ncco.Action) -> Any:  # as the vendor's own models give it
    document = ncco.document(actions)
    assert len(read_ncco(document)) == len(actions)  # the emulator takes it, too
    return json.loads(document)


def expected(action: theirs.NccoAction) -> Any:
    return json.loads(action.model_dump_json(by_alias=True, exclude_none=True))


def test_a_media_socket() -> None:
    headers = SocketHeaders(leg="63f61863", number="15550001234")
    ours = ncco.websocket("wss://phone.example/media/t", sample_rate=24_000, headers=headers, event_url=URL)
    endpoint = WebsocketEndpoint(
        uri="wss://phone.example/media/t",
        contentType="audio/l16;rate=24000",
        headers={"patter_leg": "63f61863", "patter_number": "15550001234"},
        authorization=WebsocketAuthorization(type="vonage"),
    )
    theirs_ = theirs.Connect(
        endpoint=[endpoint], from_="15550001234", eventType="synchronous", eventUrl=[URL], eventMethod="POST"
    )
    assert written(ours) == [expected(theirs_)]


def test_a_media_socket_of_a_call_whose_own_number_is_not_known() -> None:
    (ours,) = written(ncco.websocket("wss://x/t", sample_rate=8_000, headers=SocketHeaders(), event_url=URL))
    assert (ours["randomFromNumber"], "from" in ours) == (True, False)


def test_numbers_and_sip_addresses() -> None:
    phone = ncco.Connect(endpoint=(ncco.endpoint_of("+15550007777"),), from_="15550001234")
    sip = ncco.Connect(endpoint=(ncco.endpoint_of("sip:ada@example.org"),), random_from_number=True)
    assert written(phone, sip) == [
        expected(theirs.Connect(endpoint=[PhoneEndpoint(number="15550007777")], from_="15550001234")),
        expected(theirs.Connect(endpoint=[SipEndpoint(uri="sip:ada@example.org")], randomFromNumber=True)),
    ]
    assert ncco.plain_number("+1555") == "1555"
    assert ncco.plain_number("sip:ada@example.org") == ncco.plain_number("") == ""


def test_what_else_is_used() -> None:
    assert written(
        *ncco.talks("Hello.", language="en-GB", style=2, premium=True),
        ncco.Record(format="wav", split="conversation", channels=2, event_url=(URL,), event_method="POST"),
        ncco.Conversation(name="room", end_on_exit=True),
        ncco.Notify(payload=SocketHeaders(leg="1"), event_url=(URL,), event_method="POST"),
        ncco.Wait(timeout=20.0),
        ncco.Stream(stream_url=("https://music.example/a.mp3",), loop=0),
    ) == [
        expected(theirs.Talk(text="Hello.", language="en-GB", style=2, premium=True)),
        expected(theirs.Record(format="wav", split="conversation", channels=2, eventUrl=[URL], eventMethod="POST")),
        expected(theirs.Conversation(name="room", endOnExit=True)),
        expected(theirs.Notify(payload={"patter_leg": "1"}, eventUrl=[URL], eventMethod="POST")),
        expected(theirs.Wait(timeout=20.0)),
        expected(theirs.Stream(streamUrl=["https://music.example/a.mp3"], loop=0)),
    ]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("", []), ("  ", []), ("a" * 1_500, [1_500]), ("a" * 3_100, [1_500, 1_500, 100]), ("word " * 400, [1_499, 499])],
)
def test_a_long_text_is_spoken_in_parts_and_none_of_it_is_lost(text: str, lengths: list[int]) -> None:
    parts = [talk.text for talk in ncco.talks(text)]
    assert [len(part) for part in parts] == lengths
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


def test_the_longest_headers_of_a_media_socket_fit() -> None:
    headers = SocketHeaders(leg="x" * 36, number="1" * 15, region="https://api-apac-australia-3.vonage.com")
    (ours,) = written(ncco.websocket("wss://x/t", sample_rate=8_000, headers=headers, event_url=URL))
    assert len(json.dumps(ours["endpoint"][0]["headers"])) < LONGEST_HEADERS


def test_no_instruction_shows_a_number_or_a_token() -> None:
    shown = repr(ncco.Connect(endpoint=(ncco.endpoint_of("+15550007777"),), from_="15550001234"))
    assert "1555" not in shown
    assert "wss" not in repr(ncco.websocket("wss://x/t", sample_rate=8_000, headers=SocketHeaders(), event_url=URL))
