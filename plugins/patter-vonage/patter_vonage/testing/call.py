"""One emulated call: it asks the answer webhook what to do and does it, NCCO by NCCO, until it is over."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections.abc import Callable

import anyio
import anyio.abc
import msgspec

from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.network import Tunnels
from patter_core.testing.stream import Problem
from patter_vonage.testing.performance import Performance
from patter_vonage.testing.requests import Action, CreateCallBody, RecordAction, read_ncco
from patter_vonage.testing.stream import VonageStream
from patter_vonage.testing.webhooks import Exchange, Field, Fields, Mailbox, WebhookSender

__all__ = ["CallStatus", "Network", "VonageCall", "written"]

SPEAK_SECONDS = 0.1
"""How long a text takes to be said."""


class CallStatus(enum.StrEnum):
    """Where a call is, in Vonage's words."""

    STARTED = "started"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    BUSY = "busy"
    CANCELLED = "cancelled"
    UNANSWERED = "unanswered"
    FAILED = "failed"


_LIVE = frozenset({CallStatus.STARTED, CallStatus.RINGING, CallStatus.ANSWERED})
_OUTCOMES = {
    Progress.BUSY: (CallStatus.BUSY, {"sip_code": "486"}),
    Progress.NO_ANSWER: (CallStatus.UNANSWERED, {"detail": "timeout"}),
    Progress.FAILED: (CallStatus.FAILED, {"detail": "cannot_route"}),
}
_MACHINES = frozenset({AnsweredBy.MACHINE, AnsweredBy.MACHINE_READY, AnsweredBy.FAX})


class Network(msgspec.Struct, kw_only=True):
    """What all calls of an emulator share."""

    sender: WebhookSender
    tunnels: Tunnels
    callee_at: Callable[[str], Callee]
    rooms: dict[str, Conference]
    region_url: str = ""
    """The API that has the calls."""
    announces: str = ""
    """A content type that media sockets announce instead of the one that was asked for."""
    older_keys: bool = False
    """Tell keys on media sockets in an older form."""
    socket_price: str = ""
    """Of the leg of each media socket; "" for none."""


