"""Warm transfers between workers, a carrier without a network, and everything that may come between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import anyio
import anyio.abc
import pytest

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call import consult, consult_leg
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.state import State
from patter_core.engine import EngineCapability
from patter_core.errors import CallError, CallLimitReached, CarrierRequestFailed
from patter_core.events import TransferDone
from patter_core.server.host import CallHost
from patter_core.telephony.control import Capability, DialRequest, LegFacts, RecordingStatus
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import ConsultResult, HangUp
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession, FakeSocket, MemorySink
from patter_core.webhook import Accept, Reject, RoutedCall
from tests.polling import until

pytestmark = pytest.mark.anyio

URL = "https://phone.example/webhooks/fake/voice"
LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15550002222", to_number="+15550001111")
HUMAN = Leg(carrier="fake", call_id="out-1", direction=Direction.OUTBOUND)
TO, BRIEF = "+15550003333", "It is Ada, about a bill."


class Carrier(FakeCarrier):
    """Knows how far each leg has come, and may take its time to connect two."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: dict[str, Progress] = {"leg-1": Progress.ANSWERED}
        self.looks = 0
        self.may_connect = anyio.Event()
        self.may_connect.set()
        self.connecting = anyio.Event()
        self.roots: list[str] = []
        """Of the legs that were connected."""

    async def look_up(self, leg: Leg) -> LegFacts:
        self.looks += 1
        return LegFacts(progress=self.progress.get(leg.call_id, Progress.RINGING))

    async def connect(self, leg: Leg, other: Leg) -> None:
        self.connecting.set()
        await self.may_connect.wait()
        self.roots += [leg.webhooks, other.webhooks]
        await super().connect(leg, other)


class Scene:
    """A caller on one worker, whose call is being transferred. Another worker knows only tokens."""

    def __init__(
        self, carrier: Carrier | None = None, *, engine: FakeEngine | None = None, several_workers: bool = False
    ) -> None:
        self.carrier = carrier or Carrier()
        self.engine = engine or FakeEngine()
        self.sink = MemorySink()
        self.socket = FakeSocket()
        self.several_workers = several_workers
        self.result: ConsultResult | None = None
        self.error: Exception | None = None
        self.over = anyio.Event()
        self.scope = anyio.CancelScope()
        self.host, self.other = self._new_host(), self._new_host()
        self.call: Call
        self.session: FakeSession
        self.tasks: anyio.abc.TaskGroup

    def _new_host(self) -> CallHost:
        agent = Agent(engine=self.engine)

        async def route(_leg: Leg) -> Agent:
            return agent

        return CallHost(
            self.carrier,
            config=HostConfig(limits=Limits(drain=0.01, linger=0.0), several_workers=self.several_workers),
            route=route,
            find_agent=lambda _name: agent,
            sinks=[self.sink],
        )

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        with anyio.fail_after(20):
            async with self.host.running(), self.other.running(), anyio.create_task_group() as self.tasks:
                accept = await self.host.routers["fake"].call(LEG, URL).arrived()
                assert isinstance(accept, Accept)
                call = self.host.routers["fake"].claim(accept.token)
                assert call is not None
                self.call = call
                self.tasks.start_soon(call.serve_media, self.socket)
                self.socket.say("start", "leg-1")
                self.session = await self.engine.session()
                await until(lambda: call.state is State.LIVE)
                yield
                call.hang_up()
                await call.wait()
                self.tasks.cancel_scope.cancel()

    @property
    def handle(self) -> PhoneCall:
        return PhoneCall(self.call)

    async def begin(self, *, say: str = "", dials: bool = True) -> None:
        """Until the human's phone rings."""
        self.tasks.start_soon(self._run, say)
        if not dials:
            return
        await until(lambda: bool(self.carrier.dialled) or self.over.is_set())
        await anyio.wait_all_tasks_blocked()

    async def _run(self, say: str) -> None:
        try:
            with self.scope:
                self.result = await self.handle.warm_transfer(TO, BRIEF, say=say)
        except (CallError, CarrierRequestFailed) as error:
            self.error = error
        self.over.set()

    def human(self, host: CallHost | None = None) -> RoutedCall:
        """The leg to the human, as the carrier's webhooks bring it to a worker."""
        return (host or self.host).routers["fake"].call(HUMAN, URL, self.dialled.callbacks.token)

    @property
    def dialled(self) -> DialRequest:
        return self.carrier.dialled[-1]

    @property
    def connects(self) -> list[str]:
        return [command for command in self.carrier.commands if command.startswith("connect")]

    async def answered(self) -> None:
        self.carrier.progress["out-1"] = Progress.ANSWERED
        await self.human().progressed(Progress.ANSWERED)

    async def back(self) -> None:
        """The caller is back with the agent, which knows."""
        await self.over.wait()
        assert self.carrier.commands[-1] == "resume leg-1"
        assert self.session.context[-1].endswith("is back on the line with you.")
        assert self.call.state is State.LIVE or self.call.state is State.ENGINE_READY


