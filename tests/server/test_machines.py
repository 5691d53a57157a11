"""An answering machine that is reported to a worker which has not the call: the message is left all the same."""

from __future__ import annotations

import pytest

from patter_core.agent import CallOptions
from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.testing.fakes import FakeCarrier, MemoryCallStore
from tests.polling import until
from tests.server.test_board import Pair, stream_comes, two_hosts
from tests.server.test_replays import streaming
from tests.server.test_router import accepted, outbound, routed

pytestmark = pytest.mark.anyio

MESSAGE = CallOptions(machine_detection=True, voicemail_message="Please call back.")
SPOKEN = "say out-1 Please call back."


class Quiet(FakeCarrier):
    stream_end_is_call_end = False
    asks_at_stream_end = True


class Refusing(FakeCarrier):
    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        raise CarrierRequestFailed("The carrier refuses.")


async def test_the_message_is_left_once_and_the_worker_with_the_audio_tells_that() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            pair.look()
            assert (await dialled.wait()).reason == "moved"
            for _ in range(2):  # a webhook may come twice
                await routed(pair.here, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: SPOKEN in pair.scene.carrier.commands)
            media.say("stop")
            (record,) = await pair.scene.sink.wait_for("call_ended")
        assert pair.scene.carrier.commands.count(SPOKEN) == 1
        (detected,) = await pair.scene.sink.wait_for("machine_detected")
        assert detected.call_id == record.call_id == dialled.id
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
        assert pair.scene.carrier.hung_up == []


async def test_one_that_takes_no_message_yet_and_a_human_get_none() -> None:
    async with Pair.running() as pair:
        await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        stream_comes(pair.there, await accepted(pair.there, outbound(), token))
        pair.look()
        await until(lambda: len(pair.here.table) == 0)
        for who in (AnsweredBy.MACHINE, AnsweredBy.HUMAN):
            await routed(pair.here, outbound(), token).answered_by(who)
        assert len(await pair.scene.sink.wait_for("machine_detected", 2)) == 2
        assert pair.scene.carrier.commands == ["dial out-1"]


async def test_a_call_whose_message_is_refused_is_hung_up_and_told_as_such() -> None:
    async with Pair.running(Refusing()) as pair:
        dialled = await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            pair.look()
            await dialled.wait()
            await routed(pair.here, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: pair.scene.carrier.hung_up == ["out-1"])
            media.say("stop")
            (record,) = await pair.scene.sink.wait_for("call_ended")
        assert record.event.reason == "caller_hung_up"  # type: ignore[union-attr]


async def test_one_that_is_reported_before_there_is_a_stream_gets_its_message_too() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        await routed(pair.there, outbound(), pair.scene.token).answered_by(AnsweredBy.MACHINE_READY)
        await until(lambda: SPOKEN in pair.scene.carrier.commands)
        await routed(pair.here, outbound(), pair.scene.token).progressed(Progress.COMPLETED)
        assert (await dialled.wait()).reason == "voicemail"


