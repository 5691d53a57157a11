"""Our XML, compared with what Plivo's own SDK writes."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring, tostring

import pytest
from plivo import plivoxml as theirs

from patter_core.testing.stream import Problem
from patter_plivo import plivoxml as ours
from patter_plivo.testing.elements import parse

URL = "https://phone.example/webhooks/plivo/action?call=a.b&x=<1>"
MEDIA = "wss://phone.example/media/plivo/token"
RATE = "audio/x-mulaw;rate=8000"


def shape(element: Element) -> tuple[str, str, dict[str, str], list[object]]:
    return element.tag, (element.text or "").strip(), dict(element.attrib), [shape(one) for one in element]


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (
            ours.stream(MEDIA, content_type="audio/x-mulaw;rate=8000", status_url=URL, parameters={"shop": "main"}),
            theirs.StreamElement(
                MEDIA,
                bidirectional=True,
                keepCallAlive=True,
                contentType=RATE,
                statusCallbackUrl=URL,
                statusCallbackMethod="POST",
                extraHeaders="shop=main",
            ),
        ),
        (ours.hangup("busy"), theirs.HangupElement(reason="busy")),
        (ours.hangup(), theirs.HangupElement()),
        (ours.redirect(URL), theirs.RedirectElement(URL, method="POST")),
        (ours.wait(3), theirs.WaitElement(length=3)),
        (ours.wait_for_beep(9), theirs.WaitElement(length=9, beep=True)),
        (ours.play(URL, loop=0), theirs.PlayElement(URL, loop=0)),
        (ours.dial("+15550001234"), theirs.DialElement().add(theirs.NumberElement("+15550001234"))),
        (ours.dial("sip:ada@example.org"), theirs.DialElement().add(theirs.UserElement("sip:ada@example.org"))),
        (
            ours.conference("room"),
            theirs.ConferenceElement("room", start_conference_on_enter=True, end_conference_on_exit=True),
        ),
    ],
    ids=lambda one: one.tag if isinstance(one, Element) else "",
)
def test_each_element_is_the_one_that_the_sdk_writes(mine: Element, other: object) -> None:
    document = ours.document(mine)
    sdk = theirs.ResponseElement().add(other).to_string().encode()
    assert [shape(one) for one in fromstring(document)] == [shape(one) for one in fromstring(sdk)]
    problems: list[Problem] = []
    assert parse(document, problems) is not None, problems


def test_a_spoken_text_has_its_voice_and_language() -> None:
    element = ours.speak("Grüße & <b>", voice="Polly.Vicki", language="de-DE")
    assert shape(element) == ("Speak", "Grüße & <b>", {"voice": "Polly.Vicki", "language": "de-DE"}, [])
    assert shape(fromstring(ours.document(element))[0]) == shape(element)


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    document = ours.document(ours.speak("a\x00b\ud800c\x1b"), ours.dial("sip:x\x07@example.org"))
    first, second = fromstring(document)
    assert (first.text, second[0].text) == ("abc", "sip:x@example.org")


def test_only_parameters_that_plivo_takes_are_sent() -> None:
    parameters = {"a": "1", "b-c": "2", "d": "x y", "e": "3", "long": "9" * 600, "f": "z" * 500, "g": "4"}
    element = ours.stream(MEDIA, content_type="audio/x-mulaw;rate=8000", parameters=parameters)
    written = element.get("extraHeaders", "")
    assert written == f"a=1,e=3,f={'z' * 500}"[: len("a=1,e=3,f=") + 500]
    assert len(written) <= ours.LONGEST_HEADERS
    assert "extraHeaders" not in tostring(ours.stream(MEDIA, content_type="audio/x-mulaw;rate=8000")).decode()