async def test_any_worker_is_told_whom_to_brief_with_what_and_connects_them() -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        assert (scene.dialled.to_number, scene.dialled.from_number) == (TO, LEG.to_number)
        for host in (scene.host, scene.other):
            human = scene.human(host)
            assert human.briefing == BRIEF
            assert await human.arrived() == Reject()  # it has no conversation
            assert await human.stream_ended() == HangUp()
            await human.priced(Cost(Decimal(1)))
            await human.recording_changed(RecordingStatus(recording_id="R1", status="completed"))
        await scene.answered()
        await scene.human().briefed()
        await scene.human().briefed()
        await scene.over.wait()
        assert (scene.result, scene.connects) == (ConsultResult.JOINED, ["connect leg-1 out-1"])
        assert (await scene.call.wait()).reason == "transferred"
    assert scene.carrier.hung_up == []
    assert len(scene.engine.sessions) == 1
    assert scene.host.routers["fake"].call(LEG, URL).briefing == ""
    assert {record.call_id for record in scene.sink.records} == {scene.call.call_id}
    assert not {"call_priced", "recording_changed"} & {record.event.kind for record in scene.sink.records}


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_human_is_briefed_and_connected_although_the_worker_drains(elsewhere: bool) -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        host = scene.other if elsewhere else scene.host
        host.table.draining = True
        await scene.answered()
        assert scene.human(host).briefing == BRIEF
        await scene.human(host).briefed()
        await until(lambda: bool(scene.connects))
    assert scene.carrier.roots == ["https://phone.example/webhooks/fake"] * 2


@pytest.mark.parametrize(
    ("progress", "result"),
    [
        (Progress.BUSY, ConsultResult.BUSY),
        (Progress.NO_ANSWER, ConsultResult.NO_ANSWER),
        (Progress.FAILED, ConsultResult.FAILED),
        (Progress.CANCELED, ConsultResult.FAILED),
        (Progress.COMPLETED, ConsultResult.HUNG_UP),
    ],
)
async def test_the_caller_is_back_at_once_when_the_carrier_reports_it(
    progress: Progress, result: ConsultResult
) -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        await scene.human().progressed(Progress.RINGING)
        await scene.human().progressed(progress)
        await scene.human().progressed(Progress.ANSWERED)  # late
        await scene.back()
        assert scene.result is result
    assert "out-1" not in scene.carrier.hung_up


@pytest.mark.parametrize(
    ("progress", "result"),
    [
        (Progress.BUSY, ConsultResult.BUSY),
        (Progress.FAILED, ConsultResult.FAILED),
        (Progress.COMPLETED, ConsultResult.HUNG_UP),
    ],
)
async def test_what_another_worker_was_told_is_looked_up(
    progress: Progress, result: ConsultResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.01)
    scene = Scene(several_workers=True)
    async with scene.live():
        await scene.begin()
        scene.carrier.progress["out-1"] = progress
        await scene.human(scene.other).progressed(progress)
        await scene.back()
        assert scene.result is result


async def test_no_answer_is_believed_once_the_phone_no_longer_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.01)
    scene = Scene(several_workers=True)
    async with scene.live():
        await scene.begin()
        scene.carrier.progress["out-1"] = Progress.NO_ANSWER  # as some say of a call that rings
        await anyio.sleep(0.1)
        assert not scene.over.is_set()
        scene.carrier.progress["out-1"] = Progress.ANSWERED
        await scene.human(scene.other).briefed()
        await until(lambda: bool(scene.connects))
        scene.carrier.progress |= {"leg-1": Progress.COMPLETED, "out-1": Progress.COMPLETED}  # they have talked
        await until(lambda: scene.over.is_set() or scene.call.is_over)
        await scene.over.wait()
        assert (scene.result, (await scene.call.wait()).reason) == (ConsultResult.JOINED, "transferred")


