"""Scenarios: something that is tried of a carrier on a running server, one after the other or side by side."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import msgspec

from patter_core.agent import Agent
from patter_core.audio import AudioChunk
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.carrier import Carrier
from patter_core.errors import ConformanceError
from patter_core.events import CallEnded, CallEvent, Record
from patter_core.media import MediaCodec
from patter_core.telephony.control import Capability
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller, Pause, Step
from patter_core.testing.conformance.check import Check, beside
from patter_core.testing.conformance.harness import Harness, Worker
from patter_core.testing.conformance.media import check_media
from patter_core.testing.emulator import CALLER, CarrierEmulator
from patter_core.testing.fakes import FakeSession
from patter_core.testing.speech import GREETING
from patter_core.webhook import Reject

__all__ = ["COLLEAGUE", "SOON", "LiveCall", "Scenario", "Scene", "play", "staged"]

SOON = 8.0
"""Seconds for one thing to happen."""
COLLEAGUE = "+15550007777"
"""To whom calls are transferred."""
_LONGEST_SCENARIO = 20.0
"""Seconds; most scenarios take two."""
_WORDS_MS = 300.0
_AT_ONCE = 8
"""Scenarios side by side: more of them would need more of a machine than many have."""


class Scenario(msgspec.Struct, frozen=True):
    """Something that is tried of a carrier."""

    doing: str
    """In words, for the error."""
    play: Callable[[Scene], Awaitable[None]]
    needs: frozenset[Capability] = frozenset()
    """What the carrier must be capable of; else it is left out."""


@dataclasses.dataclass(frozen=True)
class LiveCall:
    """A call from three sides: at the carrier, at the engine, and in the app."""

    call: EmulatedCall
    session: FakeSession
    handle: PhoneCall


async def play(harness: Harness, *scenarios: Scenario) -> None:
    """Plays scenarios side by side, those that need no more than the carrier is capable of.

    Raises:
        ConformanceError: one failed. Of several it is the first in order; its notes tell of the others.
    """
    failures: dict[int, ConformanceError] = {}
    room = anyio.CapacityLimiter(_AT_ONCE)

    async def play_one(place: int, scenario: Scenario) -> None:
        harness.check.now_here(scenario.doing)
        try:
            with harness.check.raises_only_failures():
                async with room, Scene.of(harness) as scene:
                    await scenario.play(scene)
        except ConformanceError as error:
            failures[place] = error

    async with anyio.create_task_group() as tasks:
        harness.pace.on_slow = tasks.cancel_scope.cancel
        for place, scenario in enumerate(scenarios):
            if scenario.needs <= harness.carrier.capabilities:
                tasks.start_soon(play_one, place, scenario)
    told = [failures[place] for place in sorted(failures)]
    try:
        check_media(harness)
    except ConformanceError as error:  # the reason of others, if there are any
        told.insert(0, error)
    if told:
        first, *others = told
        for other in others:
            first.add_note(f"Also: {other}")
        raise first


class Scene:
    """A scenario while it is played. At its end all its calls are over.

    Args:
        harness: on which it is played.
        number: to be called: no other scenario calls it.
        start: runs a function beside the scenario.
    """

    def __init__(
        self, harness: Harness, number: str, start: Callable[[Callable[[], Awaitable[object]]], object]
    ) -> None:
        self.harness = harness
        self.check = harness.check
        self.number = number
        self._start = start
        self._calls: list[EmulatedCall] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, harness: Harness) -> AsyncIterator[Scene]:
        """A scenario on that harness, bounded in time."""
        with harness.check.within(_LONGEST_SCENARIO, "It does not end."):
            async with beside() as start:
                scene = cls(harness, next(harness.numbers), start)
                yield scene
                await scene.end_calls()

    # --- calls -----------------------------------------------------------------------------------------------------

    def place(
        self,
        *steps: Step,
        answer: Agent | Reject | Transfer | None = None,
        at: Worker | None = None,
        from_number: str = CALLER,
    ) -> EmulatedCall:
        """Places an incoming call, which runs by itself.

        Args:
            steps: what the caller does; by default they listen.
            answer: how the app routes the call; by default to its agent.
            at: the worker that it comes to; by default the first.
            from_number: as the vendor writes it.
        """
        harness = self.harness
        caller = Caller(steps or (Pause(3_600.0),), harness.emulator.format)

        async def run() -> None:
            with self.check.raises_only(problem="The emulator raises while a call is on."):
                await call.run()

        with self.check.raises_only(problem="The emulator raises while a call is placed."):
            call = harness.emulator.place((at or harness.worker).voice_url, caller, from_number=from_number)
        if answer is not None:
            harness.routes.answers[call.call_id] = answer
        self._calls.append(call)
        self._start(run)
        return call

    async def live(self, *steps: Step, answer: Agent | None = None, at: Worker | None = None) -> LiveCall:
        """Places an incoming call, as `place`, and waits for its conversation."""
        return await self.joined(self.place(*steps, answer=answer, at=at), at=at)

    async def dial(
        self,
        callee: Callee,
        *,
        agent: Agent | None = None,
        first_message: str = "",
        machine_detection: bool = False,
        voicemail_message: str = "",
    ) -> tuple[OutboundCall, EmulatedCall]:
        """Has the app call the scenario's number, where that callee is."""
        harness = self.harness
        harness.emulator.callees[self.number] = callee
        with (
            self.check.within(SOON, "dial() does not return."),
            self.check.raises_only(problem="dial() raises."),
        ):
            handle = await harness.worker.phone.call(
                self.number,
                agent=agent or harness.worker.agent,
                first_message=first_message,
                machine_detection=machine_detection,
                voicemail_message=voicemail_message,
            )
        call = next((one for one in harness.emulator.calls if one.call_id == handle.leg.call_id), None)
        if call is None:
            raise self.check.failed("dial() returns something else than the vendor's id of the call.")
        self._calls.append(call)
        return handle, call

    async def joined(self, call: EmulatedCall, *, at: Worker | None = None, session: int = 0) -> LiveCall:
        """Waits for the conversation of a call, or for a later one of the same call.

        Raises:
            ConformanceError: the call does not reach the engine.
        """
        worker = at or self.harness.worker
        with anyio.move_on_after(SOON * self.check.patience):
            found = await self.harness.engine.session_of(call.call_id, session)
            handle = next(one for one in worker.phone.calls if one.leg.call_id == call.call_id)
            await self._told(handle, "conversation_started")
            await self._told(handle, "media_started")
            return LiveCall(call, found, handle)
        raise self._never_came(worker)

    async def end_calls(self) -> None:
        """Ends every call of the scenario that is not over."""
        for call in self._calls:
            call.end()
            await self.over(call, "A call that the caller ends stays up: the emulator's `end` does not end it.")

    # --- what must happen ------------------------------------------------------------------------------------------

    async def told(
        self, handle: PhoneCall, kind: str, problem: str, *, count: int = 1, mistake: str = ""
    ) -> list[CallEvent]:
        """Waits for events of a call, by their tag; `problem` is what is wrong if they do not come."""
        with self.check.within(SOON, problem, mistake=mistake):
            return await self._told(handle, kind, count)

    async def over(self, call: EmulatedCall, problem: str, *, mistake: str = "") -> None:
        """Waits until the call is over at the vendor."""
        with self.check.within(SOON, problem, mistake=mistake):
            await call.over.wait()

    async def ended(self, handle: PhoneCall) -> CallEnded:
        """Waits until the call is over in the app, and all its events have been told."""
        with self.check.within(SOON, "The end of the call is not reported."):
            end = await handle.wait()
            await self._told(handle, "call_ended")
        return end

    def events(self, handle: PhoneCall, kind: str) -> list[CallEvent]:
        """Returns the events of a call that have been told so far, by their tag."""
        return [record.event for record in self.records(handle, kind)]

    def records(self, handle: PhoneCall, kind: str) -> list[Record]:
        """Returns the records of those events."""
        return [record for record in self.harness.sink.of(kind) if record.call_id == handle.id]

    async def transferred(self, call: EmulatedCall, to: str, text: str, *, mistake: str) -> None:
        """Waits until the call is transferred to that number, after that text."""
        with self.check.within(SOON, "The call is not transferred.", mistake=mistake):
            await call.until(lambda: bool(call.transferred_to))
        self.check.require(
            call.transferred_to == [to] and call.spoken == [text] * bool(text),
            "The call is not transferred as it should be.",
            expected=f"to that number, once, {'after the text' if text else 'without a text'}",
            got=f"{len(call.transferred_to)} numbers, {len(call.spoken)} texts",
            mistake="Transfer.to or Transfer.say is not what the vendor is told",
        )
        await self.over(call, "The far end of a transfer hangs up, and the caller is left on the line.")

    def same_conversation(self, live: LiveCall) -> None:
        """Checks that the call has had one conversation, over all its media streams."""
        sessions = len(self.harness.engine.sessions_of(live.call.call_id))
        self.check.require(
            sessions == 1,
            "The media stream came back, and the conversation is another one.",
            got=f"{sessions} conversations",
            mistake="MediaOpened.call_id is not the vendor's id of the call",
        )

    async def hears(self, live: LiveCall, problem: str, *, mistake: str = "") -> None:
        """Has the agent say something, and waits until the caller has heard most of it."""
        played = live.call.recording.played
        enough = len(played) + live.call.recording.format.size(_WORDS_MS / 2)
        self.says(live)
        with self.check.within(SOON, problem, mistake=mistake):
            await live.call.until(lambda: len(played) >= enough)

    def says(self, live: LiveCall) -> bytes:
        """Has the agent say something; returns its audio."""
        format = live.session.output_format
        words = GREETING.audio(format)[: format.size(_WORDS_MS)]
        live.session.give(AudioChunk(words, format))
        return words

    def codec_of(self, live: LiveCall) -> MediaCodec:
        """Returns the plugin's codec of the call's media socket."""
        return self.harness.watched.codecs[live.call.call_id][-1].codec

    def agent(self, fallback: HangUp | Transfer | None = None, *, notice: str = "") -> Agent:
        """Returns an agent with that fallback, or that notice."""
        return self.harness.worker.phone.agent(engine=self.harness.engine, fallback=fallback, notice=notice)

    async def _told(self, handle: PhoneCall, kind: str, count: int = 1) -> list[CallEvent]:
        sink = self.harness.sink
        while len(found := self.events(handle, kind)) < count:
            await sink.wait_for(kind, len(sink.of(kind)) + 1)
        return found

    def _never_came(self, worker: Worker) -> ConformanceError:
        recorder = worker.recorder
        return self.check.failed(
            "A call of the emulator's does not reach the engine.",
            expected="webhooks answered with 200, a media socket, and a MediaOpened from it with the leg's call id",
            got=f"webhooks answered with {[request.status for request in recorder.webhooks]}, "
            f"{len(recorder.upgrades)} media sockets, "
            f"faults {[record.event for record in self.harness.sink.of('media_trouble')]}",
            mistake="a signature over another URL than the one asked for; an answer without the media URL; "
            "a start message that the codec does not understand",
            remedy="The log says why a webhook or a socket was refused.",
        )


@contextlib.asynccontextmanager
async def staged(emulator: CarrierEmulator, carrier: Callable[[], Carrier] | None = None) -> AsyncIterator[Scene]:
    """A scenario by itself, for a carrier's own tests: the emulator runs, and the server between it and a `FakeEngine`.

    Args:
        emulator: what is called, and calls.
        carrier: makes the carrier once the emulator runs; by default the emulator does.
    """
    async with (
        emulator,
        Harness.running(Check("carrier"), emulator, (carrier or emulator.carrier)()) as harness,
        Scene.of(harness) as scene,
    ):
        yield scene
