"""One emulated call: what its human does, what the app commands, and the events that tell of both."""

from __future__ import annotations

import base64
import enum
import functools
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.abc

from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.conference import Conference
from patter_core.testing.stream import StreamEnd
from patter_telnyx.testing.media import LegMedia, LegNeeds
from patter_telnyx.testing.requests import (
    AnswerBody,
    BridgeBody,
    CommandBody,
    PlaybackBody,
    Refusal,
    RejectBody,
    SendDtmfBody,
    SpeakBody,
    StreamBody,
    TransferBody,
)
from patter_telnyx.testing.stream import TelnyxStream
from patter_telnyx.testing.webhooks import EventFields, Field, Mailbox

__all__ = ["CallStatus", "TelnyxCall"]


class CallStatus(enum.StrEnum):
    """Where a call is."""

    RINGING = "ringing"
    ANSWERED = "answered"
    OVER = "over"


_CAUSES = {Progress.BUSY: "user_busy", Progress.NO_ANSWER: "timeout", Progress.FAILED: "not_found"}
_DETECTED = {AnsweredBy.HUMAN: "human", AnsweredBy.FAX: "fax_detected", AnsweredBy.UNKNOWN: "not_sure"}
_BEFORE_ANSWER = frozenset({"answer", "reject", "hangup"})


