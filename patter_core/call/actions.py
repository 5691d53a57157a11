"""What a user can do with a live call: transfer, hold, keys, recording, voicemail.

Each action asks the state table first, so that one which does not fit raises `CallError` and changes nothing. An action
that the carrier refuses leaves the call as it was.
"""

from __future__ import annotations

import logging
import re

import anyio
import msgspec

from patter_core.aio.threads import DaemonThreads
from patter_core.audio.dtmf import tones
from patter_core.call.carrier_wall import REQUEST_TIMEOUT, ask_carrier
from patter_core.call.context import CallContext
from patter_core.call.conversation import Conversation
from patter_core.call.hangup import transfer_leg
from patter_core.call.media_leg import MediaLeg
from patter_core.call.state import Signal, State
from patter_core.config import with_capability
from patter_core.engine import EngineCapability, EngineSession
from patter_core.errors import CallError, CarrierRequestFailed
from patter_core.events import MediaPaused, RecordingChanged
from patter_core.telephony.control import Capability, RecordingStatus
from patter_core.telephony.outcome import Transfer

__all__ = ["Actions"]

_log = logging.getLogger("patter.call")

_VOICEMAIL_TIMEOUT = 10.0
"""Seconds for the carrier to take a message for a machine."""
_SAY_WITHIN = 5.0
"""Seconds for the agent to begin with what it was asked to say."""
_GLANCE = 0.02
_KEYS = re.compile(r"[0-9*#A-Da-dw]{1,64}")


