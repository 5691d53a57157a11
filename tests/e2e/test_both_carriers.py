"""What every carrier must do alike, over real sockets with the real server: the contract, carried out by each of them.

What is a vendor's own (its commands, its events, its ways to fail) is tested beside its plugin.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.abc
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import EngineLost
from patter_core.events import CallEnded, RecordingChanged, ResponseDone
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.caller import Caller, Pause, Say, Step, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from patter_core.testing.stream import StreamEnd
from patter_telnyx.testing import Callee as TelnyxCallee
from patter_telnyx.testing import EmulatedCall as TelnyxCall
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import Callee as TwilioCallee
from patter_twilio.testing import CallStatus, TwilioEmulator
from patter_twilio.testing import EmulatedCall as TwilioCall

pytestmark = pytest.mark.anyio

NUMBER, CUSTOMER, COLLEAGUE = "+15550001234", "+15550009876", "+15550007777"
GREETING = AudioChunk(bytes(range(1, 161)) * 10, ULAW_8000)
SPEECH = bytes(range(255, 0, -1)) * 16
FOREVER = Pause(60.0)


# --- the carriers, seen alike --------------------------------------------------------------------------------------


class Side(abc.ABC):
    """A carrier's emulator, and what a test asks of it in its own words."""

    emulator: TwilioEmulator | TelnyxEmulator

    @abc.abstractmethod
    def answers(self, *, steps: Sequence[Step] = (FOREVER,), busy: bool = False, machine: bool = False) -> None:
        """How the customer behaves."""

    @abc.abstractmethod
    def said(self, call: TwilioCall | TelnyxCall) -> list[str]:
        """What the carrier said to the caller."""

    @abc.abstractmethod
    def transferred_to(self, call: TwilioCall | TelnyxCall) -> list[str]:
        """To whom the call was given."""

    @abc.abstractmethod
    def played(self, call: TwilioCall | TelnyxCall) -> list[str]:
        """What the carrier played while the line was held."""


class TwilioSide(Side):
    def __init__(self) -> None:
        self.emulator = TwilioEmulator()
        self.emulator.callee = TwilioCallee(steps=(FOREVER,))

    def answers(self, *, steps: Sequence[Step] = (FOREVER,), busy: bool = False, machine: bool = False) -> None:
        assert isinstance(self.emulator, TwilioEmulator)
        self.emulator.callees[CUSTOMER] = TwilioCallee(
            steps=steps,
            outcome=CallStatus.BUSY if busy else CallStatus.IN_PROGRESS,
            answered_by="machine_end_beep" if machine else "human",
            detected_after=0.3,
        )

    def said(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TwilioCall)
        return call.spoken.said

    def transferred_to(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TwilioCall)
        return call.spoken.dialled

    def played(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TwilioCall)
        return call.spoken.played


class TelnyxSide(Side):
    def __init__(self) -> None:
        self.emulator = TelnyxEmulator()
        self.emulator.callees[COLLEAGUE] = TelnyxCallee(talks=0.1)

    def answers(self, *, steps: Sequence[Step] = (FOREVER,), busy: bool = False, machine: bool = False) -> None:
        assert isinstance(self.emulator, TelnyxEmulator)
        self.emulator.callees[CUSTOMER] = TelnyxCallee(
            caller=Caller(steps, ULAW_8000), does="busy" if busy else "answer", is_="machine" if machine else "human"
        )

    def said(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TelnyxCall)
        return call.spoken

    def transferred_to(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TelnyxCall)
        return [leg.to_number for leg in call.far_legs]

    def played(self, call: TwilioCall | TelnyxCall) -> list[str]:
        assert isinstance(call, TelnyxCall)
        return call.played


# --- the stage -----------------------------------------------------------------------------------------------------


