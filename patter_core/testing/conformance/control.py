"""Scenarios of a carrier's control: routes, calls that the app makes, commands during a call, and what fails in one.

Each needs the capabilities that stand beside it at the end of this module. A carrier without them is not tried with it.
"""

from __future__ import annotations

from decimal import Decimal

import anyio

from patter_core.audio.dtmf import tones
from patter_core.errors import CarrierRequestFailed, EngineLost
from patter_core.events import RecordingChanged
from patter_core.telephony.control import Capability, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Direction, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Pause, Say, WaitForAgent
from patter_core.testing.conformance.harness import NUMBER, RECONNECTS, SOON, LiveCall, Scenario, Scene
from patter_core.testing.speech import CALLER_LINES
from patter_core.webhook import Reject

__all__ = ["CONTROL"]

COLLEAGUE = "+15550007777"
"""To whom calls are transferred."""
SORRY = "We are sorry. Goodbye."
MUSIC = "https://music.example/a.mp3"


# --- incoming calls that the agent does not take -------------------------------------------------------------------


async def _rejected(scene: Scene) -> None:
    for reason in ("busy", "rejected"):
        call = scene.place(answer=Reject(reason=reason))
        await scene.over(
            call, "A call that is rejected stays up.", mistake="Reject is not answered as the vendor wants"
        )
        scene.check.require(not call.streams, "A call that is rejected has a media stream.")


async def _routed_elsewhere(scene: Scene) -> None:
    call = scene.place(answer=Transfer(COLLEAGUE, "One moment."))
    await _transferred(scene, call, "One moment.", mistake="arrived() returned a Transfer, which is not carried out")


# --- calls that the app makes --------------------------------------------------------------------------------------


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
    heard = sum(chunk.size for chunk in live.session.heard)
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


# --- commands during a call ----------------------------------------------------------------------------------------


async def _transfer(scene: Scene) -> None:
    await _transfer_saying(scene, "")


async def _transfer_with_text(scene: Scene) -> None:
    await _transfer_saying(scene, "I connect you.")


async def _transfer_saying(scene: Scene, text: str) -> None:
    live = await scene.live()
    words = scene.says(live)
    with scene.check.within(SOON, "The caller does not hear the agent."):
        await live.call.until(lambda: len(live.call.recording.played) > 0)
    with (
        scene.check.within(SOON, "transfer() does not return."),
        scene.check.raises_only(problem="transfer() raises."),
    ):
        end = await live.handle.transfer(COLLEAGUE, say=text)
    await _transferred(scene, live.call, text, mistake="transfer() asks the vendor for something else")
    played = live.call.recording.format.duration_ms(len(live.call.recording.played))
    scene.check.require(
        played >= live.session.output_format.duration_ms(len(words)) and end.reason == "transferred",
        "A transfer cuts the agent's last word, or is reported as something else.",
        expected="transferred, after all of it",
        got=f"{end.reason}, after {played:.0f} ms",
    )


async def _transferred(scene: Scene, call: EmulatedCall, text: str, *, mistake: str) -> None:
    with scene.check.within(SOON, "The call is not transferred.", mistake=mistake):
        await call.until(lambda: bool(call.transferred_to))
    scene.check.require(
        call.transferred_to == [COLLEAGUE] and call.spoken == [text] * bool(text),
        "The call is not transferred as it should be.",
        expected=f"to that number, once, {'after the text' if text else 'without a text'}",
        got=f"{len(call.transferred_to)} numbers, {len(call.spoken)} texts",
        mistake="Transfer.to or Transfer.say is not what the vendor is told",
    )
    await scene.over(call, "The far end of a transfer hangs up, and the caller is left on the line.")


async def _refused_transfer(scene: Scene) -> None:
    live = await scene.live()
    live.call.refusals = 1
    refused = False
    with (
        scene.check.within(SOON, "transfer() does not return."),
        scene.check.raises_only(problem="transfer() raises something else than CarrierRequestFailed."),
    ):
        try:
            await live.handle.transfer(COLLEAGUE)
        except CarrierRequestFailed as error:
            refused = True
            scene.check.shows_nothing("the text of an error", f"{error!r} {error}")
    scene.check.require(
        refused,
        "The vendor refuses a transfer, and transfer() returns as if it had not.",
        expected="CarrierRequestFailed",
        mistake="the status of the vendor's answer is not looked at",
    )
    await scene.hears(live, "After a transfer that was refused, the caller does not hear the agent.")


