"""A call as its user holds it: what it can do when, what it says when it cannot, and how it comes back from a no."""

from __future__ import annotations

import threading
from unittest import mock

import anyio
import anyio.to_thread
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.timeouts import Deadlines
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Progress
from patter_core.testing.fakes import FakeCarrier
from tests.calls import OutboundScene
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


class AsksAtStreamEnd(FakeCarrier):
    asks_at_stream_end = True


async def test_progress_moves_it_from_the_wish_to_the_end() -> None:
    scene = OutboundScene()
    async with scene.running():
        seen = [scene.handle.status]
        for progress in (Progress.RINGING, Progress.RINGING, Progress.ANSWERED, Progress.RINGING):
            scene.call.reports.note_progress(progress)
            seen.append(scene.handle.status)
        assert await scene.handle.wait_answered()
        await scene.live()
        scene.call.reports.note_progress(Progress.COMPLETED)
        end = await scene.handle.wait()
    assert [progress.value for progress in seen] == ["dialling", "ringing", "ringing", "answered", "answered"]
    assert (scene.handle.status, end.reason) == (Progress.COMPLETED, "caller_hung_up")
    assert [record.event.kind for record in scene.records].count("call_progressed") == 2
    assert scene.carrier.hung_up == []  # the carrier said that it is over


async def test_a_call_of_which_nothing_is_heard_is_asked_about_and_then_hung_up() -> None:
    scene = OutboundScene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02))
    scene.carrier.facts = LegFacts(progress=Progress.RINGING)
    async with scene.running():
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("no_answer", ["leg-1"])
    assert scene.carrier.commands == ["look up leg-1"]
    assert not scene.call.reports.was_answered


async def test_a_call_that_another_worker_has_is_left_to_it() -> None:
    scene = OutboundScene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02), several_workers=True)
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("moved", [])
    assert scene.kinds()[-1] == "call_moved"
    assert "call_ended" not in scene.kinds()


@pytest.mark.parametrize(
    ("progress", "reason", "hung_up"),
    [(Progress.ANSWERED, "no_media", ["leg-1"]), (Progress.COMPLETED, "caller_hung_up", [])],
)
async def test_an_only_worker_that_missed_the_carriers_reports_records_the_end(
    progress: Progress, reason: str, hung_up: list[str]
) -> None:
    scene = OutboundScene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02, media_start=0.02))
    scene.carrier.facts = LegFacts(progress=progress)
    async with scene.running():
        await scene.handle.wait()
    assert (scene.end.reason, scene.carrier.hung_up) == (reason, hung_up)


async def test_a_call_that_was_answered_and_whose_audio_went_to_another_worker_is_left_to_it() -> None:
    scene = OutboundScene(deadlines=Deadlines(media_start=0.05), several_workers=True)
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        scene.call.reports.note_progress(Progress.ANSWERED)
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("moved", [])
    assert scene.carrier.commands == ["look up leg-1"]
    assert scene.kinds().count("call_moved") == 1
    assert "call_ended" not in scene.kinds()


@pytest.mark.parametrize(("progress", "told"), [(Progress.ANSWERED, "call_moved"), (Progress.COMPLETED, "call_ended")])
async def test_a_call_whose_stream_was_lost_and_goes_on_elsewhere_ends_there(progress: Progress, told: str) -> None:
    scene = OutboundScene(
        carrier=AsksAtStreamEnd(), deadlines=Deadlines(media_return=0.05, last_word=0.2), several_workers=True
    )
    scene.carrier.facts = LegFacts(progress=progress)
    async with scene.running():
        await scene.live()
        scene.socket.break_off()
        await scene.handle.wait()
    assert scene.kinds()[-1] == told
    assert scene.carrier.hung_up == []


async def test_a_carrier_that_does_not_even_answer_that_leaves_us_to_our_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = OutboundScene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02))
    scene.carrier.refusals = 1
    async with scene.running():
        end = await scene.handle.wait()
    assert end.reason == "no_answer"
    assert "did not report the call's status" in caplog.text


async def test_the_handle_shows_no_number() -> None:
    scene = OutboundScene()
    async with scene.running():
        assert repr(scene.handle) == "<OutboundCall call-1 dialling>"
        await scene.handle.hang_up()


async def test_context_may_be_added_from_a_thread_that_runs_an_event_loop_of_its_own() -> None:
    scene = OutboundScene()
    here = threading.get_ident()
    added_in: list[int] = []

    async def add_context() -> None:
        scene.handle.add_context("The caller is a regular guest.")

    async with scene.running():
        session = await scene.live()
        with mock.patch.object(
            session, "add_context", side_effect=lambda _text: added_in.append(threading.get_ident())
        ):
            await anyio.to_thread.run_sync(anyio.run, add_context)
            await until(lambda: bool(added_in))
        scene.call.hang_up()
    assert added_in == [here]
