"""A call as its user holds it: to look at, to wait for, and to direct."""

from __future__ import annotations

from patter_core.call.call import Call
from patter_core.events import CallEnded
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import Transfer

__all__ = ["OutboundCall", "PhoneCall"]


class PhoneCall:
    """A live call, inbound or outbound.

    An action that does not fit the call's state, or that its carrier does not support, raises `CallError`. An action
    that the carrier refuses raises `CarrierRequestFailed`, and the call goes on as it was.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

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
        return self._call.reports.progress

    @property
    def ended(self) -> CallEnded | None:
        """How it ended; None before."""
        return self._call.ended

    async def wait(self) -> CallEnded:
        """Waits for the end; returns why, by whom, and the metrics."""
        return await self._call.wait()

    async def hang_up(self) -> CallEnded:
        """Ends the call: at once while it rings, else when the caller has heard what is on its way. Idempotent."""
        self._call.hang_up()
        return await self._call.wait()

    def add_context(self, text: str) -> None:
        """Tells the agent something without making it speak, now or as soon as there is a conversation.

        Safe from any thread: a callback that is no coroutine function runs in one.
        """
        self._call.run_in_loop(self._call.actions.add_context, text)

    async def say(self, text: str, *, exact: bool = True) -> None:
        """Has the agent say something to the caller now, in its own voice.

        Args:
            text: what to say.
            exact: True: word for word; False: the engine may also be asked to say it, in its own words.

        Raises:
            CallError: the engine can do neither, or the call is not live.
        """
        self._call.actions.say(text, exact=exact)

    async def send_user_message(self, text: str) -> None:
        """Sends text in the caller's place, which the agent answers.

        Raises:
            CallError: the engine takes none, or the call is not live.
        """
        self._call.actions.send_user_message(text)

    async def transfer(self, to: str, *, say: str = "") -> CallEnded:
        """Transfers the call once the agent's last word was heard; returns the end of the call for us.

        Args:
            to: E.164, or a SIP address.
            say: said to the caller first, by the carrier's voice.
        """
        await self._call.actions.transfer(Transfer(to, say))
        return await self._call.wait()

    async def send_dtmf(self, digits: str) -> None:
        """Sends keys: 0-9, *, #, A-D, and w for half a second of silence. Returns when they were sent."""
        await self._call.actions.send_dtmf(digits)

    async def hold(self, audio_url: str = "") -> None:
        """Puts the caller on hold: the carrier plays that audio in a loop, or silence. The conversation waits."""
        await self._call.actions.hold(audio_url)

    async def resume(self) -> None:
        """Ends the hold: the conversation goes on."""
        await self._call.actions.resume()

    async def start_recording(self) -> str:
        """Starts a recording of both sides at the carrier; returns its id. `RecordingChanged` reports the rest."""
        return await self._call.actions.start_recording()

    async def pause_recording(self) -> None:
        """Leaves out what is said from now on."""
        await self._call.actions.pause_recording(paused=True)

    async def resume_recording(self) -> None:
        """Resumes the recording."""
        await self._call.actions.pause_recording(paused=False)

    async def stop_recording(self) -> None:
        """Stops the recording. Does nothing if there is none."""
        await self._call.actions.stop_recording()


class OutboundCall(PhoneCall):
    """A call that we made. `Patter.call` returns it as soon as the carrier has taken it: it may not ring yet."""

    @property
    def answered_by(self) -> AnsweredBy | None:
        """Who answered; None while unknown."""
        return self._call.reports.answered_by

    async def wait_answered(self) -> bool:
        """Waits until the call is answered. False if it ended without an answer."""
        await self._call.reports.answered.wait()
        return self._call.reports.was_answered