class TelnyxCall(EmulatedCall):
    """One leg."""

    streams: list[TelnyxStream]

    def __init__(
        self,
        needs: LegNeeds,
        call_id: str,
        *,
        webhook_url: str,
        caller: Caller,
        from_number: str,
        to_number: str,
        callee: Callee | None = None,
        transfer: Callable[[TelnyxCall, str, str], None] | None = None,
        call_of: Callable[[str], TelnyxCall | None] = lambda _id: None,
        session_id: str = "",
        client_state: str = "",
        machine_detection: str = "disabled",
        fallback_url: str = "",
    ) -> None:
        super().__init__(call_id, caller, from_number=from_number, to_number=to_number)
        self.leg_id = str(uuid.uuid4())
        self.session_id = session_id or str(uuid.uuid4())
        self.outgoing = callee is not None
        self.webhook_url = webhook_url
        self.client_state = client_state
        self.status = CallStatus.RINGING
        self.hangup_cause = ""
        self.was_answered = False
        self.playing = ""
        """What the app has Telnyx play now, by URL."""
        self.far_legs: list[TelnyxCall] = []
        """The legs that it was transferred to."""
        self.answered = anyio.Event()
        self._needs = needs
        self._callee = callee
        self._place_leg = transfer
        self._call_of = call_of
        self._machine_detection = machine_detection
        self._mailbox = Mailbox(needs.sender, fallback_url)
        self._finished = anyio.Event()
        self._media = LegMedia(needs, self)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._is_recorded = False
        self._commands: Mapping[str, Callable[[CommandBody], Awaitable[None]]] = {
            "answer": self._answer,
            "reject": self._reject,
            "hangup": self._hangup,
            "streaming_start": self._streaming_start,
            "streaming_stop": self._streaming_stop,
            "transfer": self._transfer,
            "bridge": self._bridge,
            "send_dtmf": self._send_dtmf,
            "speak": self._speak,
            "playback_start": self._playback_start,
            "playback_stop": self._playback_stop,
            "record_start": self._record_start,
            "record_pause": functools.partial(self._record_otherwise, "pause"),
            "record_resume": functools.partial(self._record_otherwise, "resume"),
            "record_stop": self._record_stop,
        }

    @property
    def is_over(self) -> bool:
        return self.status is CallStatus.OVER

    async def live(self) -> None:
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._mailbox.run)
            self.tell("call.initiated", direction="outgoing" if self.outgoing else "incoming", state="parked")
            if self._callee is not None:
                self._tasks.start_soon(self._ring, self._callee)
            await self._finished.wait()
            await self._media.over.wait()
            self._tell_end()
            await self._mailbox.emptied()
            self._tasks.cancel_scope.cancel()

    def end(self, cause: str = "normal_clearing") -> None:
        """Ends it now, from whichever side. A call that is over stays as it is."""
        if self.is_over:
            return
        self.status = CallStatus.OVER
        self.hangup_cause = cause
        self._media.stop()
        for leg in self.far_legs:
            leg.end()
        self._finished.set()

    def tell(self, event_type: str, **fields: Field) -> None:
        """Tells an event of this call to its webhook."""
        payload: EventFields = {
            "call_control_id": self.call_id,
            "call_leg_id": self.leg_id,
            "call_session_id": self.session_id,
            "connection_id": self._needs.connection_id,
            "client_state": self.client_state or None,
            "from": self.from_number,
            "to": self.to_number,
            **fields,
        }
        self._mailbox.put(self.webhook_url, event_type, payload)

    def _tell_end(self) -> None:
        if self._is_recorded:
            self._recording_saved()
        self.tell("call.hangup", hangup_cause=self.hangup_cause, hangup_source="unknown", state="hangup")
        if self.price is not None:
            cost = str(self.price)
            parts = [{"call_part": "call-control", "cost": cost, "currency": "USD"}]
            self.tell("call.cost", total_cost=cost, billed_duration_secs=60, cost_parts=parts)

    @property
    def _running(self) -> anyio.abc.TaskGroup:
        assert self._tasks is not None  # the API refuses commands for calls that are not running
        return self._tasks

    # --- the far end of a call that the app places -------------------------------------------------------------------

    async def _ring(self, callee: Callee) -> None:
        await anyio.sleep(callee.rings)
        if callee.outcome is not Progress.ANSWERED:
            self.end(_CAUSES[callee.outcome])
            return
        self._pick_up()
        if self._machine_detection != "disabled":
            await self._detect_machine(callee)

    def _pick_up(self) -> None:
        self.status = CallStatus.ANSWERED
        self.was_answered = True
        self.answered.set()
        self.tell("call.answered", state="answered")

    async def _detect_machine(self, callee: Callee) -> None:
        premium = self._machine_detection == "premium"
        kind = "call.machine.premium" if premium else "call.machine"
        await anyio.sleep(callee.detected_after)
        who = _DETECTED.get(callee.answered_by, "machine")
        self.tell(f"{kind}.detection.ended", result="human_residence" if premium and who == "human" else who)
        if who == "machine" and self._machine_detection != "detect":
            await anyio.sleep(callee.detected_after)
            self.tell(f"{kind}.greeting.ended", result="beep_detected")

    # --- commands --------------------------------------------------------------------------------------------------

    async def carry_out(self, action: str, body: CommandBody) -> None:
        """Does what the app commands.

        Raises:
            Refusal: as the API refuses.
        """
        if self.is_over or self._tasks is None:
            raise Refusal(422, "90018", "Call has already ended")
        if self.refuses():
            raise Refusal(422, "10015", "Invalid request")
        if self.status is CallStatus.RINGING and action not in _BEFORE_ANSWER:
            raise Refusal(422, "90034", "Call has not been answered yet")
        if body.client_state:
            try:
                base64.b64decode(body.client_state, validate=True)
            except ValueError:
                raise Refusal(422, "10015", "client_state is not base64") from None
            self.client_state = body.client_state
        await self._commands[action](body)
        self.changes.notify()

    async def _answer(self, body: CommandBody) -> None:
        assert isinstance(body, AnswerBody)
        if self.outgoing:
            raise Refusal(422, "90102", "Cannot answer an outbound call")
        if self.was_answered:
            raise Refusal(422, "90015", "Call has already been answered")
        self.webhook_url = body.webhook_url or self.webhook_url
        self._pick_up()
        if body.stream_url:
            self._open_stream(body)

    async def _reject(self, body: CommandBody) -> None:
        assert isinstance(body, RejectBody)
        self.end({"USER_BUSY": "user_busy"}.get(body.cause, "call_rejected"))

    async def _hangup(self, _body: CommandBody) -> None:
        self.end()

    async def _streaming_start(self, body: CommandBody) -> None:
        assert isinstance(body, StreamBody)
        if self._media.is_streaming:
            raise Refusal(422, "90061", "Only one stream per call")
        self._open_stream(body)

    async def _streaming_stop(self, _body: CommandBody) -> None:
        self._media.stop()

    async def _transfer(self, body: CommandBody) -> None:
        assert isinstance(body, TransferBody)
        assert self._place_leg is not None  # a far leg is not transferred once more
        self.transferred_to.append(body.to)
        self._place_leg(self, body.to, body.target_leg_client_state)

    async def join(self, leg: TelnyxCall, callee: Callee) -> None:
        """Lives through the far leg of a transfer; this call ends with it, if it was ever answered."""
        self.far_legs.append(leg)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leg.run)
            if callee.outcome is Progress.ANSWERED:
                await leg.answered.wait()
                self.tell("call.bridged")
                with anyio.move_on_after(callee.talks):
                    await leg.over.wait()
                leg.end()
        if leg.was_answered:
            self.end()

    async def _bridge(self, body: CommandBody) -> None:
        """Both hear each other, and nothing else, until one of the two ends; then the other one does, too."""
        assert isinstance(body, BridgeBody)
        other = self._call_of(body.call_control_id)
        if other is None or other.is_over or not other.was_answered:
            raise Refusal(422, "90018" if other is not None and other.is_over else "90034", "Cannot be bridged")
        conference = Conference()
        for call in (self, other):
            call.talk(conference)

    def talk(self, conference: Conference) -> None:
        """Takes part in a conference; ends with it."""
        self._media.stop()
        self.tell("call.bridged")
        self._running.start_soon(self._talk, conference)

    async def _talk(self, conference: Conference) -> None:
        await self._media.over.wait()
        await conference.join(self)
        self.end()

    async def _send_dtmf(self, body: CommandBody) -> None:
        assert isinstance(body, SendDtmfBody)
        if set(body.digits) - set("0123456789ABCD*#wW"):
            raise Refusal(422, "10015", "Invalid digits")
        self.digits += body.digits

    async def _speak(self, body: CommandBody) -> None:
        assert isinstance(body, SpeakBody)
        if len(body.payload) > 3_000:
            raise Refusal(422, "10015", "Payload too long")
        self._running.start_soon(self._say, body.payload)

    async def _say(self, text: str) -> None:
        patience = math.inf if self._callee is None else self._callee.listens
        await anyio.sleep(min(patience, self._needs.speak_seconds))
        if patience < self._needs.speak_seconds:
            self.end()
        if not self.is_over:
            self.spoken.append(text)
            self.changes.notify()
        self.tell("call.speak.ended", status="call_hangup" if self.is_over else "completed")

    async def _playback_start(self, body: CommandBody) -> None:
        assert isinstance(body, PlaybackBody)
        self.played.append(body.audio_url)
        self.playing = body.audio_url

    async def _playback_stop(self, _body: CommandBody) -> None:
        if not self.playing:
            raise Refusal(422, "90046", "Nothing is being played")
        self.playing = ""

    async def _record_start(self, _body: CommandBody) -> None:
        self._is_recorded = True
        self.recording_commands.append("start")

    async def _record_otherwise(self, command: str, _body: CommandBody) -> None:
        self.recording_commands.append(command)

    async def _record_stop(self, _body: CommandBody) -> None:
        self.recording_commands.append("stop")
        if self._is_recorded:
            self._recording_saved()

    def _recording_saved(self) -> None:
        self._is_recorded = False
        url = f"https://recordings.example/{self.leg_id}.wav?X-Amz-Expires=600"
        self.tell("call.recording.saved", channels="dual", recording_id=str(uuid.uuid4()), recording_urls={"wav": url})

    def _open_stream(self, body: StreamBody) -> None:
        self._running.start_soon(self._stream, self._media.open(body))

    async def _stream(self, stream: TelnyxStream) -> None:
        self.tell("streaming.started", stream_url=stream.settings.url)
        await self._media.run(stream)
        if stream.end is StreamEnd.CALLER_HUNG_UP:
            self.end()
        if stream.end in {StreamEnd.BROKEN, StreamEnd.NOT_CONNECTED}:
            params = {"stream_url": stream.settings.url}
            self.tell("streaming.failed", stream_id=stream.id, stream_params=params, failure_reason="connection_failed")
        self.tell("streaming.stopped", stream_url=stream.settings.url)
