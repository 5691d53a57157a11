"""Scenarios of what fails during a call: its media stream, its worker, its engine."""

from __future__ import annotations

from patter_core.errors import EngineLost
from patter_core.telephony.control import Capability
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.conformance.harness import RECONNECTS
from patter_core.testing.conformance.scene import COLLEAGUE, SOON, Scenario, Scene

__all__ = ["FAILURES"]

SORRY = "We are sorry. Goodbye."


async def _stream_lost(scene: Scene) -> None:
    """The stream is broken as often as it is restored; the same conversation goes on each time."""
    if not scene.harness.carrier.asks_at_stream_end:
        return
    live = await scene.live()
    for number in range(RECONNECTS):
        live.call.stream.drop()
        with scene.check.within(
            SOON, "A lost media stream does not come back.", mistake="Accept of stream_ended() is not carried out"
        ):
            await live.call.streaming(number + 2)
        await scene.hears(live, "After a media stream was lost and came back, the caller does not hear the agent.")
    scene.same_conversation(live)


async def _stream_lost_for_good(scene: Scene) -> None:
    """The stream is broken once more than it is restored: the call is ended at the vendor."""
    live = await scene.live()
    for number in range(RECONNECTS if scene.harness.carrier.asks_at_stream_end else 0):
        live.call.stream.drop()
        with scene.check.within(SOON, "A lost media stream does not come back."):
            await live.call.streaming(number + 2)
    live.call.stream.drop()
    await scene.over(live.call, "A media stream is lost for good, and the call stays up.")
    end = await scene.ended(live.handle)
    scene.check.require(end.reason == "media_lost", "The end is not reported as it was.", got=end.reason)


async def _stream_lost_with_its_worker(scene: Scene) -> None:
    """The stream comes back to another worker, which has never heard of the call."""
    harness = scene.harness
    if not harness.carrier.asks_at_stream_end:
        return
    async with harness.serving() as first, harness.serving(first.url) as second:
        live = await scene.live(at=first)
        harness.emulator.tunnels.forward(first.url, second.url)
        live.call.stream.drop()
        other = await scene.joined(live.call, at=second, session=1)
        scene.check.require(
            (other.handle.id, other.handle.leg.from_number) == (live.handle.id, live.handle.leg.from_number),
            "Another worker does not know the call whose media stream it restores.",
            expected="the same call, with its numbers",
            mistake="the callback token of Accept.callbacks does not come back with the webhook",
        )
        await scene.hears(other, "After another worker restored the media stream, the caller does not hear the agent.")
        await scene.end_calls()


async def _engine_lost(scene: Scene) -> None:
    live = await scene.live(answer=scene.agent(HangUp(SORRY)))
    live.session.fail(EngineLost("gone"))
    await scene.over(live.call, "The engine is lost, and the call stays up.", mistake="say_and_hang_up() only speaks")
    if Capability.SAY in scene.harness.carrier.capabilities:
        scene.check.require(
            live.call.spoken == [SORRY],
            "The engine is lost, and the caller does not hear the text of the fallback.",
            got=repr(live.call.spoken),
            mistake="say_and_hang_up() does not speak, or hangs up before the text is over",
        )
    end = await scene.ended(live.handle)
    scene.check.require(end.reason == "engine_failed", "The end is not reported as it was.", got=end.reason)


async def _engine_lost_transfer(scene: Scene) -> None:
    live = await scene.live(answer=scene.agent(Transfer(COLLEAGUE, SORRY)))
    live.session.fail(EngineLost("gone"))
    await scene.transferred(live.call, COLLEAGUE, SORRY, mistake="transfer() asks the vendor for something else")


FAILURES = (
    Scenario("a media stream that is lost and comes back", _stream_lost),
    Scenario("a media stream that is lost for good", _stream_lost_for_good),
    Scenario("a media stream that is lost with its worker", _stream_lost_with_its_worker),
    Scenario("an engine that is lost", _engine_lost),
    Scenario("an engine that is lost, with a transfer", _engine_lost_transfer, frozenset({Capability.TRANSFER})),
)
