"""Warm transfer over real sockets, with each carrier: what the caller and the human hear is measured."""

from __future__ import annotations

import contextlib
import math
import urllib.parse
from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.abc
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patter_core import Agent, Patter, PhoneCall
from patter_core.audio import AudioChunk
from patter_core.call import consult, consult_leg
from patter_core.call.consult import WarmTransfer
from patter_core.errors import CallError, CarrierRequestFailed
from patter_core.events import CallEnded, TransferDone, TransferStarted
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Progress
from patter_core.telephony.outcome import ConsultResult
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller, Pause, Say, Step
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_plivo.testing import PlivoEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_telnyx.testing.rest import Fault
from patter_twilio.testing import TwilioEmulator
from patter_vonage.testing import Fault as VonageFault
from patter_vonage.testing import VonageEmulator
from tests.carriers import MakeEmulator, each_carrier
from tests.polling import until

pytestmark = pytest.mark.anyio

COLLEAGUE, BRIEF = "+15550007777", "Ada Lovelace, about her invoice of May."
REFUSED = "+15005550001"
"""Twilio refuses calls from it."""
MUSIC = "https://music.example/a.mp3"


class Scene:
    """A caller who talks with an agent, on one worker or, of two, on the first."""

    def __init__(self, emulator: CarrierEmulator, tasks: anyio.abc.TaskGroup) -> None:
        self.emulator = emulator
        self.tasks = tasks
        self.engine = FakeEngine()
        self.sink = MemorySink()
        self.ends: list[CallEnded] = []
        self.agents: list[Agent] = []
        format = emulator.format
        self.callers_words = CALLER_LINES[0].audio(format)
        self.humans_words = CALLER_LINES[1].audio(format)
        self.caller: EmulatedCall
        self.session: FakeSession
        self.handle: PhoneCall

    def new_phone(self, *, several_workers: bool = False) -> Patter:
        phone = Patter(
            carrier=self.emulator.carrier(),
            sinks=[self.sink],
            on_call_end=lambda _call, end: self.ends.append(end),
            several_workers=several_workers,
        )
        self.agents.append(phone.agent(engine=self.engine))
        return phone

    async def begin(self, url: str, phones: Sequence[Patter], *steps: Step) -> None:
        """The caller talks with the agent. Once they are connected to somebody, they say their words."""
        emulator = self.emulator
        self.caller = emulator.place(
            f"{url}/webhooks/{emulator.carrier().name}/voice",
            Caller((*steps, Pause(2.0), Say(self.callers_words), Pause(3_600.0)), emulator.format),
        )  # with the emulator's own numbers: no carrier refuses calls from them
        self.tasks.start_soon(self.caller.run)
        self.session = await self.engine.session()
        await self.sink.wait_for("media_started")
        await self.sink.wait_for("conversation_started")
        (self.handle,) = [call for phone in phones for call in phone.calls]

    def answers(self, *steps: Step, outcome: Progress = Progress.ANSWERED, listens: float = math.inf) -> None:
        """Who is at the colleague's number."""
        self.emulator.callees[COLLEAGUE] = Callee(steps=steps or (Pause(60.0),), outcome=outcome, listens=listens)

    @property
    def human(self) -> EmulatedCall:
        """The consult leg."""
        (leg,) = [call for call in self.emulator.calls if call.to_number == COLLEAGUE]
        return leg

    async def agent_is_heard(self) -> None:
        """The caller hears the agent again, in the same conversation."""
        played = self.caller.recording.played
        before = len(played)
        if not isinstance(self.emulator, VonageEmulator):  # where a hold keeps the stream
            await self.caller.streaming(2)
        self.session.give(AudioChunk(b"\x2a" * 4_000, self.session.output_format))
        await self.caller.until(lambda: len(played) >= before + 3_000)
        assert len(self.engine.sessions) == 1


@contextlib.asynccontextmanager
async def talking(make: MakeEmulator, *steps: Step) -> AsyncIterator[Scene]:
    with anyio.fail_after(30):
        async with make() as emulator, anyio.create_task_group() as tasks:
            scene = Scene(emulator, tasks)
            phone = scene.new_phone()
            async with serve_app(phone.asgi(scene.agents[0])) as url:
                await scene.begin(url, [phone], *steps)
                yield scene
                for call in emulator.calls:
                    call.end()
                    await call.over.wait()


