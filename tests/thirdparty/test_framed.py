"""A third party's carrier of binary audio: it keeps the contract, and its emulator bears no other message.

In the default suite its source is used; the session `thirdparty` installs its wheel.
"""

from __future__ import annotations

import anyio
import pytest

from patter_core.audio import AudioChunk
from patter_core.errors import ConformanceError
from patter_core.events import Interruption, ResponseDone, ResponseHeard
from patter_core.testing import check_carrier
from patter_core.testing.caller import Pause
from patter_core.testing.conformance.scene import Scene, staged
from patter_core.testing.stream import Problem
from patter_framed import Framed
from patter_framed.testing import FramedEmulator
from patter_framed.wire import FORMAT, FramedCodec

pytestmark = pytest.mark.anyio


def speech(seconds: float) -> AudioChunk:
    return AudioChunk(b"\x01\x02" * round(FORMAT.sample_rate * seconds), FORMAT)


@pytest.mark.parametrize("has_notify", [True, False], ids=["with marks", "without marks"])
async def test_it_keeps_the_contract(has_notify: bool) -> None:
    await check_carrier(lambda: FramedEmulator(has_notify=has_notify))


async def test_an_answer_longer_than_its_buffer_is_kept_by_the_core() -> None:
    async with staged(FramedEmulator()) as scene:
        live = await scene.live()
        live.session.give(speech(100))
        await live.call.until(lambda: live.call.stream._buffer.duration_ms > 18_000)
        await anyio.sleep(1.0)
        assert live.call.stream._buffer.duration_ms <= 20_100
        assert not live.call.stream.problems


@pytest.mark.parametrize("has_notify", [True, False], ids=["with marks", "without marks"])
async def test_what_was_heard_is_known_though_a_clear_loses_the_marks(has_notify: bool) -> None:
    async with staged(FramedEmulator(has_notify=has_notify)) as scene:
        live = await scene.live()
        live.session.give(speech(5))
        await live.call.until(lambda: len(live.call.recording.played) >= FORMAT.size(700))
        live.session.give(Interruption())
        live.session.give(speech(0.3))
        live.session.give(ResponseDone())
        told = await scene.told(live.handle, "response_heard", "It is not told what was heard.", count=2)
        first, second = (event for event in told if isinstance(event, ResponseHeard))
        played_ms = FORMAT.duration_ms(len(live.call.recording.played))
        assert first.interrupted
        assert abs(first.heard_ms - (played_ms - 300)) < 150
        assert (round(second.heard_ms), second.interrupted) == (300, False)
        assert bool(live.call.stream.marks) is has_notify


async def closed_with(scene: Scene) -> tuple[int | None, list[Problem]]:
    """How the emulator closes the media socket of a call in which the agent speaks."""
    live = await scene.live()
    live.session.give(speech(1))
    await live.call.stream.ended.wait()
    await scene.over(live.call, "The media socket was closed, and the call stays up.")
    return live.call.stream.close_code, live.call.stream.problems


async def test_a_frame_of_another_length_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FramedCodec, "encode_audio", lambda _, chunk: chunk.data[:-2])
    async with staged(FramedEmulator()) as scene:
        assert await closed_with(scene) == (1007, [Problem(1007, "audio of 638 bytes instead of 640")])


async def test_audio_in_a_text_message_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FramedCodec, "encode_audio", lambda _, chunk: chunk.data.decode("latin-1"))
    async with staged(FramedEmulator()) as scene:
        assert (await closed_with(scene))[0] == 1007


async def test_a_command_that_it_does_not_know_closes_the_socket() -> None:
    emulator = FramedEmulator(has_notify=False)
    async with staged(emulator, lambda: Framed(emulator.secret, emulator.base_url)) as scene:
        assert await closed_with(scene) == (1008, [Problem(1008, "the unknown command notify")])


async def test_more_audio_than_the_buffer_takes_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_framed.testing._BUFFER_MS", 500)
    async with staged(FramedEmulator()) as scene:
        assert await closed_with(scene) == (1008, [Problem(1008, "more audio than the buffer takes")])


async def test_a_ping_that_is_not_answered_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_framed.wire.MediaReply", lambda _: AudioChunk(b"", FORMAT))
    async with staged(FramedEmulator()) as scene:
        assert await closed_with(scene) == (1008, [Problem(1008, "a ping was not answered")])


async def test_a_socket_without_its_subprotocol_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Framed, "subprotocols", ())
    async with staged(FramedEmulator()) as scene:
        with pytest.raises(ConformanceError, match="does not reach the engine"):
            await scene.live(Pause(1))
        (call,) = scene.harness.emulator.calls
        assert call.stream.problems == [Problem(1008, "no subprotocol was agreed")]
