"""What an emulated call does with a document: one verb after the other, until one leads elsewhere."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from xml.etree.ElementTree import Element, ParseError, fromstring

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.telephony.leg import Progress
from patter_core.testing.call import Callee
from patter_core.testing.stream import Problem, StreamEnd

__all__ = ["Performance", "Then", "parse"]


class Then(msgspec.Struct, frozen=True):
    """What comes after a verb: by default the next one."""

    url: str = ""
    """Leave this document for the one at this URL, relative to this one's."""
    again: bool = False
    """Leave this document for `url`, or request this one again if that is ""."""
    over: bool = False
    """The call is over."""
    method: str = "POST"


_OF_SAY = frozenset({"voice", "language", "loop"})
_LONGEST_SAY = 4_500
"""Characters, URL-encoded: a longer text is not said (page "Error 13521")."""
_NEXT_VERB = Then()
_OVER = Then(over=True)


class Line(Protocol):
    """What the verbs need of a call."""

    problems: list[Problem]
    spoken: list[str]
    played: list[str]
    transferred_to: list[str]
    digits: str
    changes: Changes

    def answer(self) -> None:
        """The call is answered, if it was not before."""

    def reject(self, reason: str) -> None:
        """It never will be."""

    def callee_at(self, number: str) -> Callee:
        """Who answers that number."""

    async def speak(self, text: str) -> None:
        """Speaks a text to them."""

    async def confer(self, noun: Element) -> None:
        """Goes to a conference and lives through it."""

    async def open_stream(self, noun: Element) -> StreamEnd:
        """Opens a stream and lives through it."""


def parse(document: bytes, problems: list[Problem]) -> list[Element] | None:
    """The verbs; None for what is no TwiML."""
    try:
        response = fromstring(document)  # noqa: S314 - TwiML of the app under test, on loopback
    except ParseError as error:
        problems.append(Problem(12100, f"Document parse failure: {error}"))
        return None
    if response.tag != "Response":
        problems.append(Problem(12100, f"Document parse failure: <{response.tag}>"))
        return None
    return list(response)


class Performance:
    """The verbs on one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._verbs: Mapping[str, Callable[[Element], Awaitable[Then]]] = {
            "Connect": self._connect,
            "Dial": self._dial,
            "Hangup": self._hangup,
            "Pause": self._pause,
            "Play": self._play,
            "Redirect": self._redirect,
            "Reject": self._reject,
            "Say": self._say,
        }

    async def perform(self, verbs: list[Element]) -> Then:
        """Does one after the other, until one leads elsewhere; after the last one the call is over."""
        for verb in verbs:
            perform = self._verbs.get(verb.tag)
            if perform is None:
                self._problem(f"<{verb.tag}>")
                continue
            if verb.tag not in {"Reject", "Redirect", "Hangup", "Pause"}:
                self._line.answer()
            then = await perform(verb)
            if then.url or then.again or then.over:
                return then
        return _OVER

    async def _connect(self, verb: Element) -> Then:
        noun = verb.find("Stream")
        if noun is None:
            self._problem("<Connect> without <Stream>")
            return _NEXT_VERB
        if await self._line.open_stream(noun) is StreamEnd.CALLER_HUNG_UP:
            return _OVER
        return Then(url=verb.get("action", ""), method=verb.get("method", "POST"))

    async def _say(self, verb: Element) -> Then:
        text = verb.text or ""
        if verb.attrib.keys() - _OF_SAY:
            self._problem(f"<Say> with {', '.join(sorted(verb.attrib.keys() - _OF_SAY))}")
        if len(urllib.parse.quote(text)) > _LONGEST_SAY:
            self._line.problems.append(Problem(13521, "<Say> element character limits exceeded"))
            return _NEXT_VERB
        await self._line.speak(text)
        return _NEXT_VERB

    async def _play(self, verb: Element) -> Then:
        if verb.get("digits"):
            self._line.digits += verb.get("digits", "")
        else:
            self._line.played.append(verb.text or "")
        self._line.changes.notify()
        if verb.get("loop") == "0":
            await anyio.sleep_forever()
        return _NEXT_VERB

    async def _dial(self, verb: Element) -> Then:
        if (room := verb.find("Conference")) is not None:
            await self._line.confer(room)
            return Then(url=verb.get("action", ""), method=verb.get("method", "POST"))
        sip = verb.find("Sip")
        number = (verb.text if sip is None else sip.text) or ""
        if not number:
            self._problem("<Dial> without a number")
        callee = self._line.callee_at(number)
        self._line.transferred_to.append(number)
        self._line.changes.notify()
        await anyio.sleep(callee.rings)
        if callee.outcome is Progress.ANSWERED:
            await anyio.sleep(callee.talks)
        return Then(url=verb.get("action", ""), method=verb.get("method", "POST"))

    async def _pause(self, verb: Element) -> Then:
        await anyio.sleep(float(verb.get("length", "1")))
        return _NEXT_VERB

    async def _hangup(self, verb: Element) -> Then:
        del verb
        return _OVER

    async def _redirect(self, verb: Element) -> Then:
        return Then(url=(verb.text or "").strip(), again=True, method=verb.get("method", "POST"))

    async def _reject(self, verb: Element) -> Then:
        self._line.reject(verb.get("reason", "rejected"))
        return _OVER

    def _problem(self, what: str) -> None:
        self._line.problems.append(Problem(12200, f"Schema validation warning: {what}"))
