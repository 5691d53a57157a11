"""What can be done with a call, as commands in the right order."""

from __future__ import annotations

import dataclasses
import logging
import math

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import DialRequest
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Accept
from patter_telnyx import commands
from patter_telnyx.client_state import ClientState, stream_mark
from patter_telnyx.formats import Codec
from patter_telnyx.rest import CALL_OVER, NOT_ANSWERED_YET, TelnyxApi, is_gone, new_command_id

__all__ = ["Control", "recording_id"]

_log = logging.getLogger("patter.telnyx")

LONGEST_TEXT = 3_000
"""Characters that `speak` takes; what is longer is cut."""
RING_SECONDS = (5, 600)
"""What `timeout_secs` may be."""


@dataclasses.dataclass(frozen=True, repr=False)
class Control:
    """One account's calls. Each method raises `CarrierRequestFailed` where Telnyx will not, or is not reached."""

    api: TelnyxApi
    connection_id: str
    codec: Codec
    target_legs: str
    voice: str
    premium_detection: bool

    # --- a call begins ---------------------------------------------------------------------------------------------

    async def answer(self, leg: Leg, accept: Accept) -> None:
        """Answer an incoming call, with its audio. Exactly once, however often and wherever it is asked for."""
        await self.api.command(
            leg.call_id,
            commands.Answer(
                command_id=new_command_id(leg.call_id, "answer"),
                webhook_url=accept.callbacks.url("voice"),
                stream_url=accept.media_url,
                stream_track="inbound_track",
                stream_codec=self.codec,
                stream_bidirectional_mode="rtp",
                stream_bidirectional_codec=self.codec,
                stream_bidirectional_target_legs=self.target_legs,
            ),
        )

    async def answer_to_transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Answer an incoming call that goes to somebody else: only then can it be transferred."""
        state = ClientState(transfer_to=transfer.to, announcement=transfer.say, streamless=True)
        await self.api.command(
            leg.call_id, commands.Answer(command_id=new_command_id(leg.call_id, "answer"), client_state=state.encode())
        )

    async def reject(self, leg: Leg, *, busy: bool) -> None:
        """Do not take an incoming call."""
        cause = "USER_BUSY" if busy else "CALL_REJECTED"
        await self.api.command(
            leg.call_id, commands.Reject(command_id=new_command_id(leg.call_id, "reject"), cause=cause)
        )

    async def dial(self, request: DialRequest) -> str:
        """Place a call; gives its call_control_id."""
        shortest, longest = RING_SECONDS
        return await self.api.dial(
            commands.Dial(
                command_id=request.command_id,
                connection_id=self.connection_id,
                to=request.to_number,
                from_=request.from_number,
                timeout_secs=min(max(math.ceil(request.ring_timeout), shortest), longest),
                answering_machine_detection=self._detection(request),
                webhook_url=request.callbacks.url("voice"),
                client_state=ClientState(token=request.callbacks.token, dialled=True).encode(),
            )
        )

    def _detection(self, request: DialRequest) -> str:
        if not request.machine_detection:
            return ""
        if self.premium_detection:
            return "premium"
        return "greeting_end" if request.await_greeting_end else "detect"

    async def start_stream(self, leg: Leg, accept: Accept, *about: str) -> None:
        """Bring the audio of an answered call.

        Args:
            leg: the call.
            accept: where to.
            about: what led to it, so that it is done once if that is told twice.
        """
        state = ClientState(token=accept.callbacks.token, stream=stream_mark(accept.media_url))
        await self.api.command(
            leg.call_id,
            commands.StreamingStart(
                command_id=new_command_id(leg.call_id, "streaming_start", *about),
                client_state=state.encode(),
                stream_url=accept.media_url,
                stream_track="inbound_track",
                stream_codec=self.codec,
                stream_bidirectional_mode="rtp",
                stream_bidirectional_codec=self.codec,
                stream_bidirectional_sampling_rate=self.codec.audio_format.sample_rate
                if self.codec is Codec.L16
                else 0,
                stream_bidirectional_target_legs=self.target_legs,
            ),
        )

    # --- while it lasts --------------------------------------------------------------------------------------------

    async def transfer(self, leg: Leg, to: str, announcement: str = "", *about: str) -> None:
        """Give a call to somebody else; with an announcement, when that has been said.

        Args:
            leg: the call.
            to: a number, or a SIP address.
            announcement: said before; "" for none.
            about: as in `start_stream`; nothing, if somebody wants it now.
        """
        if announcement:
            await self._speak(leg, announcement, ClientState(transfer_to=to, streamless=True), *about)
            return
        await self.api.command(
            leg.call_id,
            commands.Transfer(
                command_id=_command_id(leg, "transfer", *about),
                to=to,
                client_state=ClientState(streamless=True).encode(),
                target_leg_client_state=ClientState(leg_of=leg.call_id).encode(),
            ),
        )

    async def say_and_hang_up(self, leg: Leg, text: str, *about: str) -> None:
        """Say a text; the webhook that tells its end has the call hung up. `about` is as in `transfer`."""
        await self._speak(leg, text, ClientState(hang_up=True, streamless=True), *about)

    async def _speak(self, leg: Leg, text: str, state: ClientState, *about: str) -> None:
        if len(text) > LONGEST_TEXT:  # refused, it would leave the caller with nothing at all
            _log.warning("Telnyx speaks at most %d characters: a text of %d is cut.", LONGEST_TEXT, len(text))
        await self.api.command(
            leg.call_id,
            commands.Speak(
                command_id=_command_id(leg, "speak", *about),
                payload=text[:LONGEST_TEXT],
                voice=self.voice,
                client_state=state.encode(),
            ),
        )

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Press keys."""
        await self.api.command(
            leg.call_id, commands.SendDtmf(command_id=new_command_id(), digits=digits.upper().replace("W", "w"))
        )

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Bring no more audio, and play something instead, if there is something."""
        state = ClientState(streamless=True).encode()
        await self.api.command(leg.call_id, commands.StreamingStop(command_id=new_command_id(), client_state=state))
        if audio_url:
            start = commands.PlaybackStart(command_id=new_command_id(), audio_url=audio_url, client_state=state)
            await self.api.command(leg.call_id, start)

    async def resume(self, leg: Leg, accept: Accept) -> None:
        """Bring the audio again, once nothing else is played."""
        try:
            await self.api.command(leg.call_id, commands.PlaybackStop(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if error.code == CALL_OVER or not 400 <= error.status < 500:
                raise  # any other refusal says that nothing was being played
        await self.start_stream(leg, accept, accept.media_url)

    async def start_recording(self, leg: Leg) -> str:
        """Record both sides. It leaves `client_state` as it is: that says whether the call is on hold."""
        await self.api.command(
            leg.call_id, commands.RecordStart(command_id=new_command_id(), format="wav", channels="dual")
        )
        return recording_id(leg)

    async def pause_recording(self, leg: Leg, *, paused: bool) -> None:
        """Pause it, or go on."""
        command_id = new_command_id()
        command = (
            commands.RecordPause(command_id=command_id) if paused else commands.RecordResume(command_id=command_id)
        )
        await self.api.command(leg.call_id, command)

    async def stop_recording(self, leg: Leg) -> None:
        """End it. A call that is over has ended it."""
        try:
            await self.api.command(leg.call_id, commands.RecordStop(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if not is_gone(error):
                raise

    # --- it ends ---------------------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """End a call, ringing or answered. One that is over, or that nobody knows any more, is a success."""
        try:
            await self.api.command(call_id, commands.Hangup(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if error.code == NOT_ANSWERED_YET:
                await self.api.command(call_id, commands.Reject(command_id=new_command_id(), cause="CALL_REJECTED"))
            elif not is_gone(error):
                raise


def recording_id(leg: Leg) -> str:
    """Telnyx names none when a recording starts, so it gets one of ours, which every worker can tell from the call."""
    return new_command_id(leg.call_id, "recording")


def _command_id(leg: Leg, action: str, *about: str) -> str:
    """The same on every worker, if something led to it; else a new one: it may well be wanted twice."""
    return new_command_id(leg.call_id, action, *about) if about else new_command_id()