def problems(scene: Scene) -> list[str]:
    return [problem.text for call in scene.emulator.calls for problem in getattr(call, "problems", [])]


async def check_joined(scene: Scene, *, caller_ends: bool = False) -> None:
    """Each hears what the other says, once, whole; the human has heard the brief; when one hangs up both are over."""
    caller, human = scene.caller, scene.human
    await caller.until(lambda: bool(caller.connected_to))
    assert (caller.connected_to, human.connected_to) == ([human.call_id], [caller.call_id])
    assert human.spoken == [BRIEF]
    assert caller.spoken == []
    heard_by_caller, heard_by_human = caller.recording.agent, human.recording.agent
    await caller.until(lambda: scene.humans_words in bytes(heard_by_caller))
    await human.until(lambda: scene.callers_words in bytes(heard_by_human))
    assert bytes(heard_by_caller).count(scene.humans_words) == bytes(heard_by_human).count(scene.callers_words) == 1
    assert human.streams == []
    (caller if caller_ends else human).end()
    await caller.over.wait()
    await human.over.wait()
    assert problems(scene) == []


@each_carrier()
@pytest.mark.parametrize("music", ["", MUSIC])
async def test_the_human_hears_the_brief_and_then_both_hear_each_other(emulator: MakeEmulator, music: str) -> None:
    async with talking(emulator) as scene:
        scene.answers(Pause(0.5), Say(scene.humans_words), Pause(60.0))
        result = await scene.handle.warm_transfer(COLLEAGUE, BRIEF, hold_audio=music)
        assert result is ConsultResult.JOINED
        assert scene.caller.played == [music] * bool(music)
        assert (await scene.handle.wait()).reason == "transferred"
        assert not getattr(scene.caller, "playing", "")
        await check_joined(scene, caller_ends=bool(music))
    assert [end.reason for end in scene.ends] == ["transferred"]
    told = [record.event for record in scene.sink.records]
    assert [event.to[-2:] for event in told if isinstance(event, TransferStarted)] == [COLLEAGUE[-2:]]
    assert [event.ok for event in told if isinstance(event, TransferDone)] == [True]


async def check_back(scene: Scene, result: ConsultResult | None, told: str) -> None:
    """The caller is back with the same agent, which was told why; the human is gone."""
    await scene.agent_is_heard()
    assert scene.session.context[-1].startswith(told)
    assert scene.handle.ended is None
    for call in scene.emulator.calls:
        if call is not scene.caller:
            await call.over.wait()
            assert call.connected_to == []
    done = [record.event for record in scene.sink.records if isinstance(record.event, TransferDone)]
    assert [event.ok for event in done] == [False]
    if result is not None:
        assert done[0].detail == result


@each_carrier()
@pytest.mark.parametrize(
    ("outcome", "result", "told"),
    [
        (Progress.BUSY, ConsultResult.BUSY, "The number to transfer the caller to is busy"),
        (Progress.NO_ANSWER, ConsultResult.NO_ANSWER, "There was no answer"),
        (Progress.FAILED, ConsultResult.FAILED, "The transfer of the caller failed"),
    ],
)
async def test_a_human_who_cannot_be_reached_leaves_the_caller_with_the_agent(
    emulator: MakeEmulator, outcome: Progress, result: ConsultResult, told: str
) -> None:
    async with talking(emulator) as scene:
        scene.answers(outcome=outcome)
        assert await scene.handle.warm_transfer(COLLEAGUE, BRIEF, hold_audio=MUSIC) is result
        await check_back(scene, result, told)
        assert scene.human.spoken == []


@each_carrier()
async def test_a_human_who_hangs_up_during_the_brief_leaves_the_caller_with_the_agent(
    emulator: MakeEmulator,
) -> None:
    async with talking(emulator) as scene:
        scene.answers(listens=0.02)
        assert await scene.handle.warm_transfer(COLLEAGUE, BRIEF) is ConsultResult.HUNG_UP
        await check_back(scene, ConsultResult.HUNG_UP, "Who was called for the transfer hung up")
        assert scene.human.spoken == []