class Stage:
    """Some workers behind one public address, and a carrier."""

    def __init__(self, side: Side, tasks: anyio.abc.TaskGroup) -> None:
        self.side = side
        self.engine = FakeEngine()
        self.sink = MemorySink()
        self.phones: list[Patter] = []
        self.urls: list[str] = []
        self._tasks = tasks

    @property
    def emulator(self) -> TwilioEmulator | TelnyxEmulator:
        return self.side.emulator

    @property
    def phone(self) -> Patter:
        return self.phones[0]

    def place(self, *steps: Step) -> TwilioCall | TelnyxCall:
        """An incoming call, which runs by itself."""
        url = f"{self.urls[0]}/webhooks/{self.emulator.carrier().name}/voice"
        call = self.emulator.place(url, Caller(steps or (FOREVER,), ULAW_8000))
        self._tasks.start_soon(call.run)
        return call

    async def live(self, *steps: Step) -> tuple[TwilioCall | TelnyxCall, FakeSession, PhoneCall]:
        call = self.place(*steps)
        session = await self.engine.session()
        await self.sink.wait_for("conversation_started")
        await self.sink.wait_for("media_started")
        (handle,) = self.phone.calls
        return call, session, handle

    async def streams(self, call: TwilioCall | TelnyxCall, count: int) -> None:
        await self.sink.wait_for("media_started", count)
        assert len(call.streams) == count

    async def end(self) -> CallEnded:
        (record,) = await self.sink.wait_for("call_ended")
        assert isinstance(record.event, CallEnded)
        return record.event

    def worker_is_gone(self) -> None:
        """From now on whatever the carrier sends comes to the second worker."""
        self.emulator.webhooks.tunnels.forward(self.urls[0], self.urls[1])


@pytest.fixture(params=[TwilioSide, TelnyxSide], ids=["twilio", "telnyx"])
def side(request: pytest.FixtureRequest) -> Side:
    made: Side = request.param()
    return made


@contextlib.asynccontextmanager
async def stage(
    side: Side, *, workers: int = 1, fallback: HangUp | Transfer | None = None, reconnects: int = 3
) -> AsyncIterator[Stage]:
    with anyio.fail_after(30):
        async with side.emulator, anyio.create_task_group() as tasks, contextlib.AsyncExitStack() as servers:
            found = Stage(side, tasks)
            for _ in range(workers):
                listener = bind("127.0.0.1", 0)
                found.urls.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
                phone = Patter(
                    carrier=side.emulator.carrier(),
                    phone_number=NUMBER,
                    webhook_url=found.urls[0],
                    sinks=[found.sink],
                    deadlines=Deadlines(last_word=2.0, media_return=2.0),
                    limits=Limits(drain=0.05, reconnects=reconnects),
                )
                agent = phone.agent(engine=found.engine, first_message="Hello.", fallback=fallback)
                await servers.enter_async_context(serve_app(phone.asgi(agent), listener))
                found.phones.append(phone)
            yield found
            for call in side.emulator.calls:
                call.end()
                await call.over.wait()


# --- calls that come in --------------------------------------------------------------------------------------------


async def test_a_call_comes_in_both_hear_each_other_and_it_ends_once(side: Side) -> None:
    async with stage(side) as on:
        call, session, _ = await on.live(WaitForSilence(0.1), Say(SPEECH), Pause(0.1))
        session.say(GREETING)
        session.say(ResponseDone())
        end = await on.end()
        await call.over.wait()
    assert (end.reason, end.by, end.metrics.passthrough) == ("caller_hung_up", "caller", True)
    assert bytes(call.recording.played) == GREETING.data
    assert SPEECH in b"".join(chunk.data for chunk in session.heard)
    assert (session.setup.leg.from_number, session.setup.leg.to_number) == (call.from_number, call.to_number)


async def test_the_agents_end_is_heard_out_and_the_leg_is_hung_up(side: Side) -> None:
    async with stage(side) as on:
        call, session, _ = await on.live()
        session.say(GREETING)
        session.end()
        await call.over.wait()
        assert (await on.end()).reason == "agent_hung_up"
    assert bytes(call.recording.played) == GREETING.data


# --- calls that we make --------------------------------------------------------------------------------------------


async def test_a_call_goes_out_is_answered_and_talks(side: Side) -> None:
    side.answers(steps=(WaitForAgent(0.1), Say(SPEECH), Pause(0.1)))
    async with stage(side) as on:
        agent = on.phone.agent(engine=on.engine, name="caller")
        handle = await on.phone.call(CUSTOMER, agent=agent, first_message="It is me.", variables={"order": 7})
        assert await handle.wait_answered()
        session = await on.engine.session()
        session.say(GREETING)
        end = await handle.wait()
    assert (end.reason, handle.status) == ("caller_hung_up", Progress.COMPLETED)
    assert (session.setup.first_message, session.setup.variables) == ("It is me.", {"order": 7})
    assert SPEECH in b"".join(chunk.data for chunk in session.heard)


async def test_a_call_to_somebody_busy_says_so(side: Side) -> None:
    side.answers(busy=True)
    async with stage(side) as on:
        handle = await on.phone.call(CUSTOMER, agent=on.phone.agent(engine=on.engine, name="caller"))
        assert not await handle.wait_answered()
        assert (await handle.wait()).reason == "busy"
    assert (handle.status, on.engine.sessions) == (Progress.BUSY, [])


