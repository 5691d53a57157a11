"""One emulated call: it asks the answer URL what to do and does it, document by document, until it is over."""

from __future__ import annotations

import math
import time
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
from patter_plivo.testing.dialling import CAUSES, OUTCOMES, CallStatus, Dialling
from patter_plivo.testing.elements import Performance, parse
from patter_plivo.testing.stream import PlivoStream, StreamSettings
from patter_plivo.testing.webhooks import Exchange, WebhookSender

__all__ = ["PlivoCall", "Source"]

SPEAK_SECONDS = 0.1
"""How long a text takes to be said."""
MOST_TRIES = 3
"""Of a URL that gives no document, and of a media socket that cannot be opened."""
BETWEEN_TRIES = 0.05
_NORMAL = 4000
_FINAL = frozenset(CallStatus) - {CallStatus.RINGING, CallStatus.IN_PROGRESS}


class Source(msgspec.Struct, frozen=True):
    """Where a document comes from."""

    url: str
    method: str = "POST"


class PlivoCall(EmulatedCall):
    """One call.

    Args:
        uuid: Plivo's id of the call; `call_id` is that of its request, for a call that the app makes.
        answer_url: who tells what to do once it is answered.
        hangup_url: is told that it is over.
        caller: who is on the telephone.
        sender: of webhooks.
        callee_at: who answers a number that it is transferred to.
        parameters: further fields of each webhook.
        dialling: if the app has the call made, what it asked for; None for a call that comes in.
        fallback_url: who tells what to do where the answer URL fails, and no other one.
        rooms: the conferences of the account, by name.
        says_stop: whether its streams say `stop`.
    """

    streams: list[PlivoStream]

    def __init__(
        self,
        uuid: str,
        answer_url: str,
        caller: Caller,
        *,
        hangup_url: str,
        sender: WebhookSender,
        callee_at: Callable[[str], Callee],
        from_number: str,
        to_number: str,
        parameters: Mapping[str, str] | None = None,
        dialling: Dialling | None = None,
        fallback_url: str = "",
        rooms: dict[str, Conference] | None = None,
        says_stop: bool = False,
    ) -> None:
        call_id = uuid if dialling is None else dialling.request_uuid
        super().__init__(call_id, caller, from_number=from_number, to_number=to_number)
        self.uuid = uuid
        self.hangup_url = hangup_url
        self.fallback_url = fallback_url
        self.parameters = parameters or {}
        self.callee_at = callee_at
        self.dialling = dialling
        self.status = CallStatus.RINGING
        self.answered_at: float | None = None
        self.exchanges: list[Exchange] = []
        """Webhooks that were asked what to do, with what was answered."""
        self.reports: list[Exchange] = []
        """Webhooks that were told something."""
        self.documents: list[bytes] = []
        """The XML that was answered."""
        self.problems: list[Problem] = []
        """Those that belong to no stream."""
        self._first = Source(answer_url, "POST" if dialling is None else dialling.body.answer_method)
        self._sender = sender
        self._rooms = {} if rooms is None else rooms
        self._says_stop = says_stop
        self._life = anyio.CancelScope()
        self._doing = anyio.CancelScope()
        self._redirect: Source | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._reports: anyio.abc.TaskGroup | None = None

    @property
    def is_over(self) -> bool:
        return self.status in _FINAL

    @property
    def direction(self) -> str:
        return "inbound" if self.dialling is None else "outbound"

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None

    # --- its life --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        # what was told is delivered, also after the end
        async with anyio.create_task_group() as self._reports, anyio.create_task_group() as self._tasks:
            with self._life:
                if self.dialling is None or await self._ring(self.dialling, self._tasks):
                    await self._follow(self._first)
            self.end()
            await self._tell_end()
            self._tasks.cancel_scope.cancel()

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
        callee, timeout = dialling.callee, dialling.body.ring_timeout
        if dialling.body.ring_url:
            tasks.start_soon(self.tell, dialling.body.ring_url, {"Event": "Ring"})
        await anyio.sleep(min(callee.rings, timeout))
        if callee.outcome is not Progress.ANSWERED or callee.rings > timeout:
            self.end(OUTCOMES.get(callee.outcome, CallStatus.TIMEOUT))
            return False
        self.answer()
        if dialling.detects:
            tasks.start_soon(self._detect, dialling)
        return True

    async def _detect(self, dialling: Dialling) -> None:
        """Plivo tells of a machine only; a human is never announced."""
        await anyio.sleep(dialling.callee.detected_after)
        fields = {"Machine": "true", "Event": "MachineDetection", "IfMachine": "continue"}
        await self.tell(dialling.body.machine_detection_url, fields)

    async def beep(self) -> None:
        """Waits for the beep at the end of a machine's greeting; without end where there is no machine."""
        if self.dialling is None or not self.dialling.detects or self.answered_at is None:
            await anyio.sleep_forever()
        else:
            await anyio.sleep_until(self.answered_at + 2 * self.dialling.callee.detected_after)

    # --- webhooks --------------------------------------------------------------------------------------------------

    async def ask(self, url: str, *, method: str = "POST") -> Exchange:
        """Requests a webhook of the app, signed, with all the fields that Plivo sends."""
        exchange = await self._sender.send(url, {**self._fields(), "Event": "StartApp"}, method=method)
        self.exchanges.append(exchange)
        return exchange

    async def tell(self, url: str, fields: Mapping[str, str]) -> Exchange:
        """Tells a webhook of the app something; what it answers does not matter."""
        exchange = await self._sender.send(url, {**self._fields(), **fields})
        self.reports.append(exchange)
        return exchange

    async def tell_only(self, url: str, fields: Mapping[str, str]) -> Exchange:
        """As above, with these fields alone."""
        exchange = await self._sender.send(url, fields)
        self.reports.append(exchange)
        return exchange

    async def _tell_end(self) -> None:
        if not self.hangup_url:
            return
        code = CAUSES.get(self.status, _NORMAL)
        fields = {
            "Event": "Hangup",
            "HangupCauseName": "Normal Hangup" if code == _NORMAL else self.status.value,
            "HangupCauseCode": str(code),
            "HangupSource": "Caller",
            "Duration": "2",
            "BillDuration": "60",
            "BillRate": "0.0055",
        }
        if self.price is not None:
            fields["TotalCost"] = str(self.price)
        await self.tell(self.hangup_url, fields)

    def _fields(self) -> dict[str, str]:
        fields = {
            "CallUUID": self.uuid,
            "CallStatus": self.status.value,
            "Direction": self.direction,
            "From": self.from_number.removeprefix("+"),
            "To": self.to_number.removeprefix("+"),
            "CallerName": self.from_number,
            "SessionStart": "2026-11-26 09:00:00.000000",
        }
        if self.dialling is not None:
            fields |= {
                "ALegUUID": self.uuid,
                "ALegRequestUUID": self.dialling.request_uuid,
                "RequestUUID": self.dialling.request_uuid,
            }
        return {**fields, **self.parameters}

    # --- documents -------------------------------------------------------------------------------------------------

    async def _follow(self, source: Source | None) -> None:
        """Does what the document says, and those that it leads to; a redirect comes in between at any time."""
        while source is not None:
            following: Source | None = None
            with anyio.CancelScope() as self._doing:
                following = await self._do(source)
            source, self._redirect = self._redirect or following, None

    async def _do(self, source: Source) -> Source | None:
        document = await self._fetch(source)
        elements = None
        if document is not None:
            self.documents.append(document)
            elements = parse(document, self.problems)
        if elements is None:
            return Source(self.fallback_url) if self.fallback_url and source is self._first else None
        then = await Performance(self).perform(elements)
        return Source(then.url, then.method) if then.url else None

    async def _fetch(self, source: Source) -> bytes | None:
        status = 0
        for number in range(MOST_TRIES):
            exchange = await self.ask(source.url, method=source.method)
            status = exchange.status
            if status == 200:
                return exchange.answer
            if number + 1 < MOST_TRIES:
                await anyio.sleep(BETWEEN_TRIES)
        self.problems.append(Problem(7011, f"the URL failed: status {status}"))
        return None

    # --- what the elements need ------------------------------------------------------------------------------------

    def answer(self) -> None:
        """The call is answered, if it was not before."""
        if not self.is_answered and not self.is_over:
            self.status = CallStatus.IN_PROGRESS
            self.answered_at = anyio.current_time()
            self.changes.notify()

    def reject(self, reason: str) -> None:
        """It never will be, unless it was."""
        if not self.is_answered:
            self.status = CallStatus.BUSY if reason == "busy" else CallStatus.FAILED

    async def speak(self, text: str) -> None:
        """Speaks a text to them, unless they hang up before its end."""
        patience = math.inf if self.dialling is None else self.dialling.callee.listens
        await anyio.sleep(min(patience, SPEAK_SECONDS))
        if patience < SPEAK_SECONDS:
            self.end()
            await anyio.sleep_forever()
        self.spoken.append(text)
        self.changes.notify()

    async def confer(self, element: Element) -> None:
        """Goes to a conference of two. One without `endConferenceOnExit` is left alone there."""
        room = (element.text or "").strip()
        conference = self._rooms.get(room)
        if conference is None or conference.is_over:
            conference = self._rooms[room] = Conference()
        await conference.join(self)
        if element.get("endConferenceOnExit") != "true":
            await anyio.sleep_forever()

    async def open_stream(self, element: Element) -> StreamEnd:
        """Opens a stream, again if that fails, and lives through it."""
        status_url = element.get("statusCallbackUrl", "")
        settings = StreamSettings(
            auth_id=self._sender.auth_id,
            auth_token=self._sender.auth_token,
            call_uuid=self.uuid,
            url=(element.text or "").strip(),
            content_type=element.get("contentType", ""),
            takes_audio=element.get("bidirectional") == "true",
            extra_headers=_headers(element.get("extraHeaders", "")),
            says_stop=self._says_stop,
            tunnels=self._sender.tunnels,
        )
        end = StreamEnd.NOT_CONNECTED
        for number in range(MOST_TRIES):
            stream = PlivoStream(self, settings, lambda: self._report(status_url, "DegradedStream"))
            self.streams.append(stream)
            end = await self._live_through(stream, status_url)
            if end is not StreamEnd.NOT_CONNECTED or number + 1 == MOST_TRIES:
                break
            await anyio.sleep(BETWEEN_TRIES)
        return end

    async def _live_through(self, stream: PlivoStream, status_url: str) -> StreamEnd:
        if self._tasks is not None:
            self._tasks.start_soon(self._tell_start, stream, status_url)
        try:
            end = await stream.run()
        finally:
            if stream.started.is_set():
                self._report(status_url, "StopStream")
        if end is StreamEnd.NOT_CONNECTED:
            self._report(status_url, "DroppedStream")
        return end

    async def _tell_start(self, stream: PlivoStream, status_url: str) -> None:
        await stream.started.wait()
        self._report(status_url, "StartStream")

    def _report(self, status_url: str, event: str) -> None:
        """Tells the stream's status callback, beside the call."""
        if status_url and self._reports is not None:
            fields = {
                "Event": event,
                "CallUUID": self.uuid,
                "StreamID": self.streams[-1].id,
                "ServiceURL": self.streams[-1].settings.url.partition("?")[0],
                "Timestamp": str(int(time.time())),
                "From": self.from_number.removeprefix("+"),
                "To": self.to_number.removeprefix("+"),
                "Direction": self.direction,
            }
            self._reports.start_soon(self.tell_only, status_url, fields)


def _headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: value for name, equals, value in pairs if equals}