class VonageCall(EmulatedCall):
    """One call, with the legs of its media sockets.

    Args:
        network: what all calls share.
        call_id: of the phone's leg.
        answer_url: who tells what to do.
        event_url: who is told what happens.
        caller: who is on the telephone.
        fallback_url: who tells what to do where `answer_url` does not.
        dialling: if the app has the call made, what it asked for; None for a call that comes in.
    """

    streams: list[VonageStream]

    def __init__(
        self,
        network: Network,
        call_id: str,
        caller: Caller,
        *,
        answer_url: str,
        event_url: str,
        from_number: str,
        to_number: str,
        fallback_url: str = "",
        dialling: CreateCallBody | None = None,
    ) -> None:
        super().__init__(call_id, caller, from_number=from_number, to_number=to_number)
        self.network = network
        self.conversation_id = f"CON-{uuid.uuid4()}"
        self.dialling = dialling
        self.status = CallStatus.STARTED
        self.playing = ""
        """What the app has Vonage play now, by URL."""
        self.problems: list[Problem] = []
        """Those that belong to no stream."""
        self.documents: list[bytes] = []
        """The NCCOs that were answered."""
        self.mailbox = Mailbox(network.sender)
        self._answer_url = answer_url
        self._fallback_url = fallback_url
        self._event_url = event_url
        self._callee = None if dialling is None else network.callee_at(to_number)
        self._recordings: list[RecordAction] = []
        self._life = anyio.CancelScope()
        self._doing = anyio.CancelScope()
        self._redirected: tuple[Action, ...] | None = None

    @property
    def is_over(self) -> bool:
        return self.status not in _LIVE

    # --- its life --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.mailbox.run)
            with self._life:
                if self._callee is None or await self._ring(self._callee, tasks):
                    await self._follow()
            self.end()
            self._tell_end()
            await self.mailbox.emptied()
            tasks.cancel_scope.cancel()

    def end(self, status: CallStatus = CallStatus.COMPLETED) -> None:
        """Ends it now, from whichever side. A call that is over stays as it is."""
        if not self.is_over:
            self.status = status
        self._life.cancel()

    def redirect(self, actions: tuple[Action, ...]) -> None:
        """Leaves what is being done, for these actions: in another conversation."""
        self._redirected = actions
        self.playing = ""
        before, self.conversation_id = self.conversation_id, f"CON-{uuid.uuid4()}"
        self.tell("transfer", conversation_uuid_from=before, conversation_uuid_to=self.conversation_id)
        self._tell_recordings()
        self._doing.cancel()

    async def _ring(self, callee: Callee, tasks: anyio.abc.TaskGroup) -> bool:
        """Until it is answered; False if it is not."""
        assert self.dialling is not None
        for status in (CallStatus.STARTED, CallStatus.RINGING):
            self.status = status
            self.tell(status.value)
        await anyio.sleep(min(callee.rings, self.dialling.ringing_timer))
        if callee.outcome is not Progress.ANSWERED or callee.rings > self.dialling.ringing_timer:
            status, _ = _OUTCOMES.get(callee.outcome, _OUTCOMES[Progress.NO_ANSWER])
            self.end(status)
            return False
        self.answer()
        if self.dialling.advanced_machine_detection is not None:
            tasks.start_soon(self._detect, callee, self.dialling.advanced_machine_detection.mode)
        return True

    async def _detect(self, callee: Callee, mode: str) -> None:
        await anyio.sleep(callee.detected_after)
        is_machine = callee.answered_by in _MACHINES
        self._tell_verdict("machine" if is_machine else "human")
        if is_machine and mode == "detect_beep":
            await anyio.sleep(callee.detected_after)
            self._tell_verdict("machine", sub_state="beep_start")

    async def _follow(self) -> None:
        """Does what the NCCO says, and those that it leads to; a redirect comes in between at any time."""
        actions = await self._first()
        if self.dialling is None:
            for status in (CallStatus.STARTED, CallStatus.RINGING):
                self.tell(status.value)
        while actions is not None:
            following: tuple[Action, ...] | None = None
            with anyio.CancelScope() as self._doing:
                following = await Performance(self).perform(actions)
            actions, self._redirected = (self._redirected if self._redirected is not None else following), None

    async def _first(self) -> tuple[Action, ...] | None:
        if self.dialling is not None and self.dialling.ncco:
            return self.parse(bytes(self.dialling.ncco))
        fields = {**self.fields(), **({"region_url": self.network.region_url} if self.network.region_url else {})}
        exchange = await self.network.sender.ask(self._answer_url, fields)
        if exchange.status != 200 and self._fallback_url:
            fields |= {"reason": f"status {exchange.status}", "original_request": {"url": self._answer_url}}
            exchange = await self.network.sender.ask(self._fallback_url, fields)
        actions = self.ncco_of(exchange)
        if actions is None:
            self.problems.append(Problem(exchange.status, "the answer is no NCCO"))
            self.mailbox.put(
                self._event_url, {"reason": "no NCCO", "conversation_uuid": self.conversation_id, "timestamp": _now()}
            )
        return actions

    # --- webhooks --------------------------------------------------------------------------------------------------

    def tell(self, status: str, **fields: Field) -> None:
        """Tells an event of the phone's leg."""
        self.mailbox.put(self._event_url, {**self.fields(), "status": status, "timestamp": _now(), **fields})

    def fields(self) -> dict[str, Field]:
        """What each webhook of the phone's leg says."""
        return {
            "from": written(self.from_number),
            "to": written(self.to_number),
            "uuid": self.call_id,
            "conversation_uuid": self.conversation_id,
            "direction": "inbound" if self.dialling is None else "outbound",
            "endpoint_type": "phone",
        }

    def _tell_verdict(self, status: str, **fields: Field) -> None:
        said = {name: value for name, value in self.fields().items() if name != "uuid"}
        self.mailbox.put(
            self._event_url,
            {**said, "call_uuid": self.call_id, "status": status, "timestamp": _now(), **fields},
        )

    def _tell_end(self) -> None:
        self._tell_recordings()
        more = next((more for status, more in _OUTCOMES.values() if status is self.status), {})
        price = {} if self.price is None else {"price": str(self.price), "rate": "0.00798", "duration": "1"}
        self.tell(self.status.value, **more, **price)

    def _tell_recordings(self) -> None:
        made, self._recordings = self._recordings, []
        for action in made:
            recording = str(uuid.uuid4())
            fields: Fields = {
                "recording_uuid": recording,
                "recording_url": f"https://api.nexmo.com/v1/files/{recording}",
                "size": 12_228,
                "start_time": _now(),
                "end_time": _now(),
                "conversation_uuid": self.conversation_id,
                "timestamp": _now(),
            }
            self.mailbox.put(action.eventUrl[0], fields)

    # --- NCCOs -----------------------------------------------------------------------------------------------------

    def ncco_of(self, exchange: Exchange) -> tuple[Action, ...] | None:
        """Returns the actions that a webhook is answered with; None if there are none."""
        if exchange.status != 200 or not exchange.answer.strip().startswith(b"["):
            return None
        return self.parse(exchange.answer)

    def parse(self, document: bytes) -> tuple[Action, ...] | None:
        """Returns the actions of an NCCO; None for what is none, with a problem noted."""
        self.documents.append(document)
        try:
            return read_ncco(document)
        except msgspec.DecodeError as error:
            self.problems.append(Problem(400, f"the NCCO is not valid: {error}"))
            return None

    # --- what the actions need -------------------------------------------------------------------------------------

    def answer(self) -> None:
        """The call is answered, if it was not before."""
        if self.status in {CallStatus.STARTED, CallStatus.RINGING}:
            self.status = CallStatus.ANSWERED
            self.changes.notify()
            self.tell("answered", start_time=None, rate=None, network=None)

    def record(self, action: RecordAction) -> None:
        """Records the conversation to its end."""
        self._recordings.append(action)
        self.recording_commands.append("start")

    async def speak(self, text: str) -> None:
        """Speaks a text to them, unless they hang up before its end."""
        patience = math.inf if self._callee is None else self._callee.listens
        await anyio.sleep(min(patience, SPEAK_SECONDS))
        if patience < SPEAK_SECONDS:
            self.end()
            await anyio.sleep_forever()
        self.spoken.append(text)
        self.changes.notify()


def written(number: str) -> str:
    """Returns a number as Vonage writes it."""
    return number.removeprefix("+")


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
