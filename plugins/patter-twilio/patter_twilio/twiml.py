"""TwiML: what Twilio is told to do with a call.

Each verb is an element; `document` puts verbs, in order, into a response. Names and limits are those of Twilio's pages
"TwiML for Programmable Voice". Text is escaped, and characters that XML cannot hold are left out: a display name with
one in it must not cost the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = ["CONTENT_TYPE", "connect_stream", "dial", "document", "hangup", "pause", "play", "reject", "say"]

CONTENT_TYPE = "text/xml; charset=utf-8"

# XML 1.0, production [2] Char.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(*verbs: Element) -> bytes:
    """The verbs as a TwiML document."""
    response = Element("Response")
    response.extend(verbs)
    data: bytes = tostring(response, encoding="utf-8", xml_declaration=True)
    return data


def connect_stream(url: str, *, action: str = "", parameters: Mapping[str, str] | None = None) -> Element:
    """`<Connect><Stream>`: both ways, and the call goes on with `action` when the stream is over.

    Args:
        url: wss://…, without a query: Twilio drops it.
        action: absolute URL.
        parameters: come back in the stream's `start`; empty ones are left out.
    """
    connect = _verb("Connect", action=action)
    stream = SubElement(connect, "Stream", {"url": _clean(url)})
    for name, value in (parameters or {}).items():
        if value:
            SubElement(stream, "Parameter", {"name": _clean(name), "value": _clean(value)})
    return connect


def reject(reason: str = "rejected") -> Element:
    """`<Reject>`: the call is not answered, and costs nothing. The reason is `rejected` or `busy`."""
    return _verb("Reject", reason=reason)


def hangup() -> Element:
    """`<Hangup>`."""
    return Element("Hangup")


def say(text: str, *, voice: str = "", language: str = "") -> Element:
    """`<Say>`: a text in Twilio's voice."""
    return _verb("Say", text, voice=voice, language=language)


def play(url: str, *, loop: int = 1) -> Element:
    """`<Play>`: an audio file; `loop` 0 plays it again and again."""
    return _verb("Play", url, loop=str(loop))


def pause(seconds: int) -> Element:
    """`<Pause>`: silence."""
    return _verb("Pause", length=str(seconds))


def dial(to: str, *, caller_id: str = "") -> Element:
    """`<Dial>`: join the call with a number, or with a SIP address (`sip:…`)."""
    if to.startswith("sip:"):
        element = _verb("Dial", callerId=caller_id)
        SubElement(element, "Sip").text = _clean(to)
        return element
    return _verb("Dial", to, callerId=caller_id)


def _verb(name: str, text: str = "", /, **attributes: str) -> Element:
    """An element; attributes that are empty are left out."""
    element = Element(name, {key: _clean(value) for key, value in attributes.items() if value})
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    return _NO_XML.sub("", text)
