"""Code that is not Patter's, on a call: whatever an engine or a carrier does, the call ends once, and in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn

import anyio
import pytest

from patter_core.agent import Agent, Fallback, Retry
from patter_core.aio.foreign import settle
from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.call.codec_faults import MOST_FAILURES
from patter_core.call.config import HostConfig
from patter_core.call.timeouts import Deadlines
from patter_core.engine import ConversationSetup
from patter_core.events import (
    EngineEvent,
    Interruption,
    MediaTrouble,
    ResponseDone,
    ResponseStart,
    SpeechStopped,
    TranscriptInput,
)
from patter_core.media import MediaCodec, Message
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp
from patter_core.telephony.prices import CarrierRates
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession
from tests.calls import CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


class Scene(CallScene):
    def __init__(
        self,
        engine: FakeEngine | None = None,
        *,
        carrier: FakeCarrier | None = None,
        fallback: Fallback | None = None,
        prewarm: bool = False,
    ) -> None:
        super().__init__(engine, carrier)
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=fallback or HangUp()),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(deadlines=Deadlines(media_start=1, last_word=0.2, media_return=0.2)),
            prewarm=prewarm,
        )


class Raising(FakeSession):
    """Raises out of one of its methods."""

    def __init__(self, setup: ConversationSetup, method: str, error: BaseException) -> None:
        super().__init__(setup, ULAW_8000, ULAW_8000)
        self._error = error
        setattr(self, method, self._raise)

    def _raise(self, *_: object) -> NoReturn:
        raise self._error


class RaisingEngine(FakeEngine):
    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__()
        self._what = (method, error)

    def new_session(self, setup: ConversationSetup) -> FakeSession:
        return FakeSession(setup, ULAW_8000, ULAW_8000) if self.sessions else Raising(setup, *self._what)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(1), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("method", ["send_audio", "send_dtmf", "add_context", "events"])
async def test_whatever_an_engine_raises_the_next_session_goes_on(method: str, error: BaseException) -> None:
    scene = Scene(RaisingEngine(method, error), fallback=Retry(times=1))
    async with scene.running():
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.engine.session()
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("dtmf", "5")
        scene.call.actions.add_context("They are a customer.")
        second = await scene.engine.session(1)
        scene.socket.say("audio", FRAME.base64)
        await second.until(lambda: bool(second.received))
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_an_engine_that_ignores_its_cancellation_keeps_no_call_from_its_end() -> None:
    class Stubborn(FakeSession):
        async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
            while not over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await over.wait()
            yield FRAME

    class StubbornEngine(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return Stubborn(setup, ULAW_8000, ULAW_8000)

    over = asyncio.Event()
    scene = Scene(StubbornEngine())
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    over.set()
    assert await settle(5) == 0
    assert scene.socket.of("audio") == []  # the call has no use for what comes afterwards


async def test_a_carrier_that_does_not_answer_leaves_no_caller_in_silence() -> None:
    class Hangs(FakeCarrier):
        async def hang_up(self, leg: Leg) -> None:
            await self.released.wait()

        released = anyio.Event()

    carrier = Hangs()
    scene = Scene(carrier=carrier)
    async with scene.running():
        session = await scene.live()
        session.end()
        await until(lambda: scene.socket.closed)
        assert scene.call.ended is None
        carrier.released.set()
    assert scene.end.reason == "agent_hung_up"


async def test_a_carrier_whose_prices_cannot_be_worked_out_ends_its_call_once_without_a_bill() -> None:
    class Priceless(FakeCarrier):
        @property
        def rates(self) -> CarrierRates:
            raise KeyError("no price for this country")

    scene = Scene(carrier=Priceless())
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    assert scene.end.metrics.carrier_bill is None


@pytest.mark.parametrize("failures", [9, 10])
async def test_a_codec_that_raises_ten_times_in_a_row_ends_its_call_with_the_agents_final_action(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(failures))
    scene = Scene(fallback=HangUp("Sorry."))
    codec = type(scene.carrier.media_codec(scene.call.leg))
    encode = codec.encode_audio

    def encode_audio(self: MediaCodec, chunk: AudioChunk) -> Message:
        if next(left, None) is None:
            return encode(self, chunk)
        raise SystemExit

    monkeypatch.setattr(codec, "encode_audio", encode_audio)
    async with scene.running():
        session = await scene.live()
        for _ in range(11):
            session.give(FRAME)
        if failures < MOST_FAILURES:
            await scene.socket.wait_for("audio", 2)
            scene.socket.say("stop")
    assert [event.problem for event in scene.of(MediaTrouble)] == ["the carrier's plugin failed to write a message"]
    assert scene.end.metrics.frames_unsent == failures
    if failures < MOST_FAILURES:
        assert scene.end.reason == "caller_hung_up"
        assert scene.carrier.commands == []
    else:
        assert scene.end.reason == "media_unusable"
        assert scene.carrier.commands == ["say leg-1 Sorry."]


@pytest.mark.parametrize("method", ["encode_mark", "encode_clear", "encode_dtmf"])
async def test_a_codec_that_cannot_write_something_else_costs_a_fault(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Sequence[Message]:
        raise ZeroDivisionError

    scene = Scene()
    codec = type(scene.carrier.media_codec(scene.call.leg))
    monkeypatch.setattr(codec, method, fail)
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        session.give(Interruption())
        await scene.told("interruption")
        await scene.call.actions.send_dtmf("1")
        session.give(ResponseStart())
        session.give(FRAME)
        session.give(ResponseDone())
        await scene.socket.wait_for("audio", 2)
        await scene.told("response_done")
        scene.socket.say("stop")
    assert [event.problem for event in scene.of(MediaTrouble)] == ["the carrier's plugin failed to write a message"]
    assert scene.end.reason == "caller_hung_up"


@pytest.mark.parametrize(
    "event",
    ["hello", b"", object(), TranscriptInput(None), SpeechStopped(None)],  # type: ignore[arg-type] # nonsense
    ids=lambda event: type(event).__name__,
)
async def test_an_event_that_makes_no_sense_is_the_engines_failure(event: Any) -> None:  # whatever a plugin sends
    scene = Scene(fallback=Retry(times=1))
    async with scene.running():
        session = await scene.live()
        session.give(event)
        second = await scene.engine.session(1)
        scene.socket.say("audio", FRAME.base64)
        await second.until(lambda: bool(second.received))
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


@pytest.mark.parametrize("dropped", [None, "many", KeyError("x")], ids=repr)
async def test_figures_that_an_engine_cannot_give_cost_no_call(dropped: Any) -> None:  # whatever a plugin returns
    class Vague(FakeSession):
        @property
        def dropped(self) -> int:
            if isinstance(dropped, Exception):
                raise dropped
            return dropped  # type: ignore[no-any-return] # no number

    class VagueEngine(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return Vague(setup, ULAW_8000, ULAW_8000)

    scene = Scene(VagueEngine())
    async with scene.running():
        await scene.live()
        assert scene.call.metrics().frames_dropped == 0
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_a_format_that_raises_when_the_caller_comes_is_the_engines_failure() -> None:
    class Formless(FakeSession):
        @property
        def input_format(self) -> AudioFormat:
            if media.is_set():
                raise KeyError("no format")
            return ULAW_8000

    class FormlessEngine(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            kind = FakeSession if self.sessions else Formless
            return kind(setup, ULAW_8000, ULAW_8000)

    media = anyio.Event()
    scene = Scene(FormlessEngine(), fallback=Retry(times=1), prewarm=True)
    async with scene.running():
        await scene.engine.session()
        media.set()
        scene.attach()
        scene.socket.say("start", "leg-1")
        second = await scene.engine.session(1)
        scene.socket.say("audio", FRAME.base64)
        await second.until(lambda: bool(second.received))
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


@pytest.mark.parametrize("facts", [None, LegFacts(progress="live")], ids=repr)  # type: ignore[arg-type] # nonsense
async def test_facts_that_make_no_sense_are_none(facts: Any) -> None:  # whatever a plugin returns
    class Asked(FakeCarrier):
        asks_at_stream_end = True

    carrier = Asked()
    carrier.facts = facts
    scene = Scene(carrier=carrier)
    async with scene.running():
        await scene.call.wait()
    assert scene.end.reason == "no_media"
    assert carrier.hung_up == []  # it may be live on another worker
