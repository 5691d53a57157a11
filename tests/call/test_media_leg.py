"""The carrier's media socket within a call: a peer that sends more than a call can need is slowed, then cut."""

from __future__ import annotations

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call import media_leg
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.events import DtmfReceived, MediaPaused, MediaStarted, MediaTrouble
from patter_core.net.budget import Budget
from patter_core.telephony.control import Capability, LegFacts
from patter_core.telephony.leg import Progress
from patter_core.testing.fakes import FakeCarrier, FakeSocket
from tests.calls import OutboundScene
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
PATIENT = Deadlines(last_word=0.2, media_return=8.0)


def small_budget() -> Budget:
    return Budget(messages=1_000, size=1_000_000, burst=0.1, patience=0.3)


async def test_a_flood_is_read_more_slowly_then_ends_its_socket_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_leg, "Budget", small_budget)
    scene = OutboundScene(deadlines=Deadlines(media_return=0.1, last_word=0.1))
    async with scene.running():
        await scene.live()
        for _ in range(20_000):
            scene.socket.say("dtmf", "7")
        began = anyio.current_time()
        await scene.until(State.ENDED)
        took = anyio.current_time() - began
    assert scene.end.reason == "media_lost"
    assert scene.socket.closed
    assert 0.3 < took < 5
    assert len(scene.of(DtmfReceived)) < 2_000
    assert [trouble.problem for trouble in scene.of(MediaTrouble)] == [
        "too many messages; they are read more slowly",
        "far too many messages; the socket was closed",
    ]


async def test_a_burst_after_a_stall_is_speech() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        for _ in range(500):  # 10 s of audio at once
            scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: len(session.received) == 500)
        scene.socket.say("stop")
    assert scene.of(MediaTrouble) == []


class Wordless(FakeCarrier):
    """Neither the end of its stream nor a webhook after it says whether the call is over."""

    stream_end_is_call_end = False


@pytest.fixture
def asks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_leg, "_ASK_AFTER", 0.05)


@pytest.mark.parametrize("end", ["stop", ""], ids=["stopped", "broken off"])
@pytest.mark.usefixtures("asks_soon")
async def test_where_the_end_of_a_stream_says_nothing_the_carrier_is_asked_whether_the_call_is_over(end: str) -> None:
    scene = OutboundScene(carrier=Wordless(), deadlines=PATIENT)
    scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    async with scene.running():
        await scene.live()
        if end:
            scene.socket.say(end)
        else:
            scene.socket.break_off()
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.commands == ["look up leg-1"]
    assert scene.carrier.hung_up == []  # it is over


async def test_a_call_whose_end_is_found_out_by_asking_lasted_until_its_stream_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_leg, "_ASK_AFTER", 1.0)
    scene = OutboundScene(carrier=Wordless(), deadlines=PATIENT)
    scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    async with scene.running():
        await scene.live()
        lasted_ms = scene.call.metrics().duration_ms
        scene.socket.break_off()
        await scene.until(State.ENDED)
    assert lasted_ms <= scene.end.duration_ms < lasted_ms + 900


class Asking(Wordless):
    """A webhook asks at the end of its stream: it may go to another worker, as may the one that reports the end."""

    asks_at_stream_end = True


@pytest.mark.parametrize("several_workers", [True, False])
@pytest.mark.usefixtures("asks_soon")
async def test_where_a_webhook_should_tell_of_the_end_and_does_not_the_carrier_is_asked_too(
    several_workers: bool,
) -> None:
    scene = OutboundScene(carrier=Asking(), deadlines=Deadlines(media_return=1.0), several_workers=several_workers)
    scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    async with scene.running():
        await scene.live()
        began = anyio.current_time()
        scene.socket.break_off()
        await scene.until(State.ENDED)
        took = anyio.current_time() - began
    assert scene.end.reason == "caller_hung_up"
    assert took < 0.9
    assert scene.carrier.commands == ["look up leg-1"]
    assert scene.of(MediaPaused) == []


@pytest.mark.usefixtures("asks_soon")
async def test_a_carrier_that_learns_of_the_end_late_is_asked_once_more_before_the_audio_counts_as_lost() -> None:
    scene = OutboundScene(carrier=Asking(), deadlines=Deadlines(media_return=0.3))
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        await scene.live()
        scene.socket.break_off()
        await until(lambda: bool(scene.of(MediaPaused)))
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.commands == ["look up leg-1"] * 2


async def test_audio_that_broke_off_is_told_once_it_is_known_that_the_call_goes_on() -> None:
    scene = OutboundScene(carrier=Asking(), deadlines=PATIENT)
    async with scene.running():
        await scene.live()
        scene.socket.break_off()
        await scene.until(State.ENGINE_READY)
        assert scene.of(MediaPaused) == []  # the caller may have hung up
        scene.call.stream_ended(None)  # the carrier asks what is next
        assert len(scene.of(MediaPaused)) == 1
        for streams in (2, 3):
            scene.socket = FakeSocket()
            await scene.live()
            assert len(scene.of(MediaStarted)) == streams
            scene.socket.break_off()
            await scene.until(State.ENGINE_READY)
        assert len(scene.of(MediaPaused)) == 2  # of the second, once the third stream was here
        scene.call.reports.note_progress(Progress.COMPLETED)
    assert scene.end.reason == "caller_hung_up"
    assert len(scene.of(MediaPaused)) == 2


@pytest.mark.usefixtures("asks_soon")
async def test_a_call_that_is_live_waits_for_another_stream_after_the_carrier_was_asked_once() -> None:
    scene = OutboundScene(carrier=Wordless(), deadlines=PATIENT)
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        session = await scene.live()
        scene.socket.say("stop")
        await until(lambda: bool(scene.carrier.commands))
        scene.socket = FakeSocket()
        await scene.live()
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: bool(session.received))
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.commands == ["look up leg-1", "look up leg-1"]  # once for each stream


@pytest.mark.usefixtures("asks_soon")
async def test_a_live_call_whose_stream_never_comes_back_is_hung_up() -> None:
    scene = OutboundScene(carrier=Wordless(), deadlines=Deadlines(media_return=0.3))
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert scene.end.reason == "media_lost"
    assert scene.carrier.hung_up == ["leg-1"]


@pytest.mark.usefixtures("asks_soon")
async def test_a_carrier_that_cannot_be_asked_is_hung_up_when_its_stream_stops() -> None:
    class Mute(Wordless):
        capabilities = FakeCarrier.capabilities - {Capability.LOOK_UP}

    scene = OutboundScene(carrier=Mute())
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    assert (scene.carrier.commands, scene.carrier.hung_up) == ([], ["leg-1"])
