"""One emulated call: it asks the voice webhook what to do and does it, document by document, until it is over."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

import anyio
import anyio.abc
import msgspec

from patter_core.telephony.leg import Progress
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.stream import Problem, StreamEnd
from patter_twilio.testing.dialling import OUTCOMES, CallStatus, Dialling, answered_by
from patter_twilio.testing.stream import StreamSettings, TwilioStream
from patter_twilio.testing.verbs import Performance, parse
from patter_twilio.testing.webhooks import Exchange, WebhookSender

__all__ = ["Source", "TwilioCall"]

_FINAL = frozenset(
    {CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.CANCELED, CallStatus.FAILED}
)
SPEAK_SECONDS = 0.1
"""How long a text takes to be said."""
_UNANSWERED = frozenset({CallStatus.QUEUED, CallStatus.INITIATED, CallStatus.RINGING})


class Source(msgspec.Struct, frozen=True):
    """Where a document comes from: a URL, or the request that brings it along."""

    url: str = ""
    method: str = "POST"
    twiml: bytes = b""
    failed: str | None = None
    """For a fallback URL: the URL that gave no document; "" if the request brought it along."""
    error: int = 0
    """Why it gave none: Twilio's error code."""


class TwilioCall(EmulatedCall):
    """One call.

    Args:
        voice_url: who tells what to do once it is answered.
        caller: who is on the telephone.
        sender: of webhooks.
        callee_at: who answers a number that it is transferred to.
        parameters: further fields of each webhook.
        dialling: if the app has the call made, what it asked for; None for a call that comes in.
        twiml: what to do once it is answered, in place of the voice_url's document.
        fallback_url: who tells what to do where that fails.
        rooms: the conferences of the account, by name.
    """

    streams: list[TwilioStream]

    def __init__(
        self,
        call_id: str,
        voice_url: str,
        caller: Caller,
        *,
        sender: WebhookSender,
        callee_at: Callable[[str], Callee],
        from_number: str,
        to_number: str,
        parameters: Mapping[str, str] | None = None,
        dialling: Dialling | None = None,
        twiml: bytes = b"",
        fallback_url: str = "",
        rooms: dict[str, Conference] | None = None,
    ) -> None:
        super().__init__(call_id, caller, from_number=from_number, to_number=to_number)
        self.voice_url = voice_url
        self.parameters = parameters or {}
        self.callee_at = callee_at
        self.dialling = dialling
        self.status = CallStatus.QUEUED if dialling else CallStatus.RINGING
        self.exchanges: list[Exchange] = []
        """Webhooks that were asked what to do, with what was answered."""
        self.documents: list[bytes] = []
        """The TwiML that was answered, or that requests brought along."""
        self.problems: list[Problem] = []
        """Those that belong to no stream."""
        self._first = Source(voice_url, twiml=twiml)
        self.fallback_url = fallback_url
        """Who tells what to do where another URL gave no document."""
        self._sender = sender
        self._rooms = {} if rooms is None else rooms
        self._life = anyio.CancelScope()
        self._doing = anyio.CancelScope()
        self._redirect: Source | None = None

    @property
    def is_over(self) -> bool:
        return self.status in _FINAL

    # --- its life --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        with self._life:
            async with anyio.create_task_group() as tasks:
                if self.dialling is None or await self._ring(self.dialling, tasks):
                    await self._follow(self._first)
                tasks.cancel_scope.cancel()
        self.end()
        await self._tell_status("completed")

    def end(self, status: CallStatus = CallStatus.COMPLETED) -> None:
        """Ends it now, from whichever side. A call that is over stays as it is."""
        if not self.is_over:
            self.status = status
        self._life.cancel()

    def redirect(self, source: Source) -> None:
        """Leaves what is being done, for that document."""
        self._redirect = source
        self._doing.cancel()

    async def _ring(self, dialling: Dialling, tasks: anyio.abc.TaskGroup) -> bool:
        """Until it is answered; False if it is not."""
        callee = dialling.callee
        for status in (CallStatus.INITIATED, CallStatus.RINGING):
            self.status = status
            await self._tell_status(status.value)
        await anyio.sleep(min(callee.rings, dialling.timeout))
        if callee.outcome is not Progress.ANSWERED or callee.rings > dialling.timeout:
            self.end(OUTCOMES.get(callee.outcome, CallStatus.NO_ANSWER))
            return False
        self.status = CallStatus.IN_PROGRESS
        tasks.start_soon(self._tell_status, "answered")
        if dialling.detection:
            tasks.start_soon(self._detect, dialling)
        return True

    async def _detect(self, dialling: Dialling) -> None:
        await anyio.sleep(dialling.callee.detected_after)
        fields = {"AnsweredBy": answered_by(dialling), "MachineDetectionDuration": "3700"}
        await self.tell(dialling.detection_callback, fields)

    # --- webhooks --------------------------------------------------------------------------------------------------

    async def ask(self, url: str, fields: Mapping[str, str] | None = None, *, method: str = "POST") -> Exchange:
        """Requests a webhook of the app, signed, with all the fields that Twilio sends, and those given."""
        exchange = await self._sender.send(url, {**self._fields(), **(fields or {})}, method=method)
        self.exchanges.append(exchange)
        return exchange

    async def tell(self, url: str, fields: Mapping[str, str]) -> Exchange:
        """Tells a webhook of the app something; what it answers does not matter."""
        return await self._sender.send(url, {**self._fields(), **fields})

    async def _tell_status(self, event: str) -> None:
        dialling = self.dialling
        if dialling is not None and dialling.status_callback and event in dialling.status_events:
            await self.tell(dialling.status_callback, {})

    def _fields(self) -> dict[str, str]:
        return {
            "AccountSid": self._sender.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_id,
            "CallStatus": self.status.value,
            "Called": self.to_number,
            "CalledCity": "",
            "CalledCountry": "US",
            "Caller": self.from_number,
            "Direction": "inbound" if self.dialling is None else "outbound-api",
            "From": self.from_number,
            "To": self.to_number,
            **self.parameters,
        }

    # --- documents -------------------------------------------------------------------------------------------------

    async def _follow(self, source: Source | None) -> None:
        """Does what the document says, and those that it leads to; a redirect comes in between at any time."""
        while source is not None:
            following: Source | None = None
            with anyio.CancelScope() as self._doing:
                following = await self._do(source)
            source, self._redirect = self._redirect or following, None

    async def _do(self, source: Source) -> Source | None:
        document = source.twiml or await self._fetch(source)
        verbs = None
        if document is not None:
            self.documents.append(document)
            verbs = parse(document, self.problems)
        if verbs is None and self.fallback_url and source.failed is None:
            return Source(self.fallback_url, failed=source.url, error=self.problems[-1].code)
        if verbs is None:
            self.end(CallStatus.FAILED)
            return None
        then = await Performance(self).perform(verbs)
        return Source(urllib.parse.urljoin(source.url, then.url), then.method) if then.url or then.again else None

    async def _fetch(self, source: Source) -> bytes | None:
        error = {} if source.failed is None else {"ErrorCode": str(source.error), "ErrorUrl": source.failed}
        exchange = await self.ask(source.url, error, method=source.method)
        if 200 <= exchange.status < 300:
            return exchange.answer
        self.problems.append(Problem(11200, f"HTTP retrieval failure: status {exchange.status}"))
        return None

    # --- what the verbs need ---------------------------------------------------------------------------------------

    def answer(self) -> None:
        """The call is answered, if it was not before."""
        if self.status in _UNANSWERED:
            self.status = CallStatus.IN_PROGRESS

    def reject(self, reason: str) -> None:
        """It never will be, unless it was."""
        if self.status in _UNANSWERED:
            self.status = CallStatus.BUSY if reason == "busy" else CallStatus.NO_ANSWER

    async def speak(self, text: str) -> None:
        """Speaks a text to them, unless they hang up before its end."""
        patience = math.inf if self.dialling is None else self.dialling.callee.listens
        await anyio.sleep(min(patience, SPEAK_SECONDS))
        if patience < SPEAK_SECONDS:
            self.end()
            await anyio.sleep_forever()
        self.spoken.append(text)
        self.changes.notify()

    async def confer(self, noun: Element) -> None:
        """Goes to a conference of two. One without `endConferenceOnExit` is left alone there."""
        room = (noun.text or "").strip()
        conference = self._rooms.get(room)
        if conference is None or conference.is_over:
            conference = self._rooms[room] = Conference()
        if noun.get("beep") != "false":
            self.problems.append(Problem(0, "A beep is heard"))
        await conference.join(self)
        if noun.get("endConferenceOnExit") != "true":
            await anyio.sleep_forever()

    async def open_stream(self, noun: Element) -> StreamEnd:
        """Opens a stream and lives through it."""
        settings = StreamSettings(
            account_sid=self._sender.account_sid,
            auth_token=self._sender.auth_token,
            call_sid=self.call_id,
            url=noun.get("url", ""),
            parameters={item.get("name", ""): item.get("value", "") for item in noun.iterfind("Parameter")},
            tunnels=self._sender.tunnels,
        )
        self.streams.append(TwilioStream(self, settings))
        return await self.stream.run()