@each_carrier()
async def test_a_carrier_that_does_not_connect_them_leaves_the_caller_with_the_agent(
    emulator: MakeEmulator,
) -> None:
    async with talking(emulator) as scene, anyio.create_task_group() as tasks:
        scene.answers()

        async def refuse() -> None:
            await scene.sink.wait_for("transfer_started")
            await scene.sink.wait_for("media_paused")
            if isinstance(scene.emulator, VonageEmulator):
                scene.emulator.api.faults.append(VonageFault(status=400, path=scene.caller.call_id))
            else:
                is_telnyx = isinstance(scene.emulator, TelnyxEmulator)
                scene.caller.refusals = 2 if is_telnyx else 1  # the end of the hold music comes first

        tasks.start_soon(refuse)
        assert await scene.handle.warm_transfer(COLLEAGUE, BRIEF) is ConsultResult.FAILED
        await check_back(scene, ConsultResult.FAILED, "The transfer of the caller failed")
        assert scene.human.spoken == [BRIEF]


@each_carrier()
async def test_a_carrier_that_does_not_dial_leaves_the_caller_with_the_agent(
    emulator: MakeEmulator,
) -> None:
    async with talking(emulator) as scene:
        if isinstance(scene.emulator, TelnyxEmulator):
            scene.emulator.api.faults.append(Fault(action="dial", status=422))
        elif isinstance(scene.emulator, VonageEmulator):
            scene.emulator.api.faults.append(VonageFault(status=403, path="/v1/calls"))
        elif isinstance(scene.emulator, PlivoEmulator):
            scene.emulator.api.foreign_numbers.add(REFUSED)
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.warm_transfer(COLLEAGUE, BRIEF, from_number=REFUSED)
        await check_back(scene, None, "The transfer of the caller failed")


@each_carrier()
@pytest.mark.parametrize("when", ["ringing", "briefed"])
async def test_a_caller_who_hangs_up_meanwhile_ends_the_call_to_the_human(emulator: MakeEmulator, when: str) -> None:
    async with talking(emulator) as scene, anyio.create_task_group() as tasks:
        scene.emulator.callees[COLLEAGUE] = Callee(rings=60.0 if when == "ringing" else 0.05, listens=math.inf)
        results: list[ConsultResult] = []

        async def transfer() -> None:
            results.append(await scene.handle.warm_transfer(COLLEAGUE, BRIEF))

        tasks.start_soon(transfer)
        await scene.sink.wait_for("transfer_started")
        await until(lambda: any(call.to_number == COLLEAGUE for call in scene.emulator.calls))
        scene.caller.end()
        await scene.human.over.wait()
        assert scene.human.connected_to == []
        end = await scene.handle.wait()
    assert (results, end.reason) == ([ConsultResult.CALLER_HUNG_UP], "caller_hung_up")


@each_carrier()
async def test_cancelling_it_gives_the_call_back_and_hangs_up_on_the_human(
    emulator: MakeEmulator,
) -> None:
    async with talking(emulator) as scene:
        scene.emulator.callees[COLLEAGUE] = Callee(rings=60.0)
        with anyio.move_on_after(0.5) as scope:
            await scene.handle.warm_transfer(COLLEAGUE, BRIEF)
        assert scope.cancelled_caught
        await check_back(scene, None, "The transfer of the caller failed")
        scene.answers()
        again = scene.emulator.calls
        assert await scene.handle.warm_transfer(COLLEAGUE, BRIEF) is ConsultResult.JOINED
        (human,) = [call for call in scene.emulator.calls if call not in again]
        await human.until(lambda: bool(human.connected_to))
        assert human.connected_to == [scene.caller.call_id]