async def _hold(scene: Scene) -> None:
    live = await scene.live()
    for audio_url in (MUSIC, ""):
        with (
            scene.check.within(SOON, "hold() does not return."),
            scene.check.raises_only(problem="hold() raises."),
        ):
            await live.handle.hold(audio_url)
        if audio_url:
            with scene.check.within(SOON, "A caller on hold does not hear the audio that they should."):
                await live.call.until(lambda: bool(live.call.played))
        with anyio.move_on_after(0.5):  # a hold may end the media stream, and need not
            await live.call.stream.ended.wait()
        with (
            scene.check.within(SOON, "resume() does not return."),
            scene.check.raises_only(problem="resume() raises."),
        ):
            await live.handle.resume()
        await scene.hears(
            live,
            "A caller who was on hold does not hear the agent again.",
            mistake="resume() does not bring the audio to accept.media_url",
        )
    scene.check.require(
        live.call.played == [MUSIC],
        "The caller on hold hears something else than they should.",
        expected="the audio of hold(), and then silence",
        got=repr(live.call.played),
    )
    _check_one_conversation(scene, live)


async def _recording(scene: Scene) -> None:
    live = await scene.live()
    with (
        scene.check.within(SOON, "The commands of a recording do not return."),
        scene.check.raises_only(problem="The commands of a recording raise."),
    ):
        recording_id = await live.handle.start_recording()
        await live.handle.pause_recording()
        await live.handle.resume_recording()
        await live.handle.stop_recording()
    scene.check.require(
        live.call.recording_commands == ["start", "pause", "resume", "stop"],
        "A recording is not what the app asked for.",
        expected="start, pause, resume, stop",
        got=", ".join(live.call.recording_commands),
    )
    await _recorded(scene, live, recording_id, 5)


async def _recording_to_the_end(scene: Scene) -> None:
    live = await scene.live()
    with scene.check.raises_only(problem="start_recording() raises."):
        recording_id = await live.handle.start_recording()
    live.call.end()
    await _recorded(scene, live, recording_id, 2)


async def _recorded(scene: Scene, live: LiveCall, recording_id: str, count: int) -> None:
    told = await scene.told(
        live.handle,
        "recording_changed",
        "A recording is over, and it is never reported where it can be fetched.",
        count=count,
        mistake="no RoutedCall.recording_changed for it",
    )
    changes: list[RecordingStatus] = [event.recording for event in told if isinstance(event, RecordingChanged)]
    scene.check.require(
        changes[-1].status == "completed" and changes[-1].url,
        "The end of a recording is not reported as it should be.",
        expected="completed, with a url",
        got=f"{changes[-1].status}, {'with' if changes[-1].url else 'without'} a url",
    )
    scene.check.require(
        {change.recording_id for change in changes} == {recording_id}, "A recording has more than one id."
    )


async def _dtmf(scene: Scene) -> None:
    """Keys go out in the network; or, by a carrier that cannot send them there, as tones after the agent's words."""
    live, keys = await scene.live(), "12w#A"
    words = scene.says(live)
    with (
        scene.check.within(SOON, "send_dtmf() does not return."),
        scene.check.raises_only(problem="send_dtmf() raises."),
    ):
        await live.handle.send_dtmf(keys)
    if Capability.SEND_DTMF in scene.harness.carrier.capabilities:
        scene.check.require(
            live.call.digits == keys,
            "send_dtmf() does not send the keys.",
            expected=keys,
            got=live.call.digits or "none",
        )
    elif live.session.output_format == live.call.recording.format:
        wanted = words + tones(keys, live.session.output_format).data
        scene.check.require(
            bytes(live.call.recording.played).startswith(wanted),
            "The tones of keys do not reach the other side whole.",
            expected=f"{len(wanted)} bytes",
            got=f"{len(live.call.recording.played)} bytes",
        )


