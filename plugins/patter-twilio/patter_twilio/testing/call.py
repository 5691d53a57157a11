"""One emulated call: it asks the voice webhook what to do and does it, document by document, until it is over."""

from __future__ import annotations

import enum
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from xml.etree.ElementTree import Element, ParseError, fromstring

import anyio
import msgspec

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CallRecording
from patter_twilio.testing.messages import Problem
from patter_twilio.testing.stream import EmulatedStream, StreamEnd, StreamSettings
from patter_twilio.testing.webhooks import Exchange, WebhookSender

__all__ = ["CallStatus", "EmulatedCall"]


class CallStatus(enum.StrEnum):
    """Where a call is, in Twilio's words."""

    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"


_FINAL = frozenset({CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.FAILED})


class Then(msgspec.Struct, frozen=True):
    """What comes after a verb: by default the next one."""

    url: str = ""
    """Leave this document for the one at this URL, relative to this one's."""
    over: bool = False
    """The call is over."""


_NEXT_VERB = Then()
_OVER = Then(over=True)


class EmulatedCall:
    """One incoming call. `run` lives through it; everything else is for tests to look at, or to end it early."""

    def __init__(
        self,
        voice_url: str,
        caller: Caller,
        *,
        sender: WebhookSender,
        from_number: str,
        to_number: str,
        parameters: Mapping[str, str],
    ) -> None:
        self.sid = f"CA{secrets.token_hex(16)}"
        self.voice_url = voice_url
        self.from_number = from_number
        self.to_number = to_number
        self.parameters = parameters
        """Further fields of each webhook."""
        self.status = CallStatus.RINGING
        self.recording = CallRecording(format=ULAW_8000)
        self.exchanges: list[Exchange] = []
        """Webhooks, with what was answered."""
        self.documents: list[bytes] = []
        """The TwiML that was answered."""
        self.streams: list[EmulatedStream] = []
        self.problems: list[Problem] = []
        """Those that belong to no stream."""
        self.streaming = anyio.Event()
        """Set once there is a first stream."""
        self.over = anyio.Event()
        self._caller = caller
        self._sender = sender
        self._life = anyio.CancelScope()
        self._verbs: Mapping[str, Callable[[Element], Awaitable[Then]]] = {
            "Connect": self._connect,
            "Hangup": self._hangup,
            "Redirect": self._redirect,
            "Reject": self._reject,
        }

    @property
    def stream(self) -> EmulatedStream:
        """The latest stream. Wait for `streaming` first."""
        return self.streams[-1]

    @property
    def is_over(self) -> bool:
        return self.status in _FINAL

    async def run(self) -> CallRecording:
        """Live through the call."""
        try:
            with self._life:
                await self._follow(self.voice_url)
        finally:
            self.end()
            self.over.set()
        return self.recording

    def end(self, status: CallStatus = CallStatus.COMPLETED) -> None:
        """End it now, from whichever side. A call that is over stays as it is."""
        if not self.is_over:
            self.status = status
        self._life.cancel()

    async def ask(self, url: str, *, method: str = "POST") -> Exchange:
        """Request a webhook of the app, signed, with all the fields that Twilio sends."""
        exchange = await self._sender.send(url, self._fields(), method=method)
        self.exchanges.append(exchange)
        return exchange

    def _fields(self) -> dict[str, str]:
        return {
            "AccountSid": self._sender.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": self.status.value,
            "Called": self.to_number,
            "CalledCity": "",
            "CalledCountry": "US",
            "Caller": self.from_number,
            "Direction": "inbound",
            "From": self.from_number,
            "To": self.to_number,
            **self.parameters,
        }

    # --- documents -------------------------------------------------------------------------------------------------

    async def _follow(self, url: str) -> None:
        """Do what the document at `url` says, and those that it leads to."""
        method = "POST"
        while True:
            verbs = await self._fetch(url, method)
            if verbs is None:
                self.end(CallStatus.FAILED)
                return
            then, method = await self._perform(verbs)
            if not then.url:
                return
            url = urllib.parse.urljoin(url, then.url)

    async def _perform(self, verbs: list[Element]) -> tuple[Then, str]:
        """Do one verb after the other, until one leads elsewhere; with the method for asking there."""
        for verb in verbs:
            perform = self._verbs.get(verb.tag)
            if perform is None:
                self.problems.append(Problem(12200, f"Schema validation warning: <{verb.tag}>"))
                continue
            then = await perform(verb)
            if then.url or then.over:
                return then, verb.get("method", "POST")
        return _OVER, ""

    async def _fetch(self, url: str, method: str) -> list[Element] | None:
        exchange = await self.ask(url, method=method)
        if not 200 <= exchange.status < 300:
            self.problems.append(Problem(11200, f"HTTP retrieval failure: status {exchange.status}"))
            return None
        self.documents.append(exchange.body)
        try:
            response = fromstring(exchange.body)  # noqa: S314 - TwiML of the app under test, on loopback
        except ParseError as error:
            self.problems.append(Problem(12100, f"Document parse failure: {error}"))
            return None
        if response.tag != "Response":
            self.problems.append(Problem(12100, f"Document parse failure: <{response.tag}>"))
            return None
        return list(response)

    # --- verbs -----------------------------------------------------------------------------------------------------

    async def _connect(self, verb: Element) -> Then:
        self.status = CallStatus.IN_PROGRESS
        noun = verb.find("Stream")
        if noun is None:
            self.problems.append(Problem(12200, "Schema validation warning: <Connect> without <Stream>"))
            return _NEXT_VERB
        settings = StreamSettings(
            account_sid=self._sender.account_sid,
            auth_token=self._sender.auth_token,
            call_sid=self.sid,
            url=noun.get("url", ""),
            parameters={item.get("name", ""): item.get("value", "") for item in noun.iterfind("Parameter")},
            tunnels=self._sender.tunnels,
        )
        stream = EmulatedStream(settings, self._caller, self.recording)
        self.streams.append(stream)
        self.streaming.set()
        if await stream.run() is StreamEnd.CALLER_HUNG_UP:
            return _OVER
        return Then(url=verb.get("action", ""))

    async def _hangup(self, verb: Element) -> Then:
        del verb
        return _OVER

    async def _redirect(self, verb: Element) -> Then:
        return Then(url=(verb.text or "").strip())

    async def _reject(self, verb: Element) -> Then:
        """A call that is rejected first of all was never answered."""
        if self.status is CallStatus.RINGING:
            self.status = CallStatus.BUSY if verb.get("reason") == "busy" else CallStatus.NO_ANSWER
        return _OVER