class Front:
    """A balancer before two workers: the caller's webhooks and audio go to the first, the human's to the second."""

    def __init__(self, first: ASGIApp, second: ASGIApp) -> None:
        self._first, self._second = first, second
        self.caller = ""
        self.to_second = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
                await receive()
                await send({"type": answer})
        elif scope["type"] != "http":
            await self._first(scope, receive, send)
        else:
            body = await Request(scope, receive).body()
            is_first = not self.caller or self.caller in urllib.parse.unquote(body.decode())
            self.to_second += not is_first
            await (self._first if is_first else self._second)(scope, _replayed(body, receive), send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


@contextlib.asynccontextmanager
async def talking_before_two(make: MakeEmulator) -> AsyncIterator[tuple[Scene, Front]]:
    with anyio.fail_after(60):
        async with make() as emulator, anyio.create_task_group() as tasks:
            scene = Scene(emulator, tasks)
            phones = [scene.new_phone(several_workers=True) for _ in range(2)]
            front = Front(*(phone.asgi(agent) for phone, agent in zip(phones, scene.agents, strict=True)))
            async with serve_app(front) as url:
                await scene.begin(url, phones)
                front.caller = scene.caller.call_id
                yield scene, front
                for call in emulator.calls:
                    call.end()
                    await call.over.wait()


@each_carrier()
async def test_another_worker_briefs_the_human_and_connects_them(
    emulator: MakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consult_leg, "_SECONDS_A_CHARACTER", 0.0)
    monkeypatch.setattr(consult_leg, "_CONNECTING", 1.0)
    async with talking_before_two(emulator) as (scene, front):
        scene.answers(Pause(0.5), Say(scene.humans_words), Pause(60.0))
        assert await scene.handle.warm_transfer(COLLEAGUE, BRIEF, hold_audio=MUSIC) is ConsultResult.JOINED
        assert front.to_second >= 2
        await check_joined(scene)
    assert [end.reason for end in scene.ends] == ["transferred"]


@each_carrier()
@pytest.mark.parametrize("fails", ["busy", "hangs up"])
async def test_the_callers_worker_takes_them_back_without_hearing_from_the_human(
    emulator: MakeEmulator, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consult, "_LOOK_EVERY", 0.2)
    async with talking_before_two(emulator) as (scene, front):
        if fails == "busy":
            scene.answers(outcome=Progress.BUSY)
        else:
            scene.answers(listens=0.02)
        result = await scene.handle.warm_transfer(COLLEAGUE, BRIEF, ring_timeout=5)
        # Telnyx says of a leg that is over only whether it was ever answered.
        expected = {"busy": {ConsultResult.BUSY, ConsultResult.NO_ANSWER}, "hangs up": {ConsultResult.HUNG_UP}}[fails]
        if isinstance(scene.emulator, PlivoEmulator):  # it has no record of a call that is just over
            expected.add(ConsultResult.NO_ANSWER)
        assert result in expected
        assert front.to_second >= 1
        await check_back(scene, result, "")


async def test_it_is_refused_before_anything_happens() -> None:
    async with talking(TwilioEmulator) as scene:
        assert isinstance(scene.emulator, TwilioEmulator)
        before = len(scene.emulator.api_requests)
        refused = [
            (WarmTransfer(to="0800", brief=BRIEF), "E.164"),
            (WarmTransfer(to=COLLEAGUE, brief=" "), "brief"),
            (WarmTransfer(to=COLLEAGUE, brief="x" * 1_001), "brief"),
            (WarmTransfer(to=COLLEAGUE, brief="\U0001f4de" * 1_000), "too long for a URL"),
            (WarmTransfer(to=COLLEAGUE, brief=BRIEF, ring_timeout=1), "ring_timeout"),
            (WarmTransfer(to=COLLEAGUE, brief=BRIEF, from_number="me"), "`from_number` is not an E.164"),
        ]
        for request, told in refused:
            with pytest.raises(CallError, match=told):
                await scene.handle.warm_transfer(
                    request.to, request.brief, ring_timeout=request.ring_timeout, from_number=request.from_number
                )
        assert len(scene.emulator.api_requests) == before
        scene.session.give(AudioChunk(b"\x2a" * 4_000, scene.session.output_format))
        await scene.caller.until(lambda: len(scene.caller.recording.played) >= 3_000)
