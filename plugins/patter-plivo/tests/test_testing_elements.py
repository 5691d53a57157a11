from __future__ import annotations

import pytest

from patter_core.testing.stream import Problem
from patter_plivo import plivoxml
from patter_plivo.testing.elements import INVALID_XML, parse

MEDIA = "wss://phone.example/media/plivo/token"


def test_what_the_plugin_writes_is_taken() -> None:
    problems: list[Problem] = []
    elements = parse(
        plivoxml.document(
            plivoxml.stream(MEDIA, content_type="audio/x-l16;rate=24000", parameters={"a": "1"}),
            plivoxml.redirect("https://phone.example/webhooks/plivo/action?call=a"),
            plivoxml.dial("+15550001234"),
            plivoxml.conference("room"),
            plivoxml.wait_for_beep(60),
            plivoxml.hangup("busy"),
        ),
        problems,
    )
    assert problems == []
    assert elements is not None
    assert [element.tag for element in elements] == ["Stream", "Redirect", "Dial", "Conference", "Wait", "Hangup"]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"\x00", "Invalid XML"),
        (b"<Response>", "Invalid XML"),
        (b"<Response a='1'/>", "<Response>"),
        (b"<Response><Wait length='long'/></Response>", "<Wait length='long'>"),
        (b"<Response><Stream>https://a.example</Stream></Response>", "<Stream> with a URL"),
        (b"<Response><Dial><Conference>a</Conference></Dial></Response>", "<Conference>"),
        (b"<Response><User>a</User></Response>", "<User>"),
    ],
)
def test_what_plivo_does_not_know_is_one_problem(document: bytes, text: str) -> None:
    problems: list[Problem] = []
    elements = parse(document, problems)
    assert elements is None
    assert [problem.code for problem in problems] == [INVALID_XML]
    assert text in problems[0].text
