"""A call as its user holds it: to look at, to wait for, and to direct."""

from __future__ import annotations

from patter_core.aio.allowance import not_counted
from patter_core.call.call import Call
from patter_core.call.consult import WarmTransfer
from patter_core.events import CallEnded
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import ConsultResult, HangUp, Transfer
from patter_core.tools.filled_in import FilledIn

__all__ = ["OutboundCall", "PhoneCall"]


class PhoneCall(FilledIn):
    """A live call, inbound or outbound.

    An action that does not fit the call's state, or that its carrier does not support, raises `CallError`. An action
    that the carrier refuses raises `CarrierRequestFailed`, and the call goes on as it was. The time that a callback
    waits in one of these methods does not count against `Limits.callback`.
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

    @not_counted
    async def wait(self) -> CallEnded:
        """Waits for the end; returns why, by whom, and the metrics."""
        return await self._call.wait()

    @not_counted
    async def hang_up(self, *, now: bool = False) -> CallEnded | None:
        """Ends the call: at once while it rings, else when the caller has heard what is on its way. Idempotent.

        Inside a tool of the call's agent it returns None at once: the agent gets the result of the tool first, and the
        call ends when the caller has heard what it says to that.

        Args:
            now: at once, whatever there is to be heard.
        """
        if self._call.tools.end_call(HangUp(), now=now):
            return None
        self._call.hang_up(now=now)
        return await self._call.wait()

    def add_context(self, text: str) -> None:
        """Tells the agent something without making it speak, now or as soon as there is a conversation.

        Safe from any thread: a callback that is no coroutine function runs in one.
        """
        self._call.context.run_in_loop(self._call.actions.add_context, text)

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

    @not_counted
    async def transfer(self, to: str, *, say: str = "", now: bool = False) -> CallEnded | None:
        """Transfers the call once the agent's last word was heard; returns the end of the call for us.

        Inside a tool of the call's agent it returns None at once, as `hang_up` does. If the carrier refuses then, the
        call goes on, and the agent is told.

        Args:
            to: E.164, or a SIP address.
            say: said to the caller first, by the carrier's voice.
            now: at once, whatever there is to be heard.

        Raises:
            CallLimitReached: `Limits` has such numbers switched off, or that many were called within the hour.
        """
        transfer = Transfer(to, say)
        if self._call.tools.end_call(transfer, now=now):
            return None
        await self._call.actions.transfer(transfer, now=now)
        return await self._call.wait()

    @not_counted
    async def warm_transfer(
        self,
        to: str,
        brief: str,
        *,
        say: str = "",
        ring_timeout: float = 30.0,
        hold_audio: str = "",
        from_number: str = "",
    ) -> ConsultResult:
        """Calls a human while the caller waits on hold, tells them what it is about, and connects the two.

        If that comes to nothing, the caller is back with the agent, which is told why (`add_context`). If it is
        cancelled, too. An error of the carrier (`CarrierRequestFailed`) leads there as well, and is raised.

        Args:
            to: E.164, or a SIP address.
            brief: said to the human first, by the carrier's voice: at most 1,000 characters.
            say: said to the caller before the hold, by the agent.
            ring_timeout: s for the human to answer, 5 to 600.
            hold_audio: URL of what the caller hears meanwhile, in a loop; "" for silence.
            from_number: whom the human sees calling; by default our number in this call.

        Raises:
            CallError: the carrier cannot dial, hold and connect, the call is not live, or a value is wrong: before
                anything happens. So is `CallLimitReached`, as in `Patter.call`.
        """
        return await self._call.consultation.transfer(
            WarmTransfer(
                to=to,
                brief=brief,
                say=say,
                ring_timeout=ring_timeout,
                hold_audio=hold_audio,
                from_number=from_number,
            )
        )

    @not_counted
    async def send_dtmf(self, digits: str) -> None:
        """Sends keys: 0-9, *, #, A-D, and w for half a second of silence. Returns when they were sent."""
        await self._call.actions.send_dtmf(digits)

    @not_counted
    async def collect_keys(
        self,
        count: int,
        *,
        timeout: float = 30.0,  # noqa: ASYNC109 - what came until then is returned: it is no cancellation
        finish_on: str = "#",
    ) -> str:
        """Returns the keys that the caller presses from now on. Meanwhile the engine gets none.

        Args:
            count: how many keys end it, at most 64.
            timeout: s for all of them, at most 300: what came until then is returned, "" if nothing did.
            finish_on: keys that end it before, each by itself, and are not returned; "" for none.

        Raises:
            CallError: the call is not live, or it ended meanwhile; keys are being collected already; a value is wrong.
        """
        return await self._call.actions.collect_keys(count, within=timeout, finish_on=finish_on)

    @property
    def is_collecting_keys(self) -> bool:
        """True while `collect_keys` waits for the caller's keys."""
        return self._call.actions.is_collecting_keys

    @not_counted
    async def hold(self, audio_url: str = "") -> None:
        """Puts the caller on hold: the carrier plays that audio in a loop, or silence. The conversation waits."""
        await self._call.actions.hold(audio_url)

    @not_counted
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

    @not_counted
    async def wait_answered(self) -> bool:
        """Waits until the call is answered. False if it ended without an answer."""
        await self._call.reports.answered.wait()
        return self._call.reports.was_answered