async def test_a_machine_is_left_the_message(side: Side) -> None:
    side.answers(machine=True)
    async with stage(side) as on:
        agent = on.phone.agent(engine=on.engine, name="caller")
        handle = await on.phone.call(CUSTOMER, agent=agent, voicemail_message="Please call back.")
        assert (await handle.wait()).reason == "voicemail"
        call = on.emulator.calls[0]
        await call.over.wait()
    assert handle.answered_by is AnsweredBy.MACHINE_READY
    assert side.said(call) == ["Please call back."]


# --- in the call ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announcement", ["", "I connect you."])
async def test_a_transfer_waits_for_the_last_word(side: Side, announcement: str) -> None:
    async with stage(side) as on:
        call, session, handle = await on.live()
        session.say(GREETING)
        await call.stream.until(lambda: bool(call.recording.played))
        assert (await handle.transfer(COLLEAGUE, say=announcement)).reason == "transferred"
        await call.over.wait()
    assert bytes(call.recording.played) == GREETING.data
    assert side.transferred_to(call) == [COLLEAGUE]
    assert side.said(call) == [announcement] * bool(announcement)


async def test_a_held_line_comes_back_to_the_same_conversation(side: Side) -> None:
    async with stage(side) as on:
        call, session, handle = await on.live()
        await handle.hold("https://music.example/a.mp3")
        await call.stream.ended.wait()
        while not side.played(call):  # noqa: ASYNC110 - it happens in the emulator's own time
            await anyio.sleep(0.005)
        await handle.resume()
        await on.streams(call, 2)
        session.say(GREETING)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
    assert side.played(call) == ["https://music.example/a.mp3"]
    assert len(on.engine.sessions) == 1


async def test_a_recording_is_told_until_it_can_be_fetched(side: Side) -> None:
    async with stage(side) as on:
        _, _, handle = await on.live()
        recording_id = await handle.start_recording()
        await handle.pause_recording()
        await handle.resume_recording()
        await handle.stop_recording()
        records = await on.sink.wait_for("recording_changed", 5)
    told = [record.event.recording for record in records if isinstance(record.event, RecordingChanged)]
    assert {status.status for status in told} == {"started", "paused", "resumed", "stopped", "completed"}
    assert {status.recording_id for status in told} == {recording_id}
    assert [bool(status.url) for status in told].count(True) == 1


# --- when things break ---------------------------------------------------------------------------------------------


async def test_a_stream_that_dies_comes_back_to_the_same_conversation(side: Side) -> None:
    async with stage(side) as on:
        call, session, _ = await on.live()
        call.stream.drop()
        await on.streams(call, 2)
        session.say(GREETING)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
    assert call.streams[0].end is StreamEnd.BROKEN
    assert len(on.engine.sessions) == 1


async def test_a_stream_that_dies_with_its_worker_comes_back_to_another(side: Side) -> None:
    async with stage(side, workers=2) as on:
        call, _, first = await on.live()
        on.worker_is_gone()
        call.stream.drop()
        await on.streams(call, 2)
        (second,) = on.phones[1].calls
        assert (second.id, second.leg.from_number) == (first.id, call.from_number)


async def test_the_count_of_lost_streams_travels_from_worker_to_worker(side: Side) -> None:
    async with stage(side, workers=2, reconnects=2) as on:
        call, _, _ = await on.live()
        call.stream.drop()
        await on.streams(call, 2)
        on.worker_is_gone()
        call.stream.drop()
        await on.streams(call, 3)
        call.stream.drop()
        await call.over.wait()
    assert len(call.streams) == 3


async def test_a_stream_that_dies_again_and_again_is_given_up_and_the_leg_hung_up(side: Side) -> None:
    async with stage(side, reconnects=1) as on:
        call, _, _ = await on.live()
        call.stream.drop()
        await on.streams(call, 2)
        call.stream.drop()
        await call.over.wait()
        assert (await on.end()).reason == "media_lost"


async def test_an_engine_that_is_lost_leaves_the_caller_a_word(side: Side) -> None:
    async with stage(side, fallback=HangUp("We are sorry.")) as on:
        call, session, _ = await on.live()
        session.fail(EngineLost("gone"))
        await call.over.wait()
    assert side.said(call) == ["We are sorry."]


async def test_an_engine_that_is_lost_hands_the_caller_over(side: Side) -> None:
    async with stage(side, fallback=Transfer(COLLEAGUE)) as on:
        call, session, _ = await on.live()
        session.fail(EngineLost("gone"))
        await call.over.wait()
    assert side.transferred_to(call) == [COLLEAGUE]
