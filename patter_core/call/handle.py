"""A call as its user holds it: to look at, to wait for, and to direct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.control import Handover
from patter_core.events import CallEnded
from patter_core.leg import AnsweredBy, Leg, Progress

if TYPE_CHECKING:
    from patter_core.call.session import Call  # which makes these

__all__ = ["OutboundCall", "PhoneCall"]


class PhoneCall:
    """A live call, coming in or going out. Everything may be asked for at any time; after the end it does nothing.

    What the carrier cannot do raises `CallError`; what it could, and would not, `CarrierRequestFailed`: the call goes on.
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

    async def transfer(self, to: str, *, announcement: str = "") -> CallEnded:
        """Give the call to another number, once the agent's last word is heard; gives the end for us.

        Args:
            to: E.164, or a SIP address.
            announcement: said to the caller first, by the carrier.
        """
        return await self._call.transfer(Handover(to, announcement))

    async def send_dtmf(self, digits: str) -> None:
        """Press keys: 0-9, *, #, A-D, and w for half a second of silence."""
        await self._call.send_dtmf(digits)

    async def hold(self, audio_url: str = "") -> None:
        """Have the carrier play that audio to the caller again and again, or silence. The conversation waits."""
        await self._call.hold(audio_url)

    async def resume(self) -> None:
        """End the hold: the conversation goes on."""
        await self._call.resume()

    async def start_recording(self) -> str:
        """Have the carrier record both sides; gives its id of the recording. `RecordingChanged` tells the rest."""
        return await self._call.start_recording()

    async def pause_recording(self) -> None:
        """Leave out what is said from now on."""
        await self._call.pause_recording(paused=True)

    async def resume_recording(self) -> None:
        """Go on with the recording."""
        await self._call.pause_recording(paused=False)

    async def stop_recording(self) -> None:
        """End the recording."""
        await self._call.stop_recording()

    def add_context(self, text: str) -> None:
        """Tell the agent something, without making it speak."""
        self._call.add_context(text)


class OutboundCall(PhoneCall):
    """A call that we made. `Patter.call` gives it as soon as the carrier has taken it: it may not even ring yet."""

    @property
    def answered_by(self) -> AnsweredBy | None:
        """Who picked up; None as long as it is not known."""
        return self._call.answered_by

    async def wait_answered(self) -> bool:
        """Wait until somebody picks up. False if it ended without that."""
        return await self._call.wait_answered()