class Actions:
    """Acts on one call.

    Args:
        call: what the parts of the call share.
        media: its media sockets.
        conversation: the engine's side.
    """

    def __init__(self, call: CallContext, media: MediaLeg, conversation: Conversation) -> None:
        self._call = call
        self._media = media
        self._conversation = conversation
        self.is_consulting = False
        """True while a warm transfer puts, or has, the caller on hold: it alone ends the hold."""
        self._hold_is_pending = False
        """True while the carrier is asked to hold: if it refuses, the call must go on as it was."""

    def add_context(self, text: str) -> None:
        """Tells the agent something without making it speak, now or as soon as there is a conversation."""
        self._media.uplink.add_context(text)

    def say(self, text: str, *, exact: bool) -> None:
        """Has the agent say something now: word for word, or also in its own words."""
        wanted = {EngineCapability.SAY} if exact else {EngineCapability.SAY, EngineCapability.PROMPT}
        session = self._session_that_can(wanted, "say a given text" if exact else "be asked to say something")
        self._media.uplink.tell(session, lambda session: session.say(text))

    async def say_and_wait(self, text: str) -> None:
        """Has the agent say something, in its own words if need be, and waits until that has begun."""
        await self._media.downlink.wait_until_heard()
        self.say(text, exact=False)
        with anyio.move_on_after(_SAY_WITHIN):
            while not self._media.downlink.audible and not self._call.is_over:  # noqa: ASYNC110 - nothing tells it
                await anyio.sleep(_GLANCE)

    def send_user_message(self, text: str) -> None:
        """Sends text in the caller's place, which the agent answers."""
        session = self._session_that_can({EngineCapability.USER_MESSAGE}, "take text in the caller's place")
        self._media.uplink.tell(session, lambda session: session.send_user_message(text))

    def _session_that_can(self, wanted: set[EngineCapability], what: str) -> EngineSession:
        self.require_live("spoken on")
        engine, session = self._conversation.engine, self._conversation.session
        if not wanted & engine.capabilities:
            raise CallError(
                f"The engine {engine.name} cannot {what}.",
                expected=with_capability("engine", *sorted(wanted)),
            )
        if session is None:
            raise CallError("The call has no conversation at the moment.", remedy="Try again once the agent is back.")
        return session

    # --- transfer --------------------------------------------------------------------------------------------------

    async def transfer(self, transfer: Transfer, *, now: bool = False) -> None:
        """Transfers the call once the agent's last word was heard. If that fails, the call goes on as it was.

        Args:
            transfer: where to.
            now: at once, whatever there is to be heard.
        """
        call = self._call
        call.carrier.require(Capability.TRANSFER)
        self._require(Signal.TRANSFER, "transferred", expected="one that was answered, or is on hold")
        call.destinations.take(transfer.to)
        call.signal(Signal.TRANSFER)
        try:
            if not now:
                await self._media.downlink.wait_until_heard(is_void=lambda: self._media.was_stopped)
            if self._media.was_stopped:  # not by a transfer, for which the carrier was not asked yet
                call.signal(Signal.CARRIER_HUNG_UP)
            if call.is_over:  # the caller has hung up meanwhile
                return
            await transfer_leg(call, transfer, within=call.config.deadlines.transfer)
        except BaseException:  # a user who cancels us wants the call back too
            self._undo_transfer()
            raise
        call.signal(Signal.TRANSFERRED)

    async def transfer_for_agent(self, transfer: Transfer) -> None:
        """Transfers the call at once. If that fails, the agent is told, and the call goes on as it was."""
        try:
            await self.transfer(transfer, now=True)
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            _log.warning("Call %s: the transfer that its agent asked for failed: %s", self._call.call_id, error)
            self.add_context("The transfer failed, and the caller is still on the line with you.")

    def _undo_transfer(self) -> None:
        """Returns to the state before the transfer, then catches up with what happened to media and engine since."""
        call, conversation = self._call, self._conversation
        if not self._is(State.TRANSFERRING):  # the call has ended meanwhile
            return
        call.signal(Signal.TRANSFER_REFUSED)
        if not self._is(State.HELD):
            if self._media.is_open:
                call.signal(Signal.MEDIA_STARTED)
            else:
                self._media.note_loss()
        if conversation.ended is not None:
            call.signal(conversation.ended)
        elif conversation.session is not None:
            call.signal(Signal.ENGINE_READY)
        else:
            call.signal(Signal.ENGINE_RETRIED)

    # --- hold ------------------------------------------------------------------------------------------------------

    async def hold(self, audio_url: str) -> None:
        """Puts the caller on hold once they have heard what was said. If the carrier refuses, the call goes on."""
        call = self._call
        call.carrier.require(Capability.HOLD)
        self.require_live("put on hold")
        await self._media.downlink.wait_until_heard()
        self.require_live("put on hold")
        call.signal(Signal.HOLD)
        call.was_held = True
        self._conversation.hold()
        call.emit(MediaPaused(held=True))
        self._hold_is_pending = True
        try:
            await ask_carrier(call.carrier.hold, REQUEST_TIMEOUT, call.leg, audio_url)
        except BaseException as error:  # cancelled, too
            if isinstance(error, CarrierRequestFailed) and not error.taken:
                call.was_held = False
            if call.state.allows(Signal.RESUME):
                self._end_hold()
                self._media_is_back()
            raise
        finally:
            self._hold_is_pending = False

    async def resume(self) -> None:
        """Ends the hold. If the carrier refuses, the caller stays on hold."""
        call = self._call
        self._require(Signal.RESUME, "resumed", expected="one that is on hold")
        self._end_hold()
        within = call.config.deadlines.media_return / 2  # so that a slow refusal does not find the call over
        try:
            await ask_carrier(call.carrier.resume, within, call.leg, call.renew_accept())
        except BaseException:  # cancelled, too
            if call.was_held and call.state.allows(Signal.HOLD):  # otherwise the audio came: the hold is over
                call.signal(Signal.HOLD)
                self._conversation.hold()
            raise
        call.was_held = False
        self._media_is_back()

    def _end_hold(self) -> None:
        self._call.signal(Signal.RESUME)
        self._conversation.resume()
        if self._conversation.session is None:  # it ended meanwhile, and another one is being opened
            self._call.signal(Signal.ENGINE_RETRIED)

    def _media_is_back(self) -> None:
        """The hold is over; if the media socket stayed open, caller and agent hear each other again."""
        if self._media.is_open:
            self._call.signal(Signal.MEDIA_STARTED)
            self._media.play()

    # --- keys ------------------------------------------------------------------------------------------------------

    async def send_dtmf(self, digits: str) -> None:
        """Sends keys by the media socket, by the carrier's API, or as tones. Returns once they were sent, or heard."""
        call, downlink = self._call, self._media.downlink
        if not _KEYS.fullmatch(digits):
            raise CallError("Invalid DTMF digits.", expected="1 to 64 of 0-9, *, #, A-D, w (a pause of 0.5 s)")
        self.require_live("sent keys")
        if downlink.send_keys(digits):
            return
        if Capability.SEND_DTMF in call.carrier.capabilities and set(digits.upper()) <= {*call.carrier.dtmf_keys, "W"}:
            await ask_carrier(call.carrier.send_dtmf, REQUEST_TIMEOUT, call.leg, digits)
            return
        downlink.play_tones(await DaemonThreads(1).run(tones, digits, downlink.format))
        await downlink.wait_until_heard()

    @property
    def is_collecting_keys(self) -> bool:
        """True while the caller's keys are collected."""
        return self._media.keys.are_collected

    async def collect_keys(self, count: int, *, within: float, finish_on: str) -> str:
        """Returns the keys that the caller presses; they go to the caller of this method alone."""
        self.require_live("asked for keys")
        return await self._media.keys.collect(count, within=within, finish_on=finish_on)

    # --- recording -------------------------------------------------------------------------------------------------

    async def start_recording(self) -> str:
        """Starts a recording at the carrier; returns its id."""
        call = self._call
        call.carrier.require(Capability.RECORD)
        if call.token.recording_id:
            raise CallError("This call is being recorded already.", remedy="Stop that recording first.")
        if call.accept is None:
            raise self._not_now("recorded", expected="one that was answered")
        await call.changes.wait_until(lambda: call.records.may_record or call.is_over)
        if call.is_over:
            raise self._not_now("recorded", expected="one that goes on after its notice")
        recording_id = await ask_carrier(call.carrier.start_recording, REQUEST_TIMEOUT, call.leg, call.accept.callbacks)
        self._set_recording(recording_id)
        self._emit_recording("started")
        return recording_id

    async def pause_recording(self, *, paused: bool) -> None:
        """Pauses the recording, or resumes it."""
        carrier, leg = self._call.carrier, self._call.leg
        carrier.require(Capability.PAUSE_RECORDING)
        await ask_carrier(carrier.pause_recording, REQUEST_TIMEOUT, leg, self._the_recording(), paused=paused)
        self._emit_recording("paused" if paused else "resumed")

    async def stop_recording(self) -> None:
        """Stops the recording. Does nothing if there is none."""
        if recording_id := self._call.token.recording_id:
            await ask_carrier(self._call.carrier.stop_recording, REQUEST_TIMEOUT, self._call.leg, recording_id)
            if self._call.token.recording_id == recording_id:  # it was not stopped meanwhile
                self._emit_recording("stopped")
                self._set_recording("")

    def _set_recording(self, recording_id: str) -> None:
        """Keeps the id where the next worker of the call finds it."""
        self._call.token = msgspec.structs.replace(self._call.token, recording_id=recording_id)

    def _the_recording(self) -> str:
        recording_id = self._call.token.recording_id
        if not recording_id:
            raise CallError("This call is not being recorded.", remedy="Start a recording with start_recording().")
        return recording_id

    def _emit_recording(self, status: str) -> None:
        recording = RecordingStatus(recording_id=self._the_recording(), status=status)
        self._call.meter.recording_changed(status, self._call.clock())
        self._call.emit(RecordingChanged(recording=recording))

    # --- voicemail -------------------------------------------------------------------------------------------------

    async def leave_voicemail(self, message: str) -> None:
        """Has the carrier say the message to the answering machine and hang up."""
        call = self._call
        if not call.state.allows(Signal.TRANSFER):
            return
        call.signal(Signal.TRANSFER)
        self._conversation.stop()
        try:
            self._media.downlink.clear()
            await ask_carrier(call.carrier.say_and_hang_up, _VOICEMAIL_TIMEOUT, call.leg, message)
        except Exception:  # noqa: BLE001 - the plugin boundary: the call is hung up instead
            _log.exception("Call %s: the carrier refused to leave the message.", call.call_id)
            call.signal(Signal.CRASHED, "the message for the machine could not be left")
        else:
            call.signal(Signal.VOICEMAIL)

    # --- what all of them need -------------------------------------------------------------------------------------

    def _require(self, signal: Signal, what: str, *, expected: str) -> None:
        if self._hold_is_pending:
            raise CallError(f"This call cannot be {what} now: the carrier is being asked to put it on hold.")
        if self.is_consulting:
            raise CallError(f"This call cannot be {what} now: a warm transfer goes on.", remedy="Cancel that first.")
        if not self._call.state.allows(signal):
            raise self._not_now(what, expected=expected)

    def _is(self, state: State) -> bool:
        return self._call.state.state is state

    def require_live(self, what: str) -> None:
        """Raises `CallError` if the call is not live."""
        if not self._is(State.LIVE):
            raise self._not_now(what, expected="one that is live")

    def _not_now(self, what: str, *, expected: str) -> CallError:
        state = self._call.state.state.value
        return CallError(f"This call cannot be {what}.", expected=expected, got=f"one in the state “{state}”")
