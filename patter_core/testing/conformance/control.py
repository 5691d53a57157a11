"""Scenarios of a carrier's control. The list at the end is all of them, each with the capabilities that it needs."""

from __future__ import annotations

from decimal import Decimal

import anyio
import msgspec

from patter_core.audio.dtmf import tones
from patter_core.errors import CarrierRequestFailed
from patter_core.events import RecordingChanged
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Progress
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.testing.conformance.failures import FAILURES
from patter_core.testing.conformance.notices import NOTICES
from patter_core.testing.conformance.outbound import OUTBOUND
from patter_core.testing.conformance.scene import COLLEAGUE, SOON, LiveCall, Scenario, Scene
from patter_core.testing.conformance.warm import WARM
from patter_core.webhook import Reject

__all__ = ["CONTROL"]

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
    await scene.transferred(
        call, COLLEAGUE, "One moment.", mistake="arrived() returned a Transfer, which is not carried out"
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
        await live.handle.transfer(COLLEAGUE, say=text)
    end = await live.handle.wait()
    await scene.transferred(live.call, COLLEAGUE, text, mistake="transfer() asks the vendor for something else")
    played = live.call.recording.format.duration_ms(len(live.call.recording.played))
    scene.check.require(
        played >= live.session.output_format.duration_ms(len(words)) and end.reason == "transferred",
        "A transfer cuts the agent's last word, or is reported as something else.",
        expected="transferred, after all of it",
        got=f"{end.reason}, after {played:.0f} ms",
    )


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
    scene.same_conversation(live)


async def _recording(scene: Scene) -> None:
    await _recording_of(scene, pauses=False)


async def _paused_recording(scene: Scene) -> None:
    await _recording_of(scene, pauses=True)


async def _recording_of(scene: Scene, *, pauses: bool) -> None:
    live, commands = await scene.live(), ["start", "pause", "resume", "stop"] if pauses else ["start", "stop"]
    with (
        scene.check.within(SOON, "The commands of a recording do not return."),
        scene.check.raises_only(problem="The commands of a recording raise."),
    ):
        recording_id = await live.handle.start_recording()
        if pauses:
            await live.handle.pause_recording()
            await live.handle.resume_recording()
        await live.handle.stop_recording()
    scene.check.require(
        live.call.recording_commands == commands,
        "A recording is not what the app asked for.",
        expected=", ".join(commands),
        got=", ".join(live.call.recording_commands),
    )
    await _recorded(scene, live, recording_id, len(commands) + 1)


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
    changes = [event.recording for event in told if isinstance(event, RecordingChanged)]
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
    """Keys go out by the media socket or by a command; or else as tones, in place of the agent's words."""
    carrier, live = scene.harness.carrier, await scene.live()
    keys = "12w#A" if "A" in carrier.dtmf_keys else "12w#"
    by_socket = bool(scene.codec_of(live).encode_dtmf(keys))
    scene.says(live)
    with (
        scene.check.within(SOON, "send_dtmf() does not return."),
        scene.check.raises_only(problem="send_dtmf() raises."),
    ):
        await live.handle.send_dtmf(keys)
    if by_socket or Capability.SEND_DTMF in carrier.capabilities:
        with anyio.move_on_after(SOON * scene.check.patience):
            await live.call.until(lambda: len(live.call.digits) >= len(keys))
        scene.check.require(
            live.call.digits == keys,
            f"{'encode_dtmf' if by_socket else 'send_dtmf'}() does not send the keys.",
            expected=keys,
            got=live.call.digits or "none",
        )
    else:
        _check_tones(scene, live, keys)


async def _other_dtmf(scene: Scene) -> None:
    """Keys that the carrier cannot send go out as tones, with those around them."""
    carrier, live = scene.harness.carrier, await scene.live()
    if "A" in carrier.dtmf_keys or scene.codec_of(live).encode_dtmf("1A"):
        return
    with (
        scene.check.within(SOON, "send_dtmf() does not return."),
        scene.check.raises_only(problem="send_dtmf() raises."),
    ):
        await live.handle.send_dtmf("1A")
    scene.check.require(
        not live.call.digits,
        "Keys that the carrier cannot send are sent all the same.",
        got=live.call.digits,
        mistake="`dtmf_keys` lists other keys than those of send_dtmf()",
    )
    _check_tones(scene, live, "1A")


def _check_tones(scene: Scene, live: LiveCall, keys: str) -> None:
    if live.session.output_format != live.call.recording.format:
        return
    wanted = tones(keys, live.session.output_format).data
    scene.check.require(
        wanted in bytes(live.call.recording.played),
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


async def _number_put_back(scene: Scene) -> None:
    emulator, carrier, url = scene.harness.emulator, scene.harness.carrier, scene.harness.worker.voice_url
    emulator.add_number(scene.number)
    for before in ("", f"{url}?before"):
        with (
            scene.check.within(SOON, "voice_target() or put_back() does not return."),
            scene.check.raises_only(problem="voice_target() or put_back() raises."),
        ):
            if before:
                await carrier.set_voice_url(scene.number, before)
            found = await carrier.voice_target(scene.number)
            await carrier.set_voice_url(scene.number, url)
            pointed, kept = await carrier.voice_target(scene.number), _stored(found)
            await carrier.put_back(scene.number, kept)
            after = await carrier.voice_target(scene.number)
        scene.check.require(
            found == kept != pointed, "voice_target() does not tell a number that is pointed elsewhere from before."
        )
        scene.check.require(
            found == after and emulator.voice_url(scene.number) == before,
            "put_back() does not point a number where it pointed.",
            expected=before or "nothing",
            got=emulator.voice_url(scene.number) or "nothing",
            mistake="`settings` lacks something that set_voice_url() writes",
        )


def _stored(target: VoiceTarget) -> VoiceTarget:
    """As it comes back from a file."""
    return msgspec.json.decode(msgspec.json.encode(target), type=VoiceTarget)


_TRANSFER, _RECORD = frozenset({Capability.TRANSFER}), frozenset({Capability.RECORD})

CONTROL = (
    Scenario("a route that rejects the call", _rejected),
    Scenario("a route that transfers the call", _routed_elsewhere, _TRANSFER),
    *NOTICES,
    *OUTBOUND,
    Scenario("a transfer", _transfer, _TRANSFER),
    Scenario("a transfer with a text", _transfer_with_text, _TRANSFER),
    Scenario("a transfer that the vendor refuses", _refused_transfer, _TRANSFER),
    Scenario("a hold, and its end", _hold, frozenset({Capability.HOLD})),
    *WARM,
    Scenario("a recording", _recording, _RECORD),
    Scenario("a recording that is paused", _paused_recording, _RECORD | {Capability.PAUSE_RECORDING}),
    Scenario("a recording that ends with the call", _recording_to_the_end, _RECORD),
    Scenario("keys that the app sends", _dtmf),
    Scenario("keys that the carrier cannot send", _other_dtmf, frozenset({Capability.SEND_DTMF})),
    Scenario("looking a call up", _looked_up, frozenset({Capability.LOOK_UP})),
    Scenario("configuring a number", _number_configured, frozenset({Capability.CONFIGURE_NUMBER})),
    Scenario("putting a number back", _number_put_back, frozenset({Capability.CONFIGURE_NUMBER})),
    *FAILURES,
)
