"""Control of Twilio's calls: outcomes as TwiML, and requests to the API."""

from __future__ import annotations

import dataclasses
from xml.etree.ElementTree import Element

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks, DialRequest, LegFacts
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import reported_cost
from patter_core.webhook import Accept, Reject
from patter_twilio import statuses, twiml
from patter_twilio.rest import LONGEST_TWIML, TwilioApi

__all__ = ["Control"]

_HOLD_PAUSES = (3_600,) * 4
"""Silence for a caller on hold, in s: as long as a call may last."""
_UNTIL_CONNECTED = 20
"""Seconds: longer than `connect` takes."""
_STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
_RECORDING_EVENTS = ("completed", "absent")


@dataclasses.dataclass(frozen=True, repr=False)
class Control:
    """The calls of one account. Each method raises `CarrierRequestFailed` if Twilio refuses or is not reached."""

    api: TwilioApi
    voice: str
    language: str

    def verbs(self, leg: Leg, outcome: Accept | Reject | HangUp | Transfer) -> list[Element]:
        """Returns the TwiML verbs of an outcome."""
        match outcome:
            case Accept(media_url=media_url, callbacks=callbacks, notice=notice):
                parameters = {**leg.parameters, "from": leg.from_number, "to": leg.to_number}
                stream = twiml.connect_stream(media_url, action=callbacks.url("action"), parameters=parameters)
                return [*self._say(notice), stream]
            case Reject(reason=reason):
                if leg.direction is Direction.OUTBOUND:  # it was answered and can no longer be rejected
                    return [twiml.hangup()]
                return [twiml.reject("busy" if reason == "busy" else "rejected")]
            case Transfer(to=to, say=text):
                return [*self._say(text), twiml.dial(to)]
            case HangUp(say=text):
                return [*self._say(text), twiml.hangup()]

    def _say(self, text: str) -> list[Element]:
        return [twiml.say(text, voice=self.voice, language=self.language)] if text else []

    # --- start -----------------------------------------------------------------------------------------------------

    async def dial(self, request: DialRequest) -> str:
        """Makes a call, and returns its SID."""
        callbacks = request.callbacks
        form = [
            ("To", request.to_number),
            ("From", request.from_number),
            *_voice_urls(callbacks),
            ("Timeout", str(round(request.ring_timeout))),
            ("StatusCallback", callbacks.url("status")),
            *(("StatusCallbackEvent", event) for event in _STATUS_EVENTS),
        ]
        if request.machine_detection:
            form += [
                ("MachineDetection", "DetectMessageEnd" if request.await_greeting_end else "Enable"),
                ("AsyncAmd", "true"),  # otherwise Twilio keeps the call silent for some 4 s
                ("AsyncAmdStatusCallback", callbacks.url("machine")),
            ]
        return await self.api.create_call(form)

    # --- during the call -------------------------------------------------------------------------------------------

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Transfers the call, after speaking its text."""
        await self._interrupt(leg, self.verbs(leg, transfer), action="transfer the call")

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        """Speaks a text, then hangs up."""
        await self._interrupt(leg, self.verbs(leg, HangUp(text)), action="speak to the caller")

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Plays audio in a loop, or silence."""
        verbs = [twiml.play(audio_url, loop=0)] if audio_url else [twiml.pause(length) for length in _HOLD_PAUSES]
        await self._interrupt(leg, verbs, action="put the call on hold")

    async def resume(self, leg: Leg, accept: Accept) -> None:
        """Ends a hold: Twilio requests the voice webhook again, and is answered with a stream."""
        await self.api.update_call(leg.call_id, _voice_urls(accept.callbacks), action="resume the call")

    def briefing(self, text: str, then: str) -> list[Element]:
        """Returns the TwiML verbs that tell a human what a warm transfer is about, and then request a URL."""
        return [*self._say(text), twiml.redirect(then)]

    def before_connecting(self) -> list[Element]:
        """Returns the TwiML verbs of a human who is connected next: by `connect`, which takes the call from here."""
        return [twiml.pause(_UNTIL_CONNECTED), twiml.hangup()]

    async def connect(self, leg: Leg, other: Leg) -> None:
        """Connects two calls in a room of their own. The human first: if they are gone, the caller stays on hold."""
        room = twiml.conference(f"{leg.call_id}-{other.call_id}")
        for one in (other, leg):
            await self._interrupt(one, [room], action="connect the calls")

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        """Records both sides, and returns the recording's SID."""
        form = [
            ("RecordingChannels", "dual"),
            ("RecordingStatusCallback", callbacks.url("recording")),
            *(("RecordingStatusCallbackEvent", event) for event in _RECORDING_EVENTS),
        ]
        return await self.api.start_recording(leg.call_id, form)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        """Pauses a recording, or resumes it."""
        form = [("Status", "paused"), ("PauseBehavior", "skip")] if paused else [("Status", "in-progress")]
        await self.api.update_recording(leg.call_id, recording_id, form)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        """Ends a recording. Succeeds if it is over."""
        await self.api.end_recording(leg.call_id, recording_id)

    async def look_up(self, leg: Leg) -> LegFacts:
        """Queries the call's status and price."""
        call = await self.api.fetch_call(leg.call_id)
        progress = statuses.PROGRESS.get(call.status, Progress.DIALLING)
        cost = reported_cost((call.price or "").removeprefix("-"), call.price_unit)  # it is taken from the account
        return LegFacts(progress=progress, cost=cost)

    # --- end -------------------------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends a call, ringing or answered. Succeeds if it is over."""
        await self.api.end_call(call_id)

    async def _interrupt(self, leg: Leg, verbs: list[Element], *, action: str) -> None:
        """Replaces what the call is doing by those verbs. It ends the stream without a request to its `action` URL."""
        document = twiml.document(*verbs).decode()
        if len(document) > LONGEST_TWIML:
            raise CarrierRequestFailed(
                f"Could not {action}: the text is too long for Twilio.",
                taken=False,
                expected=f"at most {LONGEST_TWIML} characters of TwiML",
                got=str(len(document)),
            )
        await self.api.update_call(leg.call_id, [("Twiml", document)], action=action)


def _voice_urls(callbacks: Callbacks) -> list[tuple[str, str]]:
    """Returns where Twilio requests instructions, and requests them again if that fails: perhaps of another worker."""
    url = callbacks.url("voice")
    return [("Url", url), ("Method", "POST"), ("FallbackUrl", url), ("FallbackMethod", "POST")]
