"""Control of Plivo's calls: outcomes and instructions as XML, and requests to the API."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from xml.etree.ElementTree import Element

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks, DialRequest, LegFacts
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import reported_cost
from patter_core.webhook import Accept, Reject
from patter_plivo import instructions, plivoxml, statuses
from patter_plivo.formats import ContentType
from patter_plivo.outbound import OutboundCalls
from patter_plivo.rest import CallRequest, PlivoApi

__all__ = ["Control"]

_HOLD_WAITS = (3_600,) * 4
"""Silence for a caller on hold, in s: as long as a call may last."""
_UNTIL_CONNECTED = 20
"""Seconds: longer than `connect` takes."""
_UNTIL_BEEP = 60
"""Seconds: longer than a machine's greeting."""


@dataclasses.dataclass(frozen=True, repr=False)
class Control:
    """The calls of one account. Each method raises `CarrierRequestFailed` if Plivo refuses or is not reached."""

    api: PlivoApi
    content_type: ContentType
    voice: str
    language: str
    outbound: OutboundCalls = dataclasses.field(default_factory=OutboundCalls)
    unrequested: instructions.Unrequested = dataclasses.field(default_factory=instructions.Unrequested)

    # --- documents -------------------------------------------------------------------------------------------------

    def elements(self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer) -> list[Element]:
        """Returns the XML elements of an outcome."""
        match outcome:
            case Accept(media_url=media_url, callbacks=callbacks, notice=notice):
                stream = plivoxml.stream(
                    media_url,
                    content_type=self.content_type,
                    status_url=callbacks.url("stream"),
                    parameters=leg.parameters,
                )
                return [*self._speak(notice), stream, plivoxml.redirect(callbacks.url("action"))]
            case Reject(reason=reason):
                if leg.direction is Direction.OUTBOUND:  # it was answered and can no longer be rejected
                    return [plivoxml.hangup()]
                return [plivoxml.hangup("busy" if reason == "busy" else "rejected")]
            case Transfer(to=to, say=text):
                return [*self._speak(text), plivoxml.dial(to)]
            case HangUp(say=text):
                return [*self._speak(text), plivoxml.hangup()]

    def instructed(self, instruction: instructions.Instruction) -> list[Element]:
        """Returns the XML elements of an instruction."""
        match instruction:
            case instructions.Dial(to=to, say=text):
                return [*self._speak(text), plivoxml.dial(to)]
            case instructions.SayAndHangUp(say=text, after_beep=after_beep):
                beep = [plivoxml.wait_for_beep(_UNTIL_BEEP)] if after_beep else []
                return [*beep, *self._speak(text), plivoxml.hangup()]
            case instructions.Hold(audio_url=""):
                return [plivoxml.wait(seconds) for seconds in _HOLD_WAITS]
            case instructions.Hold(audio_url=audio_url):
                return [plivoxml.play(audio_url, loop=0)]
            case instructions.Join(room=room):
                return [plivoxml.conference(room)]

    def briefing(self, text: str, then: str) -> list[Element]:
        """Returns the XML elements that tell a human what a warm transfer is about, and then request a URL."""
        return [*self._speak(text), plivoxml.redirect(then)]

    def before_connecting(self) -> list[Element]:
        """Returns the XML elements of a human who is connected next: by `connect`, which takes the call from here."""
        return [plivoxml.wait(_UNTIL_CONNECTED), plivoxml.hangup()]

    def _speak(self, text: str) -> list[Element]:
        return [plivoxml.speak(text, voice=self.voice, language=self.language)] if text else []

    # --- start -----------------------------------------------------------------------------------------------------

    async def dial(self, request: DialRequest) -> str:
        """Makes a call, and returns the id of its request."""
        callbacks = request.callbacks
        detected = callbacks.url("machine-ready" if request.await_greeting_end else "machine")
        return await self.api.create_call(
            CallRequest(
                from_=request.from_number,
                to=request.to_number,
                answer_url=callbacks.url("voice"),
                fallback_url=callbacks.url("voice"),
                ring_url=callbacks.url("status"),
                hangup_url=callbacks.url("status"),
                ring_timeout=max(1, math.ceil(request.ring_timeout)),
                machine_detection="true" if request.machine_detection else "",
                machine_detection_url=detected if request.machine_detection else "",
            )
        )

    # --- during the call -------------------------------------------------------------------------------------------

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Transfers the call, after speaking its text."""
        instruction = instructions.Dial(to=transfer.to, say=transfer.say)
        await self._instruct(leg, instruction, action="transfer the call")

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        """Speaks a text, then hangs up. A machine is spoken to after its beep."""
        instruction = instructions.SayAndHangUp(say=text, after_beep=self.outbound.is_machine(leg))
        await self._instruct(leg, instruction, action="speak to the caller")

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Sends keys. `w` and `W` are pauses of different lengths at Plivo."""
        await self.api.send_digits(await self._uuid_of(leg), digits.upper().replace("W", "w"))

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Plays audio in a loop, or silence. It ends the stream."""
        await self._instruct(leg, instructions.Hold(audio_url=audio_url), action="put the call on hold")

    async def resume(self, leg: Leg, accept: Accept) -> None:
        """Ends a hold: Plivo requests the voice webhook again, and is answered with a stream."""
        url = accept.callbacks.url("voice")
        await self.api.transfer(await self._uuid_of(leg), url, action="resume the call")

    async def connect(self, leg: Leg, other: Leg) -> None:
        """Connects two calls in a room of their own. The human first: if they are gone, the caller stays on hold."""
        room = hashlib.sha256(f"{leg.call_id}\0{other.call_id}".encode()).hexdigest()[:32]
        for one in (other, leg):
            await self._instruct(one, instructions.Join(room=room), action="connect the calls")

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        """Records both sides, each in a channel of its own, and returns the recording's id."""
        return await self.api.start_recording(await self._uuid_of(leg), callbacks.url("recording"))

    async def stop_recording(self, leg: Leg) -> None:
        """Ends the recording of a call. Succeeds if it is over."""
        await self.api.end_recordings(await self._uuid_of(leg))

    async def look_up(self, leg: Leg) -> LegFacts:
        """Queries the call's status and price. Plivo keeps calls in progress apart from those that are over.

        A call that is not in progress, and that this worker has never heard of, may be queued, or have been over by
        another id: it is not taken for one that is over.
        """
        call_uuid = await self._uuid_of(leg)
        live = await self.api.live_call(call_uuid)
        if live is not None:
            self.outbound.learn(leg, call_uuid)
            return LegFacts(progress=statuses.PROGRESS.get(live.call_status, Progress.ANSWERED))
        details = await self.api.call_details(call_uuid)
        if details is None and not self.outbound.knows(leg):
            raise CarrierRequestFailed("Plivo does not know the call, or not yet.", taken=False, status=404)
        if details is None:  # the record is written some time after the end
            return LegFacts(progress=Progress.COMPLETED)
        progress = statuses.ended(details.hangup_cause_code, answered=bool(details.answer_time))
        return LegFacts(progress=progress, cost=reported_cost(details.total_amount, "USD"))

    # --- end -------------------------------------------------------------------------------------------------------

    async def hang_up(self, leg: Leg) -> None:
        """Ends a call, queued, ringing or answered. Succeeds if it is over."""
        if await self.api.end_call(self.outbound.uuid_of(leg)) or leg.direction is Direction.INBOUND:
            return
        if not await self.api.cancel_call(leg.call_id):  # it is over; or answered by now; or has an id of its own
            await self.api.end_call(await self._uuid_of(leg))

    async def _uuid_of(self, leg: Leg) -> str:
        """Returns the id that Plivo's API takes for a call.

        A worker that has heard nothing of a call that was made knows the id of its request only. There is no query by
        that id, so the call is found by its numbers, and refused where that could find another one.
        """
        if self.outbound.knows(leg) or not leg.to_number:
            return self.outbound.uuid_of(leg)
        found = await self.api.live_calls(leg.from_number, leg.to_number)
        if leg.call_id in found or not found:  # the ids are the same; or it is over, or does not ring yet
            return leg.call_id
        if len(found) > 1:
            raise CarrierRequestFailed(
                f"Plivo has {len(found)} calls between the numbers of this one, whose id this worker does not know: "
                "its webhooks went to another worker.",
                remedy="Command the call on the worker that has it.",
                taken=False,
            )
        return found[0]

    async def _instruct(self, leg: Leg, instruction: instructions.Instruction, *, action: str) -> None:
        """Replaces what the call is doing by an instruction. It ends the stream, and nothing behind it is done."""
        url = instructions.instruction_url(leg, instruction, action=action)
        call_uuid = await self._uuid_of(leg)
        self.unrequested.add(leg)
        try:
            await self.api.transfer(call_uuid, url, action=action)
        except CarrierRequestFailed as error:
            if not error.taken:
                self.unrequested.drop(leg)
            raise
