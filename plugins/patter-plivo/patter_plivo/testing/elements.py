"""What an emulated call does with a document: one element after the other, until one leads elsewhere.

The document is read as strictly as Plivo reads it: an element or an attribute that Plivo does not know, a value that it
does not take, and a document that is too long end the call.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from xml.etree.ElementTree import Element, ParseError, fromstring

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.telephony.leg import Progress
from patter_core.testing.call import Callee
from patter_core.testing.stream import Problem, StreamEnd
from patter_plivo.formats import stream_format

__all__ = ["Performance", "Then", "parse"]

LONGEST_DOCUMENT = 100_000
LONGEST_STREAM_URL = 2_048
LONGEST_HEADERS = 512
INVALID_XML = 8011
_BOOLEAN = re.compile(r"true|false")
_NUMBER = re.compile(r"[0-9]{1,6}")
_URL = re.compile(r"https?://\S+")
_ANY = re.compile(r".*", re.DOTALL)
_METHOD = re.compile(r"GET|POST")
_RATE = re.compile(r"audio/x-mulaw;rate=8000|audio/x-l16;rate=(?:8000|16000|24000)")

_ATTRIBUTES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "Conference": {"startConferenceOnEnter": _BOOLEAN, "endConferenceOnExit": _BOOLEAN, "stayAlone": _BOOLEAN},
    "Dial": {"callerId": _ANY, "timeout": _NUMBER, "timeLimit": _NUMBER, "action": _URL, "method": _METHOD},
    "Hangup": {"reason": re.compile(r"rejected|busy"), "schedule": _NUMBER},
    "Number": {"sendDigits": _ANY},
    "Play": {"loop": _NUMBER},
    "Redirect": {"method": _METHOD},
    "Speak": {"voice": _ANY, "language": _ANY, "loop": _NUMBER},
    "Stream": {
        "bidirectional": _BOOLEAN,
        "keepCallAlive": _BOOLEAN,
        "contentType": _RATE,
        "audioTrack": re.compile(r"inbound|outbound|both"),
        "streamTimeout": _NUMBER,
        "statusCallbackUrl": _URL,
        "statusCallbackMethod": _METHOD,
        "extraHeaders": _ANY,
    },
    "User": {"sendDigits": _ANY, "sipHeaders": _ANY},
    "Wait": {"length": _NUMBER, "silence": _BOOLEAN, "minSilence": _NUMBER, "beep": _BOOLEAN},
}
_INSIDE: Mapping[str, frozenset[str]] = {"Dial": frozenset({"Number", "User"})}


class Then(msgspec.Struct, frozen=True):
    """What comes after an element: by default the next one."""

    url: str = ""
    """Leave this document for the one at this URL."""
    method: str = "POST"
    over: bool = False
    """The call is over."""


_NEXT = Then()
_OVER = Then(over=True)


class Line(Protocol):
    """What the elements need of a call."""

    spoken: list[str]
    played: list[str]
    transferred_to: list[str]
    changes: Changes

    def answer(self) -> None:
        """The call is answered, if it was not before."""

    def reject(self, reason: str) -> None:
        """It never will be, unless it was."""

    def callee_at(self, number: str) -> Callee:
        """Who answers that number."""

    async def speak(self, text: str) -> None:
        """Speaks a text to them."""

    async def beep(self) -> None:
        """Waits for the beep of a machine."""

    async def confer(self, element: Element) -> None:
        """Goes to a conference and lives through it."""

    async def open_stream(self, element: Element) -> StreamEnd:
        """Opens a stream and lives through it."""


def parse(document: bytes, problems: list[Problem]) -> list[Element] | None:
    """The elements; None for what Plivo does not take."""
    fault = ""
    elements: list[Element] = []
    if len(document) > LONGEST_DOCUMENT:
        fault = f"{len(document)} bytes"
    else:
        try:
            response = fromstring(document)  # noqa: S314 - XML of the app under test, on loopback
        except ParseError as error:
            fault = str(error)
        else:
            elements = list(response)
            fault = f"<{response.tag}>" if response.tag != "Response" or response.attrib else _fault_in(elements)
    if fault:
        problems.append(Problem(INVALID_XML, f"Invalid XML: {fault}"))
        return None
    return elements


def _fault_in(elements: list[Element], parent: str = "") -> str:
    allowed = _INSIDE.get(parent, frozenset()) if parent else frozenset(_ATTRIBUTES) - _INSIDE["Dial"]
    for element in elements:
        known = _ATTRIBUTES.get(element.tag)
        if known is None or element.tag not in allowed:
            return f"<{element.tag}>"
        for name, value in element.attrib.items():
            if name not in known or not known[name].fullmatch(value):
                return f"<{element.tag} {name}={value!r}>"
        fault = _fault_in(list(element), element.tag)
        if not fault and element.tag == "Stream":
            fault = _fault_in_stream(element)
        if fault:
            return fault
    return ""


def _fault_in_stream(element: Element) -> str:
    url = (element.text or "").strip()
    if not url.startswith(("ws://", "wss://")) or len(url) > LONGEST_STREAM_URL:
        return f"<Stream> with a URL of {len(url)} characters"
    if element.get("bidirectional") == "true" and element.get("audioTrack", "inbound") != "inbound":
        return "<Stream bidirectional> with another track than inbound"
    if len(element.get("extraHeaders", "")) > LONGEST_HEADERS:
        return "<Stream> with long extraHeaders"
    name, _, rate = element.get("contentType", "").partition(";rate=")
    return "" if rate and stream_format(name, int(rate)) else "<Stream> without contentType"


class Performance:
    """The elements on one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._elements: Mapping[str, Callable[[Element], Awaitable[Then]]] = {
            "Conference": self._conference,
            "Dial": self._dial,
            "Hangup": self._hangup,
            "Play": self._play,
            "Redirect": self._redirect,
            "Speak": self._speak,
            "Stream": self._stream,
            "Wait": self._wait,
        }

    async def perform(self, elements: list[Element]) -> Then:
        """Does one after the other, until one leads elsewhere; after the last one the call is over."""
        for element in elements:
            if element.tag not in {"Hangup", "Redirect"}:
                self._line.answer()
            then = await self._elements[element.tag](element)
            if then.url or then.over:
                return then
        return _OVER

    async def _stream(self, element: Element) -> Then:
        if element.get("keepCallAlive") != "true":  # the document goes on beside the stream, and is over at once
            return _NEXT
        return _OVER if await self._line.open_stream(element) is StreamEnd.CALLER_HUNG_UP else _NEXT

    async def _speak(self, element: Element) -> Then:
        await self._line.speak(element.text or "")
        return _NEXT

    async def _play(self, element: Element) -> Then:
        self._line.played.append(element.text or "")
        self._line.changes.notify()
        if element.get("loop") == "0":
            await anyio.sleep_forever()
        return _NEXT

    async def _dial(self, element: Element) -> Then:
        target = next(iter(element), None)
        number = "" if target is None else (target.text or "")
        callee = self._line.callee_at(number)
        self._line.transferred_to.append(number)
        self._line.changes.notify()
        await anyio.sleep(callee.rings)
        if callee.outcome is Progress.ANSWERED:
            await anyio.sleep(callee.talks)
        return _NEXT

    async def _conference(self, element: Element) -> Then:
        await self._line.confer(element)
        return _OVER

    async def _wait(self, element: Element) -> Then:
        with anyio.move_on_after(float(element.get("length", "1"))):
            if element.get("beep") == "true":
                await self._line.beep()
            else:
                await anyio.sleep_forever()
        return _NEXT

    async def _hangup(self, element: Element) -> Then:
        self._line.reject(element.get("reason", ""))
        return _OVER

    async def _redirect(self, element: Element) -> Then:
        return Then(url=(element.text or "").strip(), method=element.get("method", "POST"))
