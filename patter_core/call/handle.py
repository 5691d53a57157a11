"""A call as its user holds it: to look at, to wait for, and to direct."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.call.call import Call
from patter_core.call.state import Signal, State
from patter_core.carrier import Carrier
from patter_core.errors import CallError
from patter_core.events import CallEnded, MediaPaused, RecordingChanged
from patter_core.telephony.control import Capability, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import Accept

__all__ = ["OutboundCall", "PhoneCall"]

_KEYS = re.compile(r"[0-9*#A-Da-dw]{1,64}")


class PhoneCall:
    """A live call, coming in or going out.

    What it cannot do now, or its carrier cannot do at all, raises `CallError`; what the carrier would not do raises
    `CarrierRequestFailed`, and the call goes on.

    Args:
        call: the call.
        admit: makes a fresh admission for it, so that the carrier can bring its media again.
    """

    def __init__(self, call: Call, admit: Callable[[Call], Accept]) -> None:
        self._call = call
        self._admit = admit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status.value}>"

    @property
    def id(self) -> str:
        """Patter's own id, as in every record of the call's events."""
        return self._call.call_id

    @property
    def leg(self) -> Leg:
        """The call as its carrier knows it."""
        return self._call.leg

    @property
    def status(self) -> Progress:
        """How far it has come."""
        return self._call.progress

    @property
    def ended(self) -> CallEnded | None:
        """How it ended, once it did."""
        return self._call.ended

    async def wait(self) -> CallEnded:
        """Wait for the end; tells why, by whom, and the figures."""
        return await self._call.wait()

    async def hang_up(self) -> CallEnded:
        """End it: at once while it rings, else when the caller has heard what is on its way. Again and at any time."""
        self._call.hang_up()
        return await self._call.wait()

    def add_context(self, text: str) -> None:
        """Tell the agent something, without making it speak. Without a conversation it does nothing.

        A callback that is no coroutine function runs in a thread, and may use this there.
        """
        self._call.in_its_loop(self._add_context, text)

    def _add_context(self, text: str) -> None:
        if self._call.session is not None:
            self._call.session.add_context(text)

    async def transfer(self, to: str, *, announcement: str = "") -> CallEnded:
        """Give the call to another number, once the agent's last word is heard; gives the end for us.

        Args:
            to: E.164, or a SIP address.
            announcement: said to the caller first, by the carrier.
        """
        call = self._call
        self._able(Capability.TRANSFER)
        if not call.signal(Signal.TRANSFER):
            raise self._not_now("transferred")
        await call.played_out()
        try:
            await call.hand_over(Transfer(to, announcement))
        except BaseException:  # a user who cancels us wants the call back too
            call.back_to_life()
            raise
        call.signal(Signal.TRANSFERRED)
        return await call.wait()

    async def send_dtmf(self, digits: str) -> None:
        """Press keys: 0-9, *, #, A-D, and w for half a second of silence. Returns when they have been pressed."""
        call = self._call
        if not _KEYS.fullmatch(digits):
            raise CallError("These are no keys of a telephone.", expected="1 to 64 of 0-9, *, #, A-D, w")
        if call.state is not State.LIVE:
            raise self._not_now("given keys")
        if Capability.SEND_DTMF in call.carrier.capabilities:
            await call.carrier.send_dtmf(call.leg, digits)
            return
        await call.bridge.press(await anyio.to_thread.run_sync(_tones, digits, call.bridge.format))
        await call.played_out()

    async def hold(self, audio_url: str = "") -> None:
        """Have the carrier play that audio to the caller again and again, or silence. The conversation waits."""
        call = self._call
        carrier = self._able(Capability.HOLD)
        if call.state is not State.LIVE:
            raise self._not_now("put on hold")
        await call.played_out()
        if not call.signal(Signal.HOLD):
            raise self._not_now("put on hold")
        call.bridge.pause()
        call.bridge.ignore()
        call.emit(MediaPaused(held=True))
        await self._or_else(carrier.hold(call.leg, audio_url), self._media_is_back)

    async def resume(self) -> None:
        """End the hold: the conversation goes on."""
        call = self._call
        if not call.signal(Signal.RESUME):
            raise self._not_now("taken from hold: it is on none")
        await self._or_else(call.carrier.resume(call.leg, self._admit(call)), lambda: call.signal(Signal.HOLD))
        if call.socket is not None:
            self._media_is_back()

    def _media_is_back(self) -> None:
        """The hold is over, and the media socket has been there all the time, or comes back by itself."""
        call = self._call
        call.signal(Signal.RESUME)
        if call.socket is not None:
            call.signal(Signal.MEDIA_STARTED)
            call.join_media()

    async def start_recording(self) -> str:
        """Have the carrier record both sides; gives its id of the recording. `RecordingChanged` tells the rest."""
        call = self._call
        carrier = self._able(Capability.RECORD)
        if call.admission is None:
            raise self._not_now("recorded: nobody has answered it")
        call.recording_id = await carrier.start_recording(call.leg, call.admission.callbacks)
        self._recording_is("started")
        return call.recording_id

    async def pause_recording(self) -> None:
        """Leave out what is said from now on."""
        await self._call.carrier.pause_recording(self._call.leg, self._recording(), paused=True)
        self._recording_is("paused")

    async def resume_recording(self) -> None:
        """Go on with the recording."""
        await self._call.carrier.pause_recording(self._call.leg, self._recording(), paused=False)
        self._recording_is("resumed")

    async def stop_recording(self) -> None:
        """End the recording. Nothing happens if there is none."""
        if self._call.recording_id:
            await self._call.carrier.stop_recording(self._call.leg, self._call.recording_id)
            self._recording_is("stopped")
            self._call.recording_id = ""

    # --- what all of them need -------------------------------------------------------------------------------------

    def _able(self, capability: Capability) -> Carrier:
        carrier = self._call.carrier
        carrier.require(capability)
        return carrier

    def _recording(self) -> str:
        if not self._call.recording_id:
            raise CallError("No recording of this call is going on.", remedy="Begin one with start_recording().")
        return self._call.recording_id

    def _recording_is(self, status: str) -> None:
        recording = RecordingStatus(recording_id=self._recording(), status=status)
        self._call.emit(RecordingChanged(recording=recording))

    def _not_now(self, wish: str) -> CallError:
        return CallError(
            f"This call cannot be {wish}.",
            expected="a call that is answered",
            got=f"one that is {self._call.state.value}",
        )

    @staticmethod
    async def _or_else(command: Awaitable[None], undo: Callable[[], object]) -> None:
        try:
            await command
        except BaseException:  # cancelled, too
            undo()
            raise


def _tones(digits: str, format: AudioFormat) -> AudioChunk:
    from patter_core.audio.dtmf import tones  # noqa: PLC0415 - loads numpy, which most calls do without

    return tones(digits, format)


class OutboundCall(PhoneCall):
    """A call that we made. `Patter.call` gives it as soon as the carrier has taken it: it may not even ring yet."""

    @property
    def answered_by(self) -> AnsweredBy | None:
        """Who picked up; None as long as it is not known."""
        return self._call.answered_by

    async def wait_answered(self) -> bool:
        """Wait until somebody picks up. False if it ended without that."""
        await self._call.answered.wait()
        return self._call.was_answered
