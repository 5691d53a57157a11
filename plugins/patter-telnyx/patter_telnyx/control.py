"""Control of Telnyx's calls: each action as one or more commands."""

from __future__ import annotations

import dataclasses
import logging
import math

import msgspec

from patter_core.errors import CarrierRequestFailed
from patter_core.net.rest import path_segment
from patter_core.telephony.control import DialRequest, LegFacts
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Accept
from patter_telnyx import commands
from patter_telnyx.client_state import ClientState, stream_mark
from patter_telnyx.formats import Codec
from patter_telnyx.rest import CALL_OVER, NOT_ANSWERED_YET, TelnyxApi, is_gone, new_command_id

__all__ = ["Control", "recording_id"]

_log = logging.getLogger("patter.telnyx")

LONGEST_TEXT = 3_000
"""Characters that `speak` takes; a longer text is cut."""
RING_SECONDS = (5, 600)
"""The range of `timeout_secs`."""


class _CallFacts(msgspec.Struct, frozen=True):
    is_alive: bool
    call_duration: int | None = None


class _CallAnswer(msgspec.Struct, frozen=True):
    data: _CallFacts


@dataclasses.dataclass(frozen=True, repr=False)
class Control:
    """The calls of one account. Each method raises `CarrierRequestFailed` if Telnyx refuses or is not reached.

    Some methods take a `cause`: the ids of the event that led to the command. Every worker derives the same command id
    from it, so that Telnyx carries the command out once; without a cause the command is a new one.
    """

    api: TelnyxApi
    connection_id: str
    codec: Codec
    target_legs: str
    voice: str
    premium_detection: bool

    # --- start -----------------------------------------------------------------------------------------------------

    async def answer(self, leg: Leg, accept: Accept) -> None:
        """Answers an incoming call, with its audio; a notice is said first. Idempotent, on all workers."""
        if accept.notice:
            state = ClientState(token=accept.callbacks.token, notice=True, streamless=True)
            answer = commands.Answer(
                command_id=new_command_id(leg.call_id, "answer"),
                webhook_url=accept.callbacks.url("voice"),
                client_state=state.encode(),
            )
            await self.api.command(leg.call_id, answer)
            return
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

    async def say_notice(self, leg: Leg, accept: Accept, cause: str) -> None:
        """Says the notice of an answered call; the event of its end leads to the stream."""
        dialled = leg.direction is Direction.OUTBOUND
        state = ClientState(token=accept.callbacks.token, dialled=dialled, notice=True, streamless=True)
        await self._speak(leg, accept.notice, state, cause)

    async def answer_to_transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Answers an incoming call that is then transferred: before, it cannot be."""
        state = ClientState(transfer_to=transfer.to, say=transfer.say, streamless=True)
        await self.api.command(
            leg.call_id, commands.Answer(command_id=new_command_id(leg.call_id, "answer"), client_state=state.encode())
        )

    async def reject(self, leg: Leg, *, busy: bool) -> None:
        """Rejects an incoming call."""
        cause = "USER_BUSY" if busy else "CALL_REJECTED"
        await self.api.command(
            leg.call_id, commands.Reject(command_id=new_command_id(leg.call_id, "reject"), cause=cause)
        )

    async def dial(self, request: DialRequest) -> str:
        """Makes a call, and returns its call_control_id."""
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

    async def start_stream(self, leg: Leg, accept: Accept, *cause: str) -> None:
        """Starts the stream of an answered call."""
        state = ClientState(token=accept.callbacks.token, stream=stream_mark(accept.media_url))
        rate = self.codec.audio_format.sample_rate if self.codec is Codec.L16 else 0
        await self.api.command(
            leg.call_id,
            commands.StreamingStart(
                command_id=new_command_id(leg.call_id, "streaming_start", *cause),
                client_state=state.encode(),
                stream_url=accept.media_url,
                stream_track="inbound_track",
                stream_codec=self.codec,
                stream_bidirectional_mode="rtp",
                stream_bidirectional_codec=self.codec,
                stream_bidirectional_sampling_rate=rate,
                stream_bidirectional_target_legs=self.target_legs,
            ),
        )

    # --- during the call -------------------------------------------------------------------------------------------

    async def transfer(self, leg: Leg, transfer: Transfer, *cause: str) -> None:
        """Transfers a call. If there is a text, it is spoken first, and the event of its end leads to the transfer."""
        if transfer.say:
            await self._speak(leg, transfer.say, ClientState(transfer_to=transfer.to, streamless=True), *cause)
            return
        await self.api.command(
            leg.call_id,
            commands.Transfer(
                command_id=_command_id(leg, "transfer", *cause),
                to=transfer.to,
                client_state=ClientState(streamless=True).encode(),
                target_leg_client_state=ClientState(leg_of=leg.call_id).encode(),
            ),
        )

    async def say_and_hang_up(self, leg: Leg, text: str, *cause: str) -> None:
        """Speaks a text; the event of its end leads to the hang-up."""
        await self._speak(leg, text, ClientState(hang_up=True, streamless=True), *cause)

    async def _speak(self, leg: Leg, text: str, state: ClientState, *cause: str) -> None:
        if len(text) > LONGEST_TEXT:  # Telnyx would refuse it, and the caller would hear nothing
            _log.warning("Telnyx speaks at most %d characters: a text of %d is cut.", LONGEST_TEXT, len(text))
        await self.api.command(
            leg.call_id,
            commands.Speak(
                command_id=_command_id(leg, "speak", *cause),
                payload=text[:LONGEST_TEXT],
                voice=self.voice,
                client_state=state.encode(),
            ),
        )

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Sends keys."""
        await self.api.command(
            leg.call_id, commands.SendDtmf(command_id=new_command_id(), digits=digits.upper().replace("W", "w"))
        )

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Ends the stream, and plays audio in a loop, or silence."""
        state = ClientState(streamless=True).encode()
        await self.api.command(leg.call_id, commands.StreamingStop(command_id=new_command_id(), client_state=state))
        if audio_url:
            start = commands.PlaybackStart(command_id=new_command_id(), audio_url=audio_url, client_state=state)
            try:
                await self.api.command(leg.call_id, start)
            except CarrierRequestFailed as error:
                error.taken = True  # the stream has ended already
                raise

    async def resume(self, leg: Leg, accept: Accept) -> None:
        """Ends a hold: stops the audio, and starts the stream again."""
        await self._stop_playback(leg)
        await self.start_stream(leg, accept, "resume", accept.media_url)

    async def _stop_playback(self, leg: Leg) -> None:
        try:
            await self.api.command(leg.call_id, commands.PlaybackStop(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if error.code == CALL_OVER or not 400 <= error.status < 500:
                raise  # any other refusal means that nothing was being played

    async def brief(self, leg: Leg, text: str, token: str, cause: str) -> None:
        """Speaks a text to the human of a warm transfer; the event of its end leads to `connect`."""
        await self._speak(leg, text, ClientState(token=token, dialled=True, briefing=True, streamless=True), cause)

    async def connect(self, leg: Leg, other: Leg) -> None:
        """Connects a call on hold with another one. Telnyx hangs up each when the other one ends."""
        await self._stop_playback(leg)
        command_id = new_command_id(leg.call_id, "bridge", other.call_id)
        await self.api.command(leg.call_id, commands.BridgeCalls(command_id=command_id, call_control_id=other.call_id))

    async def start_recording(self, leg: Leg) -> str:
        """Records both sides, and returns the recording's id. Keeps `client_state`, which knows of a hold."""
        await self.api.command(
            leg.call_id, commands.RecordStart(command_id=new_command_id(), format="wav", channels="dual")
        )
        return recording_id(leg)

    async def pause_recording(self, leg: Leg, *, paused: bool) -> None:
        """Pauses a recording, or resumes it."""
        command_id = new_command_id()
        command = (
            commands.RecordPause(command_id=command_id) if paused else commands.RecordResume(command_id=command_id)
        )
        await self.api.command(leg.call_id, command)

    async def stop_recording(self, leg: Leg) -> None:
        """Ends a recording. Succeeds if it is over."""
        try:
            await self.api.command(leg.call_id, commands.RecordStop(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if not is_gone(error):
                raise

    async def look_up(self, leg: Leg) -> LegFacts:
        """Queries the status of a call that should have been answered."""
        answer = await self.api.fetch(f"/calls/{path_segment(leg.call_id)}", _CallAnswer, action="look up the call")
        if answer.data.is_alive:
            return LegFacts(progress=Progress.ANSWERED)
        return LegFacts(progress=Progress.COMPLETED if answer.data.call_duration else Progress.NO_ANSWER)

    # --- end -------------------------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends a call, ringing or answered. Succeeds if it is over, or no longer known."""
        try:
            await self.api.command(call_id, commands.Hangup(command_id=new_command_id()))
        except CarrierRequestFailed as error:
            if error.code == NOT_ANSWERED_YET:
                await self.api.command(call_id, commands.Reject(command_id=new_command_id(), cause="CALL_REJECTED"))
            elif not is_gone(error):
                raise


def recording_id(leg: Leg) -> str:
    """Returns the id of a call's recording. Telnyx names none at its start, so every worker derives the same one."""
    return new_command_id(leg.call_id, "recording")


def _command_id(leg: Leg, action: str, *cause: str) -> str:
    """Returns the command id of a cause, the same on every worker; without a cause, a new one."""
    return new_command_id(leg.call_id, action, *cause) if cause else new_command_id()