async def _looked_up(scene: Scene) -> None:
    carrier, live = scene.harness.carrier, await scene.live()
    leg = live.session.setup.leg
    with scene.check.within(SOON, "look_up() does not return."), scene.check.raises_only(problem="look_up() raises."):
        during = await carrier.look_up(leg)
        live.call.end()
        await scene.ended(live.handle)
        before = await carrier.look_up(leg)
        live.call.price = Decimal("0.0085")
        after = await carrier.look_up(leg)
    scene.check.require(
        (during.progress, after.progress) == (Progress.ANSWERED, Progress.COMPLETED),
        "look_up() does not tell how far a call has come.",
        expected="answered, and completed after its end",
        got=f"{during.progress.value}, {after.progress.value}",
    )
    if Capability.PRICE in carrier.capabilities:
        scene.check.require(
            before.cost is None and after.cost is not None and after.cost.amount == live.call.price,
            "look_up() does not tell what a call costs.",
            expected=f"none, and {live.call.price} once the vendor knows it",
            got=f"{before.cost}, {after.cost}",
        )
        scene.check.require(
            after.cost is None or not after.cost.estimated, "look_up() tells the vendor's price as an estimate."
        )


async def _number_configured(scene: Scene) -> None:
    emulator, url = scene.harness.emulator, scene.harness.worker.voice_url
    emulator.add_number(COLLEAGUE)
    emulator.add_number(scene.number)
    with (
        scene.check.within(SOON, "set_voice_url() does not return."),
        scene.check.raises_only(problem="set_voice_url() raises."),
    ):
        await scene.harness.carrier.set_voice_url(scene.number, url)
    scene.check.require(
        emulator.voice_url(scene.number) == url and not emulator.voice_url(COLLEAGUE),
        "set_voice_url() does not point that number, and no other, at the URL.",
    )


# --- what fails in a call ------------------------------------------------------------------------------------------


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
    _check_one_conversation(scene, live)


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
    await _transferred(scene, live.call, SORRY, mistake="transfer() asks the vendor for something else")


def _check_one_conversation(scene: Scene, live: LiveCall) -> None:
    sessions = len(scene.harness.engine.sessions_of(live.call.call_id))
    scene.check.require(
        sessions == 1,
        "The media stream came back, and the conversation is another one.",
        got=f"{sessions} conversations",
        mistake="MediaOpened.call_id is not the vendor's id of the call",
    )


_DIAL = frozenset({Capability.DIAL})
_DETECT = _DIAL | {Capability.MACHINE_DETECTION}

CONTROL = (
    Scenario("a route that rejects the call", _rejected),
    Scenario("a route that transfers the call", _routed_elsewhere, frozenset({Capability.TRANSFER})),
    Scenario("a call that the app makes", _outbound, _DIAL),
    Scenario("a call that is not answered", _unanswered, _DIAL),
    Scenario("a call that is given up while it rings", _given_up, _DIAL),
    Scenario("machine detection, a human", _human_detected, _DETECT),
    Scenario("machine detection, a machine", _machine_detected, _DETECT),
    Scenario("a message for a machine", _voicemail, _DETECT | {Capability.SAY}),
    Scenario("a transfer", _transfer, frozenset({Capability.TRANSFER})),
    Scenario("a transfer with a text", _transfer_with_text, frozenset({Capability.TRANSFER})),
    Scenario("a transfer that the vendor refuses", _refused_transfer, frozenset({Capability.TRANSFER})),
    Scenario("a hold, and its end", _hold, frozenset({Capability.HOLD})),
    Scenario("a recording", _recording, frozenset({Capability.RECORD})),
    Scenario("a recording that ends with the call", _recording_to_the_end, frozenset({Capability.RECORD})),
    Scenario("keys that the app sends", _dtmf),
    Scenario("looking a call up", _looked_up, frozenset({Capability.LOOK_UP})),
    Scenario("configuring a number", _number_configured, frozenset({Capability.CONFIGURE_NUMBER})),
    Scenario("a media stream that is lost and comes back", _stream_lost),
    Scenario("a media stream that is lost for good", _stream_lost_for_good),
    Scenario("a media stream that is lost with its worker", _stream_lost_with_its_worker),
    Scenario("an engine that is lost", _engine_lost),
    Scenario("an engine that is lost, with a transfer", _engine_lost_transfer, frozenset({Capability.TRANSFER})),
)
