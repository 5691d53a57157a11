"""One call at an emulated carrier, and how a number behaves that the app calls: the words that all emulators share."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from decimal import Decimal

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.errors import CarrierError
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.caller import Caller, Pause, Step
from patter_core.testing.stream import CallRecording, CarrierStream

__all__ = ["Callee", "EmulatedCall"]


class Callee(msgspec.Struct, frozen=True, kw_only=True):
    """How a number behaves that the app calls, or transfers a call to."""

    steps: Sequence[Step] = (Pause(3_600.0),)
    """What they do once they have answered, from the first media stream on. By default they listen."""
    outcome: Progress = Progress.ANSWERED
    """`ANSWERED`; or `BUSY`, `NO_ANSWER` or `FAILED`."""
    rings: float = 0.05
    """Seconds until then."""
    answered_by: AnsweredBy = AnsweredBy.HUMAN
    """Who answers. The greeting of a `MACHINE` ends with a beep."""
    detected_after: float = 0.1
    """Seconds from the answer until machine detection reports it, and from there to the beep."""
    listens: float = math.inf
    """Seconds until they hang up, while the vendor speaks to them."""
    talks: float = 0.1
    """Seconds until they hang up, as the far end of a transfer."""


class EmulatedCall(abc.ABC):
    """One call. `run` lives through it; the rest shows what the app had done to it, or disturbs it.

    Args:
        call_id: the vendor's id of the call, as in `Leg.call_id`.
        caller: who is on the telephone.
        from_number: as the vendor writes it.
        to_number: as above.

    Raises:
        CarrierError: the caller was given to another call, and performs their script once.
    """

    streams: Sequence[CarrierStream]
    """All media streams, the latest last."""

    def __init__(self, call_id: str, caller: Caller, *, from_number: str, to_number: str) -> None:
        if caller.has_call:
            raise CarrierError("This caller has another call.", remedy="Make a new Caller for each call.")
        caller.has_call = True
        self.call_id = call_id
        self.caller = caller
        self.from_number = from_number
        self.to_number = to_number
        self.streams = []
        self.recording = CallRecording(format=caller.format)
        """What was said and heard over all media streams."""
        self.spoken: list[str] = []
        """Texts that the vendor spoke to them."""
        self.played: list[str] = []
        """Audio that the vendor played to them, by URL."""
        self.transferred_to: list[str] = []
        """Numbers and SIP addresses that the call was transferred to."""
        self.connected_to: list[str] = []
        """The vendor's ids of calls that it was connected to, each at the moment when both were there."""
        self.digits = ""
        """Keys that the vendor sent in the network."""
        self.recording_commands: list[str] = []
        """What the vendor was told of recordings, in order: `start`, `pause`, `resume`, `stop`."""
        self.refusals = 0
        """How many of the next commands about this call the vendor refuses."""
        self.price: Decimal | None = None
        """What the vendor charges for the call; None while it is unknown."""
        self.over = anyio.Event()
        """Set once the call is over and the app has been told."""
        self.changes = Changes()
        """Notified after each message and each frame of a stream, and whenever something else happens to the call."""

    @property
    def stream(self) -> CarrierStream:
        """The latest stream."""
        return self.streams[-1]

    async def run(self) -> CallRecording:
        """Lives through the call; returns when it is over and the app has been told."""
        try:
            await self.live()
        finally:
            self.end()
            self.over.set()
            self.changes.notify()
        return self.recording

    @abc.abstractmethod
    async def live(self) -> None:
        """Does what happens in the call, from the first ring to the last webhook. `end` ends it."""

    @abc.abstractmethod
    def end(self) -> None:
        """Ends the call now, from whichever side. Idempotent."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition()` holds."""
        await self.changes.wait_until(condition)

    async def streaming(self, count: int = 1) -> CarrierStream:
        """Waits until so many streams have started; returns the last of them."""
        await self.until(lambda: len(self.streams) >= count and self.streams[count - 1].started.is_set())
        return self.streams[count - 1]

    def refuses(self) -> bool:
        """True if the vendor is to refuse this command. The emulator asks once for each."""
        refused = self.refusals > 0
        self.refusals -= refused
        return refused
