"""TwiML: Twilio's instructions for a call.

Each verb is an element; `document` puts verbs, in order, into a response. Names and limits are those of Twilio's pages
"TwiML for Programmable Voice". Text is escaped, and characters that XML cannot hold are left out: one of them in a
display name must not end the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = [
    "CONTENT_TYPE",
    "conference",
    "connect_stream",
    "dial",
    "document",
    "hangup",
    "pause",
    "play",
    "redirect",
    "reject",
    "say",
]

CONTENT_TYPE = "text/xml; charset=utf-8"

# What XML 1.0, production [2] Char, leaves out. The same as all but what it has would take 4 ms to compile.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def document(*verbs: Element) -> bytes:
    """Returns the verbs as a TwiML document."""
    response = Element("Response")
    response.extend(verbs)
    data: bytes = tostring(response, encoding="utf-8", xml_declaration=True)
    return data


def connect_stream(url: str, *, action: str = "", parameters: Mapping[str, str] | None = None) -> Element:
    """`<Connect><Stream>`: audio both ways; when the stream is over, Twilio requests `action`.

    Args:
        url: wss://…, without a query, which Twilio drops.
        action: an absolute URL.
        parameters: sent back in the stream's `start`; empty ones are left out.
    """
    connect = _verb("Connect", action=action)
    stream = SubElement(connect, "Stream", {"url": _clean(url)})
    for name, value in (parameters or {}).items():
        if value:
            SubElement(stream, "Parameter", {"name": _clean(name), "value": _clean(value)})
    return connect


def reject(reason: str = "rejected") -> Element:
    """`<Reject>`: the call is not answered and costs nothing. The reason is `rejected` or `busy`."""
    return _verb("Reject", reason=reason)


def hangup() -> Element:
    """`<Hangup>`: the call ends."""
    return Element("Hangup")


def say(text: str, *, voice: str = "", language: str = "") -> Element:
    """`<Say>`: Twilio speaks a text."""
    return _verb("Say", text, voice=voice, language=language)


def play(url: str, *, loop: int = 1) -> Element:
    """`<Play>`: an audio file; `loop` 0 repeats it without end."""
    return _verb("Play", url, loop=str(loop))


def pause(seconds: int) -> Element:
    """`<Pause>`: silence."""
    return _verb("Pause", length=str(seconds))


def redirect(url: str = "") -> Element:
    """`<Redirect>`: Twilio requests that URL; without one, the same document again."""
    return _verb("Redirect", url)


def dial(to: str, *, caller_id: str = "") -> Element:
    """`<Dial>`: connects the call to a number, or to a SIP address (`sip:…`)."""
    if to.startswith("sip:"):
        element = _verb("Dial", callerId=caller_id)
        SubElement(element, "Sip").text = _clean(to)
        return element
    return _verb("Dial", to, callerId=caller_id)


def conference(room: str) -> Element:
    """`<Dial><Conference>`: connects the call with another one that goes to the same room.

    The room ends when one of the two leaves, and both calls with it. Who is there first hears Twilio's own waiting
    music, no silence; there is no beep.

    Args:
        room: its name, without personal data, which Twilio forbids there.
    """
    element = Element("Dial")
    attributes = {"startConferenceOnEnter": "true", "endConferenceOnExit": "true", "beep": "false"}
    SubElement(element, "Conference", attributes).text = _clean(room)
    return element


def _verb(name: str, text: str = "", /, **attributes: str) -> Element:
    """Returns an element without its empty attributes."""
    element = Element(name, {key: _clean(value) for key, value in attributes.items() if value})
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    return _NO_XML.sub("", text)
