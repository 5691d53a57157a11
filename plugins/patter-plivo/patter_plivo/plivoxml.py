"""Plivo's XML: its instructions for a call.

Each instruction is an element; `document` puts elements, in order, into a response. Names and limits are those of
Plivo's page "XML reference". Text is escaped, and characters that XML cannot hold are left out: one of them in a
display name must not end the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from patter_plivo.formats import ContentType

__all__ = [
    "CONTENT_TYPE",
    "conference",
    "dial",
    "document",
    "hangup",
    "play",
    "redirect",
    "speak",
    "stream",
    "wait",
    "wait_for_beep",
]

CONTENT_TYPE = "text/xml; charset=utf-8"
LONGEST_HEADERS = 512
"""Bytes of `extraHeaders`."""
_HEADER = re.compile(r"[A-Za-z0-9]+")

# What XML 1.0, production [2] Char, leaves out. The same as all but what it has would take 4 ms to compile.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def document(*elements: Element) -> bytes:
    """Returns the elements as a document of Plivo's."""
    response = Element("Response")
    response.extend(elements)
    data: bytes = tostring(response, encoding="utf-8", xml_declaration=True)
    return data


def stream(
    url: str, *, content_type: ContentType, status_url: str = "", parameters: Mapping[str, str] | None = None
) -> Element:
    """`<Stream>`: audio both ways. What stands behind it is done once the stream is over and the call is not.

    Args:
        url: wss://…, of at most 2,048 characters.
        content_type: of both directions.
        status_url: is told of the stream's start, its end and its faults.
        parameters: sent back in the stream's `start`. Plivo takes letters and digits, and 512 bytes in all: what does
            not fit is left out.
    """
    return _element(
        "Stream",
        url,
        bidirectional="true",
        keepCallAlive="true",
        contentType=content_type,
        statusCallbackUrl=status_url,
        statusCallbackMethod="POST" if status_url else "",
        extraHeaders=_headers(parameters or {}),
    )


def _headers(parameters: Mapping[str, str]) -> str:
    written = ""
    for name, value in parameters.items():
        if _HEADER.fullmatch(name) and _HEADER.fullmatch(value):
            longer = f"{written},{name}={value}" if written else f"{name}={value}"
            written = longer if len(longer) <= LONGEST_HEADERS else written
    return written


def hangup(reason: str = "") -> Element:
    """`<Hangup>`: the call ends. One that was not answered is rejected by the reason `rejected` or `busy`."""
    return _element("Hangup", reason=reason)


def speak(text: str, *, voice: str = "", language: str = "") -> Element:
    """`<Speak>`: Plivo speaks a text."""
    return _element("Speak", text, voice=voice, language=language)


def play(url: str, *, loop: int = 1) -> Element:
    """`<Play>`: an audio file; `loop` 0 repeats it without end."""
    return _element("Play", url, loop=str(loop))


def wait(seconds: int) -> Element:
    """`<Wait>`: silence."""
    return _element("Wait", length=str(seconds))


def wait_for_beep(seconds: int) -> Element:
    """`<Wait beep>`: silence until the beep of an answering machine, or at most that long."""
    return _element("Wait", length=str(seconds), beep="true")


def redirect(url: str) -> Element:
    """`<Redirect>`: Plivo requests that URL."""
    return _element("Redirect", url, method="POST")


def dial(to: str) -> Element:
    """`<Dial>`: connects the call to a number, or to a SIP address (`sip:…`)."""
    element = Element("Dial")
    SubElement(element, "User" if to.startswith(("sip:", "sips:")) else "Number").text = _clean(to)
    return element


def conference(room: str) -> Element:
    """`<Conference>`: connects the call with another one that goes to the same room.

    The room ends when one of the two leaves, and both calls with it. There is no sound at the entrance.

    Args:
        room: its name: letters, digits and hyphens.
    """
    return _element("Conference", room, startConferenceOnEnter="true", endConferenceOnExit="true")


def _element(name: str, text: str = "", /, **attributes: str) -> Element:
    """Returns an element without its empty attributes."""
    element = Element(name, {key: _clean(value) for key, value in attributes.items() if value})
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    return _NO_XML.sub("", text)
