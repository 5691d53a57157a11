"""A hold in bad order: its answer is lost, or the carrier ends it itself. No caller is left on hold music."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call import media_leg
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CarrierRequestFailed, EngineLost
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeCarrier, FakeSocket
from patter_core.webhook import Accept
from tests.calls import OutboundScene
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


class Asking(FakeCarrier):
    """Asks what is next at the end of a stream, except for one that a hold has ended."""

    asks_at_stream_end = True

    def __init__(self) -> None:
        super().__init__()
        self.loses_answers = False
        self.on_resume: Callable[[], Awaitable[None]] | None = None

    async def hold(self, leg: Leg, audio_url: str) -> None:
        await super().hold(leg, audio_url)
        if self.loses_answers:
            raise CarrierRequestFailed("The answer was lost.")

    async def resume(self, leg: Leg, accept: Accept) -> None:
        await super().resume(leg, accept)
        if self.on_resume is not None:
            await self.on_resume()


def scene_on(carrier: FakeCarrier) -> OutboundScene:
    return OutboundScene(carrier=carrier, deadlines=Deadlines(media_return=0.2, last_word=0.2))


async def test_a_hold_that_was_taken_and_whose_answer_was_lost_ends_in_a_hang_up() -> None:
    carrier = Asking()
    carrier.loses_answers = True
    scene = scene_on(carrier)
    async with scene.running():
        await scene.live()
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.hold()
        scene.socket.break_off()  # the hold has ended the stream, and no other one comes
    assert scene.end.reason == "media_lost"
    assert carrier.hung_up == ["leg-1"]


async def test_a_caller_who_hangs_up_on_hold_is_noticed_though_no_webhook_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_leg, "_ASK_ON_HOLD", 0.05)
    scene = scene_on(FakeCarrier())
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        await scene.live()
        await scene.handle.hold()
        scene.socket.break_off()
        await until(lambda: scene.carrier.commands.count("look up leg-1") > 1)
        assert scene.call.state is State.HELD
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    assert (scene.end.reason, scene.carrier.hung_up) == ("caller_hung_up", [])


async def test_a_resume_that_takes_too_long_leaves_the_caller_on_hold() -> None:
    class Slow(Asking):
        async def resume(self, leg: Leg, accept: Accept) -> None:
            await anyio.sleep_forever()

    carrier = Slow()
    scene = scene_on(carrier)
    async with scene.running():
        await scene.live()
        await scene.handle.hold()
        scene.socket.break_off()
        with pytest.raises(CarrierRequestFailed, match="in time"):
            await scene.handle.resume()
        assert scene.call.state is State.HELD
        scene.call.hang_up()
    assert (scene.end.reason, carrier.hung_up) == ("host_hung_up", ["leg-1"])


async def test_a_resume_that_is_refused_while_the_next_session_opens_leaves_the_caller_on_hold() -> None:
    scene = scene_on(Asking())
    opened = anyio.Event()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.socket.break_off()
        session.fail(EngineLost("no user input"))
        await anyio.wait_all_tasks_blocked()
        scene.engine.before_open = opened.wait
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.resume()
        assert scene.call.state is State.HELD
        opened.set()
        await scene.engine.session(1)
        await scene.handle.resume()
        scene.socket = FakeSocket()
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.until(State.LIVE)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_a_resume_that_was_taken_and_whose_answer_was_lost_is_no_hold() -> None:
    carrier = Asking()
    scene = scene_on(carrier)

    class Lost(Exception):
        """The answer."""

    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.socket.break_off()

        async def stream_comes_back() -> None:
            scene.socket = FakeSocket()
            scene.attach()
            scene.socket.say("start", "leg-1")
            await scene.until(State.LIVE)
            raise Lost

        carrier.on_resume = stream_comes_back
        with pytest.raises(Lost):
            await scene.handle.resume()
        assert scene.call.state is State.LIVE
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: bool(session.received))
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_a_hold_that_the_carrier_ends_waits_for_the_next_session_within_its_time() -> None:
    scene = OutboundScene(deadlines=Deadlines(engine_connect=0.3, media_return=0.2, last_word=0.2))
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        session.fail(EngineLost("no user input"))
        await anyio.wait_all_tasks_blocked()
        scene.engine.before_open = anyio.sleep_forever
        scene.socket.break_off()
        await anyio.wait_all_tasks_blocked()
        scene.socket = FakeSocket()
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.until(State.MEDIA_READY)
        for _ in range(5):  # frames come, and are no sign of an engine
            scene.socket.say("audio", FRAME.base64)
    assert scene.end.reason == "engine_slow"


async def test_a_transfer_during_a_hold_that_fails_leaves_the_caller_on_hold() -> None:
    scene = scene_on(Asking())
    async with scene.running():
        await scene.live()
        await scene.handle.hold()
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.call.actions.transfer(Transfer("+15550001111"))
        assert scene.call.state is State.HELD
        scene.call.hang_up()
    assert scene.end.reason == "host_hung_up"
