"""Scenarios of a warm transfer: a caller on hold is connected with a human, or is back with the agent."""

from __future__ import annotations

from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Progress
from patter_core.telephony.outcome import ConsultResult
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Pause, Say
from patter_core.testing.conformance.harness import NUMBER
from patter_core.testing.conformance.scene import SOON, LiveCall, Scenario, Scene
from patter_core.testing.speech import CALLER_LINES

__all__ = ["WARM"]

_BRIEF = "It is about an invoice."
_NEEDS = frozenset({Capability.DIAL, Capability.HOLD, Capability.CONNECT})


async def _connected(scene: Scene) -> None:
    """Both speak once they are connected, and each must hear the other; then the human hangs up."""
    format = scene.harness.emulator.format
    callers, humans = (line.audio(format)[: format.size(600)] for line in CALLER_LINES[:2])
    live = await scene.live(Pause(2.0), Say(callers), Pause(3_600.0))
    human = await _transferred(
        scene, live, Callee(steps=(Pause(0.5), Say(humans), Pause(3_600.0))), ConsultResult.JOINED
    )
    end = await scene.ended(live.handle)
    scene.check.require(
        human is not None and human.spoken == [_BRIEF] and not live.call.spoken,
        "The human of a warm transfer is not told the brief, or the caller hears it.",
        expected="RoutedCall.briefing, spoken once, to the human",
        got=f"{0 if human is None else len(human.spoken)} texts to the human, {len(live.call.spoken)} to the caller",
        mistake="the webhook of the answer does not look at RoutedCall.briefing",
    )
    assert human is not None  # else it was told above
    await _hears(scene, "caller", live.call, humans)
    await _hears(scene, "human", human, callers)
    scene.check.require(end.reason == "transferred", "A warm transfer is reported as something else.", got=end.reason)
    human.end()
    await scene.over(
        live.call,
        "The human hangs up, and the caller is left on the line.",
        mistake="the vendor keeps the other call when one of the two ends, unless it is told not to",
    )


async def _hears(scene: Scene, who: str, call: EmulatedCall, words: bytes) -> None:
    with scene.check.within(
        SOON,
        f"The {who} does not hear who they were connected with.",
        mistake="connect() moves one of the two calls only, or hold music is played on",
    ):
        await call.until(lambda: words in bytes(call.recording.agent))


async def _unreachable(scene: Scene) -> None:
    live = await scene.live()
    for outcome, result in ((Progress.BUSY, ConsultResult.BUSY), (Progress.NO_ANSWER, ConsultResult.NO_ANSWER)):
        await _transferred(scene, live, Callee(outcome=outcome), result)
        await scene.hears(live, "The human could not be reached, and the caller does not hear the agent again.")
    scene.same_conversation(live)


async def _hung_up(scene: Scene) -> None:
    live = await scene.live()
    await _transferred(scene, live, Callee(listens=0.02), ConsultResult.HUNG_UP)
    await scene.hears(
        live, "The human hung up before they were connected, and the caller does not hear the agent again."
    )
    scene.check.require(
        not live.call.connected_to,
        "The caller is connected with a human who has hung up.",
        mistake="RoutedCall.briefed() is reported though the brief was cut short",
    )


async def _transferred(scene: Scene, live: LiveCall, callee: Callee, expected: ConsultResult) -> EmulatedCall | None:
    """Transfers the call; returns the one to the human."""
    emulator = scene.harness.emulator
    emulator.callees[scene.number] = callee
    before = len(emulator.calls)
    with (
        scene.check.within(
            2 * SOON,
            "warm_transfer() does not return.",
            mistake="no RoutedCall.briefed() for the end of the brief, or no progressed() for the end of the call",
        ),
        scene.check.raises_only(problem="warm_transfer() raises."),
    ):
        result = await live.handle.warm_transfer(scene.number, _BRIEF, from_number=NUMBER)
    scene.check.require(
        result is expected,
        "What comes of a warm transfer is something else.",
        expected=expected.value,
        got=result.value,
    )
    return next((one for one in emulator.calls[before:] if one.to_number == scene.number), None)


WARM = (
    Scenario("a warm transfer", _connected, _NEEDS),
    Scenario("a warm transfer to who cannot be reached", _unreachable, _NEEDS),
    Scenario("a warm transfer to who hangs up", _hung_up, _NEEDS),
)