async def test_a_look_at_the_moment_when_both_hang_up_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The carrier reports the end of the one leg before that of the other."""
    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.05)
    scene = Scene(several_workers=True)
    async with scene.live():
        await scene.begin()
        scene.carrier.progress["out-1"] = Progress.COMPLETED
        looks = scene.carrier.looks
        await until(lambda: scene.carrier.looks >= looks + 2)
        scene.carrier.progress["leg-1"] = Progress.COMPLETED
        await scene.over.wait()
        assert (scene.result, (await scene.call.wait()).reason) == (ConsultResult.JOINED, "transferred")
    assert "resume leg-1" not in scene.carrier.commands


async def test_a_caller_who_hangs_up_on_hold_is_noticed_and_the_human_is_hung_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.01)
    scene = Scene()
    async with scene.live():
        await scene.begin()
        scene.carrier.progress["leg-1"] = Progress.COMPLETED
        await scene.over.wait()
        assert (scene.result, (await scene.call.wait()).reason) == (ConsultResult.CALLER_HUNG_UP, "caller_hung_up")
        assert scene.carrier.hung_up == ["out-1"]
        await scene.human().briefed()
        await until(lambda: scene.carrier.hung_up.count("out-1") == 2)
    assert scene.connects == []


@pytest.mark.parametrize("how", ["cancelled", "hung up"])
async def test_a_human_whose_brief_ends_after_it_was_given_up_is_not_connected(how: str) -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        await scene.answered()
        if how == "cancelled":
            scene.scope.cancel()
        else:
            scene.call.hang_up()
        await scene.over.wait()
        await scene.human().briefed()
        await until(lambda: scene.carrier.hung_up.count("out-1") == 2)
        done = [record.event for record in scene.sink.records if isinstance(record.event, TransferDone)]
        if how == "cancelled":
            await scene.back()
            assert [event.ok for event in done] == [False]
    assert scene.connects == []


async def test_a_cancellation_while_they_are_being_connected_comes_too_late() -> None:
    scene = Scene()
    scene.carrier.may_connect = anyio.Event()
    async with scene.live():
        await scene.begin()
        await scene.answered()
        await scene.human().briefed()
        await scene.carrier.connecting.wait()
        scene.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        scene.carrier.may_connect.set()
        await scene.over.wait()
        assert scene.scope.cancelled_caught
        assert (await scene.call.wait()).reason == "transferred"
    assert scene.carrier.hung_up == []
    assert "resume leg-1" not in scene.carrier.commands


@pytest.mark.parametrize("fault", [SystemExit("no"), CarrierRequestFailed("no"), KeyError("no")])
async def test_a_carrier_that_fails_to_connect_gives_the_caller_back(fault: BaseException) -> None:
    class Broken(Carrier):
        async def connect(self, leg: Leg, other: Leg) -> None:
            raise fault

    scene = Scene(Broken())
    async with scene.live():
        await scene.begin()
        await scene.answered()
        await scene.human().briefed()
        await scene.back()
        assert scene.result is ConsultResult.FAILED
    assert scene.carrier.hung_up.count("out-1") == 1


async def test_a_human_who_hangs_up_just_before_leaves_the_caller_not_alone() -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        await scene.answered()
        scene.carrier.progress["out-1"] = Progress.COMPLETED
        await scene.human().briefed()
        await scene.back()
        assert scene.result is ConsultResult.HUNG_UP


async def test_a_carrier_that_does_not_dial_gives_the_caller_back() -> None:
    scene = Scene()

    async def refuse(_request: DialRequest, _call_id: str) -> None:
        raise CarrierRequestFailed("The fake carrier would not.", status=400)

    scene.carrier.on_dial = refuse
    async with scene.live():
        await scene.begin()
        await scene.back()
        assert isinstance(scene.error, CarrierRequestFailed)


async def test_a_transfer_that_is_cancelled_while_it_dials_hangs_up_what_was_dialled() -> None:
    scene = Scene()
    may_dial = anyio.Event()

    async def wait(_request: DialRequest, _call_id: str) -> None:
        await may_dial.wait()

    scene.carrier.on_dial = wait
    async with scene.live():
        await scene.begin()
        scene.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        may_dial.set()
        await scene.back()
    assert scene.carrier.hung_up.count("out-1") == 1


@pytest.mark.parametrize("when", ["dialling", "ringing"])
async def test_a_cancellation_by_asyncio_itself_hangs_up_what_was_dialled_too(when: str) -> None:
    scene = Scene()
    may_dial = anyio.Event()

    async def wait(_request: DialRequest, _call_id: str) -> None:
        await may_dial.wait()

    scene.carrier.on_dial = wait
    async with scene.live():
        task = asyncio.get_running_loop().create_task(scene.handle.warm_transfer(TO, BRIEF))
        await until(lambda: bool(scene.carrier.dialled))
        if when == "ringing":
            may_dial.set()
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await anyio.wait_all_tasks_blocked()
        may_dial.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        scene.over.set()
        await scene.back()
    assert scene.carrier.hung_up.count("out-1") == 1


@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_caller_whose_hold_the_carrier_does_not_end_is_asked_for_again_and_then_hung_up(refusals: int) -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        scene.carrier.refusals = refusals
        await scene.human().progressed(Progress.BUSY)
        await scene.over.wait()
        if refusals == 1:
            await scene.back()
            assert scene.result is ConsultResult.BUSY
        else:
            assert scene.result is ConsultResult.CALLER_HUNG_UP
            assert (await scene.call.wait()).detail == "the carrier did not end the hold"
            assert scene.carrier.hung_up == ["leg-1"]


async def test_a_hold_for_a_transfer_is_the_transfers_from_the_first_and_not_once_the_carrier_refuses_it() -> None:
    class SlowToHold(Carrier):
        may_hold = anyio.Event()

        async def hold(self, leg: Leg, audio_url: str) -> None:
            await self.may_hold.wait()
            await super().hold(leg, audio_url)

    carrier = SlowToHold()
    scene = Scene(carrier)
    async with scene.live():
        carrier.refusals = 1
        await scene.begin(dials=False)
        await until(lambda: scene.call.state is State.HELD)
        assert scene.call.actions.is_consulting
        with pytest.raises(CallError, match="being transferred already"):
            await scene.handle.warm_transfer(TO, BRIEF)
        assert scene.call.actions.is_consulting
        carrier.may_hold.set()
        await scene.over.wait()
        assert isinstance(scene.error, CarrierRequestFailed)
        assert (scene.call.actions.is_consulting, scene.call.state) == (False, State.LIVE)


async def test_a_cancellation_while_the_caller_comes_back_does_not_leave_them_on_hold() -> None:
    class Slow(Carrier):
        may_resume = anyio.Event()

        async def resume(self, leg: Leg, accept: Accept) -> None:
            await self.may_resume.wait()
            await super().resume(leg, accept)

    scene = Scene(carrier := Slow())
    async with scene.live():
        await scene.begin()
        await scene.human().progressed(Progress.BUSY)
        await anyio.wait_all_tasks_blocked()
        scene.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        carrier.may_resume.set()
        await scene.back()


async def test_a_second_one_and_other_actions_wait_for_the_first() -> None:
    scene = Scene()
    async with scene.live():
        await scene.begin()
        for action in (
            lambda: scene.handle.warm_transfer(TO, BRIEF),
            scene.handle.resume,
            lambda: scene.handle.transfer(TO),
            scene.handle.hold,
        ):
            with pytest.raises(CallError):
                await action()
        await scene.human().progressed(Progress.BUSY)
        await scene.back()
        scene.session.context.clear()
        assert scene.result is ConsultResult.BUSY


@pytest.mark.parametrize("lacking", [Capability.DIAL, Capability.HOLD, Capability.CONNECT, Capability.LOOK_UP])
async def test_a_carrier_that_cannot_is_named_before_anything_happens(lacking: Capability) -> None:
    class Lacking(Carrier):
        capabilities = FakeCarrier.capabilities - {lacking}

    scene = Scene(Lacking(), several_workers=lacking is Capability.LOOK_UP)
    async with scene.live():
        with pytest.raises(CallError, match=f"the capability {lacking.value}"):
            await scene.handle.warm_transfer(TO, BRIEF)
        assert scene.call.state is State.LIVE
    assert scene.carrier.commands == []


async def test_without_looking_up_webhooks_tell_and_a_deadline_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(Carrier):
        capabilities = FakeCarrier.capabilities - {Capability.LOOK_UP}

    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(consult_leg, "_LATE", -29.8)
    scene = Scene(Blind())
    async with scene.live():
        await scene.begin()
        await scene.back()
        assert scene.result is ConsultResult.NO_ANSWER
    assert scene.carrier.hung_up.count("out-1") == 1


async def test_what_is_said_to_the_caller_first_is_said_by_the_agent() -> None:
    class Speaker(FakeEngine):
        capabilities = FakeEngine.capabilities | {EngineCapability.SAY}

    scene = Scene(engine=Speaker())
    async with scene.live():
        await scene.begin(say="One moment.", dials=False)
        await scene.session.until(lambda: scene.session.spoken == ["One moment."])
        await anyio.sleep(0.05)
        assert scene.carrier.commands == []
        scene.session.give(AudioChunk(b"\x2a" * 1_600, ULAW_8000))
        (mark, *_) = await scene.socket.wait_for("mark")
        assert scene.carrier.commands == []
        scene.socket.say("mark", mark.value)
        await until(lambda: bool(scene.carrier.dialled))
        assert scene.carrier.commands[0].startswith("hold leg-1")
        await scene.human().progressed(Progress.BUSY)
        await scene.back()


async def test_an_agent_that_cannot_say_it_is_named_before_anything_happens() -> None:
    scene = Scene()
    async with scene.live():
        with pytest.raises(CallError, match="the capability prompt or say"):
            await scene.handle.warm_transfer(TO, BRIEF, say="One moment.")
    assert scene.carrier.commands == []


async def test_a_number_of_a_range_that_is_switched_off_is_not_called() -> None:
    scene = Scene()
    async with scene.live():
        with pytest.raises(CallLimitReached, match=r"Numbers that begin with \+1900 are switched off"):
            await scene.handle.warm_transfer("+19005550000", BRIEF)
        assert scene.call.state is State.LIVE
    assert scene.carrier.commands == []
