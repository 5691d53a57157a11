"""Scenarios of the notice at a call's start, where the carrier says it."""

from __future__ import annotations

from patter_core.telephony.control import Capability
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.conformance.scene import SOON, LiveCall, Scenario, Scene

__all__ = ["NOTICES"]

_TEXT = "This <call> is recorded & kept, “for a week”. 録音 🎙"


async def _incoming(scene: Scene) -> None:
    live = await _begun(scene, scene.place(answer=scene.agent(notice=_TEXT)))
    if Capability.HOLD in scene.harness.carrier.capabilities:
        with scene.check.raises_only(problem="hold() or resume() raises."):
            await live.handle.hold("")
            await live.handle.resume()
        await scene.hears(live, "A caller who was on hold does not hear the agent again.")
    if scene.harness.carrier.asks_at_stream_end:
        streams = len(live.call.streams)
        live.call.stream.drop()
        with scene.check.within(SOON, "A lost media stream does not come back."):
            await live.call.streaming(streams + 1)
        await scene.hears(live, "After a media stream was lost and came back, the caller does not hear the agent.")
    scene.check.require(
        live.call.spoken == [_TEXT],
        "The notice is said again when the audio comes back.",
        mistake="Accept.notice is kept, where the next Accept has none",
    )


async def _outgoing(scene: Scene) -> None:
    _, call = await scene.dial(Callee(), agent=scene.agent(notice=_TEXT))
    await _begun(scene, call)


async def _begun(scene: Scene, call: EmulatedCall) -> LiveCall:
    """Returns a call whose audio is here, after its notice."""
    with scene.check.within(SOON, "Neither the notice nor the agent is heard."):
        await call.until(lambda: bool(call.spoken or call.streams))
    begun = sum(stream.started.is_set() for stream in call.streams)
    scene.check.require(
        call.spoken == [_TEXT] and not begun,
        "The notice is not what the caller hears first.",
        expected="the text of Accept.notice, whole, before the media stream is opened",
        got=f"{len(call.spoken)} texts, {begun} streams",
        mistake="Accept.notice is not looked at, or its text is not escaped",
        remedy="Say it before the stream, or leave out Capability.NOTICE.",
    )
    live = await scene.joined(call)
    await scene.told(live.handle, "notice_played", "The notice is not reported as heard.")
    await scene.hears(live, "After the notice the caller does not hear the agent.")
    return live


_NOTICE = frozenset({Capability.NOTICE})

NOTICES = (
    Scenario("a notice at the call's start", _incoming, _NOTICE),
    Scenario("a notice on a call that the app makes", _outgoing, _NOTICE | {Capability.DIAL}),
)
