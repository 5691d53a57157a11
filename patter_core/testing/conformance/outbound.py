"""Scenarios of the calls that the app makes: answered or not, by humans and by machines."""

from __future__ import annotations

import anyio

from patter_core.telephony.control import Capability
from patter_core.telephony.leg import AnsweredBy, Direction, Progress
from patter_core.testing.call import Callee
from patter_core.testing.caller import Pause, Say, WaitForAgent
from patter_core.testing.conformance.harness import NUMBER
from patter_core.testing.conformance.scene import SOON, LiveCall, Scenario, Scene
from patter_core.testing.speech import CALLER_LINES

__all__ = ["OUTBOUND"]

_DETECTED_BY = 0.5
"""Seconds after the answer: an emulated vendor has detected a machine long before."""


async def _outbound(scene: Scene) -> None:
    said = CALLER_LINES[0].audio(scene.harness.emulator.format)
    handle, call = await scene.dial(Callee(steps=(WaitForAgent(0.1), Say(said), Pause(0.1))), first_message="It is me.")
    with scene.check.within(SOON, "An answered call is not reported as answered."):
        answered = await handle.wait_answered()
    scene.check.require(answered, "An answered call is reported as over.")
    live = await scene.joined(call)
    leg = live.session.setup.leg
    scene.check.require(
        live.session.setup.first_message == "It is me.",
        "The answered call has lost the options that it was dialled with.",
        mistake="the callback token of DialRequest.callbacks does not come back with the webhook",
    )
    scene.check.require(
        leg.direction is Direction.OUTBOUND and live.call.to_number == scene.number,
        "The call is not what the app asked for.",
        expected="direction outbound, to the number of DialRequest.to_number",
        got=f"direction {leg.direction.value}",
    )
    scene.check.require(
        live.call.from_number == NUMBER, "The call does not come from DialRequest.from_number.", got=call.from_number
    )
    await scene.hears(live, "Who is called does not hear the agent.")
    await scene.over(call, "Who is called hangs up, and the call stays up.")
    end = await scene.ended(handle)
    heard = sum(chunk.size for chunk in live.session.received)
    scene.check.require(
        heard >= len(said), "The agent does not hear who is called.", expected=f"{len(said)} bytes", got=str(heard)
    )
    scene.check.require(
        end.reason == "caller_hung_up" and handle.status is Progress.COMPLETED,
        "The end of an answered call is not reported as it was.",
        expected="caller_hung_up, completed",
        got=f"{end.reason}, {handle.status.value}",
    )


async def _unanswered(scene: Scene) -> None:
    for outcome, reason in (
        (Progress.BUSY, "busy"),
        (Progress.NO_ANSWER, "no_answer"),
        (Progress.FAILED, "dial_failed"),
    ):
        handle, call = await scene.dial(Callee(outcome=outcome))
        with scene.check.within(
            SOON, f"A call with the outcome {outcome.value} is never over.", mistake="no RoutedCall.progressed for it"
        ):
            answered = await handle.wait_answered()
        end = await scene.ended(handle)
        scene.check.require(
            not answered and (handle.status, end.reason) == (outcome, reason),
            "The outcome of a call that is not answered is not reported as it was.",
            expected=f"{outcome.value}, {reason}",
            got=f"{handle.status.value}, {end.reason}",
        )
        await scene.over(call, "A call that is not answered stays up.")


async def _given_up(scene: Scene) -> None:
    handle, call = await scene.dial(Callee(rings=30.0))
    with scene.check.within(SOON, "A call that rings cannot be ended."):
        await handle.hang_up()
    await scene.over(call, "A call that is given up goes on ringing.", mistake="hang_up() ends answered calls only")
    scene.check.require(handle.status is Progress.CANCELED, "The call is not canceled.", got=handle.status.value)


async def _human_detected(scene: Scene) -> None:
    handle, call = await scene.dial(Callee(detected_after=2.0), voicemail_message="Please call back.")
    live = await scene.joined(call)
    scene.check.require(
        not scene.events(handle, "machine_detected"),
        "Machine detection delays the audio.",
        mistake="the vendor's synchronous detection is asked for",
    )
    await _detected(scene, live)
    scene.check.require(
        handle.answered_by is AnsweredBy.HUMAN and not call.spoken,
        "A human is taken for something else.",
        expected="human, who is left no message",
        got=f"{handle.answered_by}, {len(call.spoken)} texts",
    )
    await scene.hears(live, "After machine detection a human does not hear the agent.")


async def _human_unannounced(scene: Scene) -> None:
    """Where only machines are reported, no word about a human comes, and they are not taken for a machine."""
    if Capability.HUMAN_DETECTION in scene.harness.carrier.capabilities:
        return
    handle, call = await scene.dial(Callee(), voicemail_message="Please call back.")
    live = await scene.joined(call)
    await anyio.sleep(_DETECTED_BY)
    scene.check.require(
        handle.answered_by is None and not call.spoken,
        "A human is taken for something else.",
        expected="no word about who answered, and no message; or the capability human_detection",
        got=f"{handle.answered_by}, {len(call.spoken)} texts",
    )
    await scene.hears(live, "During machine detection a human does not hear the agent.")


async def _machine_detected(scene: Scene) -> None:
    handle, call = await scene.dial(Callee(answered_by=AnsweredBy.MACHINE), machine_detection=True)
    await _detected(scene, await scene.joined(call))
    scene.check.require(
        handle.answered_by in {AnsweredBy.MACHINE, AnsweredBy.MACHINE_READY},
        "A machine is taken for something else.",
        got=str(handle.answered_by),
    )


async def _detected(scene: Scene, live: LiveCall) -> None:
    await scene.told(
        live.handle,
        "machine_detected",
        "Machine detection is asked for, and its result never comes.",
        mistake="no RoutedCall.answered_by for it, or dial() ignores machine_detection",
    )


async def _voicemail(scene: Scene) -> None:
    handle, call = await scene.dial(Callee(answered_by=AnsweredBy.MACHINE), voicemail_message="Please call back.")
    await scene.over(
        call,
        "A machine answers, and the call stays up.",
        mistake="MACHINE_READY is never reported, or say_and_hang_up() does not hang up",
    )
    end = await scene.ended(handle)
    scene.check.require(
        call.spoken == ["Please call back."] and end.reason == "voicemail",
        "A machine is not left the message.",
        expected="the text once, after its greeting; reason voicemail",
        got=f"{len(call.spoken)} texts, reason {end.reason}",
        mistake="say_and_hang_up() does not speak, or MACHINE_READY is reported before the greeting is over",
    )


_DIAL = frozenset({Capability.DIAL})
_DETECT = _DIAL | {Capability.MACHINE_DETECTION}

OUTBOUND = (
    Scenario("a call that the app makes", _outbound, _DIAL),
    Scenario("a call that is not answered", _unanswered, _DIAL),
    Scenario("a call that is given up while it rings", _given_up, _DIAL),
    Scenario("machine detection, a human", _human_detected, _DETECT | {Capability.HUMAN_DETECTION}),
    Scenario("machine detection, a human who is not announced", _human_unannounced, _DETECT),
    Scenario("machine detection, a machine", _machine_detected, _DETECT),
    Scenario("a message for a machine", _voicemail, _DETECT | {Capability.SAY}),
)