async def test_the_worker_that_dialled_leaves_the_message_of_a_call_whose_audio_is_elsewhere() -> None:
    """It was told of no answer, and has not looked where the audio is; or there is none yet."""
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            await routed(pair.here, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
            assert (await dialled.wait()).reason == "moved"
            await until(lambda: SPOKEN in pair.scene.carrier.commands)
            media.say("stop")
            (record,) = await pair.scene.sink.wait_for("call_ended")
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        for _ in range(2):
            await routed(pair.here, outbound(), pair.scene.token).answered_by(AnsweredBy.MACHINE_READY)
        await until(lambda: SPOKEN in pair.scene.carrier.commands)
        await routed(pair.here, outbound(), pair.scene.token).progressed(Progress.COMPLETED)
        assert (await dialled.wait()).reason == "voicemail"
        assert dialled.answered_by is AnsweredBy.MACHINE_READY
        assert pair.scene.carrier.commands.count(SPOKEN) == 1


async def test_a_report_that_is_repeated_once_the_call_has_moved_leaves_no_second_message() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        await routed(pair.here, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            pair.look()
            assert (await dialled.wait()).reason == "moved"
            await routed(pair.here, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
            media.say("stop")
            (record,) = await pair.scene.sink.wait_for("call_ended")
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
        assert pair.scene.carrier.commands.count(SPOKEN) == 1
        assert len(await pair.scene.sink.wait_for("machine_detected")) == 1


async def test_a_message_that_is_still_being_said_when_the_carrier_is_asked_is_no_other_workers_call() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        await routed(pair.here, outbound(), pair.scene.token).answered_by(AnsweredBy.MACHINE_READY)
        await until(lambda: SPOKEN in pair.scene.carrier.commands)
        pair.scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
        (call,) = pair.here.table.calls
        await call.reports.look_up()
        assert (await dialled.wait()).reason == "voicemail"
        assert await dialled.wait_answered()
        await pair.scene.sink.wait_for("call_ended")
        kinds = [record.event.kind for record in pair.scene.sink.records]
        assert kinds.index("call_answered") > kinds.index("machine_detected")  # where it turns out that it is here
        assert kinds[-1] == "call_ended"


async def test_a_message_that_was_taken_back_is_forgotten() -> None:
    async with Pair.running() as pair:
        dialled = await pair.scene.dial(MESSAGE)
        (call,) = pair.here.table.calls
        take_back = pair.boards[1].take_report(dialled.id, AnsweredBy.MACHINE_READY)
        pair.look()
        assert call.context.message_elsewhere
        assert take_back is not None
        take_back()
        await routed(pair.here, outbound(), pair.scene.token).progressed(Progress.ANSWERED)
        await routed(pair.here, outbound(), pair.scene.token).progressed(Progress.COMPLETED)
        assert (await dialled.wait()).reason == "caller_hung_up"


# --- a report that comes again, to another worker --------------------------------------------------------------------


async def test_a_report_that_comes_again_to_another_worker_of_the_server_does_nothing() -> None:
    async with Pair.running() as pair:
        await pair.scene.dial(MESSAGE)
        token = pair.scene.token
        async with streaming(pair.there, await accepted(pair.there, outbound(), token), "out-1") as media:
            for host in (pair.here, pair.there):  # the second one has the audio
                await routed(host, outbound(), token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: SPOKEN in pair.scene.carrier.commands)
            media.say("stop")
            (record,) = await pair.scene.sink.wait_for("call_ended")
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
        assert pair.scene.carrier.commands.count(SPOKEN) == 1
        assert len(await pair.scene.sink.wait_for("machine_detected")) == 1


@pytest.mark.parametrize("first", ["the one with the audio", "the other one"])
async def test_a_report_that_comes_again_to_another_host_does_nothing(first: str) -> None:
    async with two_hosts(store=MemoryCallStore()) as (scene, here, there):
        dialled = await scene.dial(MESSAGE)
        hosts = (there, here) if first == "the one with the audio" else (here, there)
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1") as media:
            for host in hosts:
                await routed(host, outbound(), scene.token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: SPOKEN in scene.carrier.commands)
            media.say("stop")
            (record,) = await scene.sink.wait_for("call_ended")
            await routed(here, outbound(), scene.token).progressed(Progress.COMPLETED)
            assert (await dialled.wait()).reason == "moved"
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
        assert scene.carrier.commands.count(SPOKEN) == 1
        assert scene.carrier.hung_up == []
        assert len(await scene.sink.wait_for("machine_detected")) == 1


# --- between hosts ---------------------------------------------------------------------------------------------------


async def test_the_host_with_the_audio_tells_of_a_message_that_another_host_had_left() -> None:
    async with two_hosts(Quiet(), store=MemoryCallStore()) as (scene, here, there):
        await scene.dial(MESSAGE)
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1") as media:
            await routed(here, outbound(), scene.token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: SPOKEN in scene.carrier.commands)
            media.say("stop")
            (record,) = await scene.sink.wait_for("call_ended")
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]
        assert scene.carrier.hung_up == []  # the message would be cut off


async def test_a_message_that_is_still_being_said_from_another_host_is_no_other_workers_call() -> None:
    async with two_hosts(Quiet(), store=MemoryCallStore()) as (scene, here, there):
        await scene.dial(MESSAGE)
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1"):
            await routed(here, outbound(), scene.token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: SPOKEN in scene.carrier.commands)
            scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
            (call,) = there.table.calls
            await call.reports.look_up()
            (record,) = await scene.sink.wait_for("call_ended")
        assert record.event.reason == "voicemail"  # type: ignore[union-attr]


async def test_a_call_whose_message_another_host_could_not_leave_is_told_as_hung_up() -> None:
    async with two_hosts(Refusing(), store=MemoryCallStore()) as (scene, here, there):
        await scene.dial(MESSAGE)
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1") as media:
            await routed(here, outbound(), scene.token).answered_by(AnsweredBy.MACHINE_READY)
            await until(lambda: scene.carrier.hung_up == ["out-1"])
            media.say("stop")
            (record,) = await scene.sink.wait_for("call_ended")
        assert record.event.reason == "caller_hung_up"  # type: ignore[union-attr]
