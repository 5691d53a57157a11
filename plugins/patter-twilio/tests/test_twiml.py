from __future__ import annotations

from xml.etree.ElementTree import canonicalize, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from patter_twilio import twiml


def same_as_the_vendors(ours: bytes, vendors: VoiceResponse) -> bool:
    return canonicalize(ours.decode()) == canonicalize(str(vendors))


def test_connect_is_what_the_vendors_library_writes() -> None:
    ours = twiml.document(
        twiml.connect_stream(
            "wss://phone.example/media/twilio/token",
            action="https://phone.example/webhooks/twilio/action?a=1&b=2",
            parameters={"from": "+15005550006", "to": "sip:<o'neil>@pbx.example", "note": 'a "b" & c'},
        )
    )
    vendors = VoiceResponse()
    connect = Connect(action="https://phone.example/webhooks/twilio/action?a=1&b=2")
    stream = connect.stream(url="wss://phone.example/media/twilio/token")
    stream.parameter(name="from", value="+15005550006")
    stream.parameter(name="to", value="sip:<o'neil>@pbx.example")
    stream.parameter(name="note", value='a "b" & c')
    vendors.append(connect)
    assert same_as_the_vendors(ours, vendors)


def test_parameters_and_attributes_that_are_empty_are_left_out() -> None:
    assert b"Parameter" not in twiml.document(twiml.connect_stream("wss://x", parameters={"from": ""}))
    assert b"action" not in twiml.document(twiml.connect_stream("wss://x"))


@pytest.mark.parametrize("reason", ["rejected", "busy"])
def test_reject_is_what_the_vendors_library_writes(reason: str) -> None:
    vendors = VoiceResponse()
    vendors.reject(reason=reason)
    assert same_as_the_vendors(twiml.document(twiml.reject(reason)), vendors)


def test_say_play_and_dial_are_what_the_vendors_library_writes() -> None:
    vendors = VoiceResponse()
    vendors.say("Un attimo <&> via.", voice="Polly.Bianca", language="it-IT")
    vendors.play("https://music.example/a.mp3?b=1&c=2", loop=0)
    vendors.pause(length=3)
    vendors.dial("+15550001111", caller_id="+15550002222")
    dial = Dial()
    dial.sip("sip:a@b.example")
    vendors.append(dial)
    ours = twiml.document(
        twiml.say("Un attimo <&> via.", voice="Polly.Bianca", language="it-IT"),
        twiml.play("https://music.example/a.mp3?b=1&c=2", loop=0),
        twiml.pause(3),
        twiml.dial("+15550001111", caller_id="+15550002222"),
        twiml.dial("sip:a@b.example"),
    )
    assert same_as_the_vendors(ours, vendors)


def test_hangup_is_what_the_vendors_library_writes() -> None:
    vendors = VoiceResponse()
    vendors.hangup()
    assert same_as_the_vendors(twiml.document(twiml.hangup()), vendors)


def test_redirect_is_what_the_vendors_library_writes() -> None:
    vendors = VoiceResponse()
    vendors.redirect("")
    assert same_as_the_vendors(twiml.document(twiml.redirect()), vendors)


def test_verbs_keep_their_order() -> None:
    response = fromstring(twiml.document(twiml.connect_stream("wss://x"), twiml.hangup()))
    assert [verb.tag for verb in response] == ["Connect", "Hangup"]


@given(st.dictionaries(st.text(st.characters(), min_size=1, max_size=9), st.text(st.characters(), min_size=1)))
def test_any_parameter_can_be_written_and_parsed(parameters: dict[str, str]) -> None:
    response = fromstring(twiml.document(twiml.connect_stream("wss://x", parameters=parameters)))
    found = [(item.get("name"), item.get("value")) for item in response.iterfind("Connect/Stream/Parameter")]
    assert found == [(legible(name), legible(value)) for name, value in parameters.items()]


def legible(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(
        letter
        for letter in text
        if letter in "\t\n\r" or (letter >= " " and not "\ud800" <= letter <= "\udfff" and letter not in "\ufffe\uffff")
    )
