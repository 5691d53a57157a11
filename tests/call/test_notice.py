"""The notice at a call's start: heard before the agent, once a call, and nothing is recorded until then."""

from __future__ import annotations

import base64

import anyio
import pytest

from patter_core.agent import Agent, Retry
from patter_core.call import notice as notice_module
from patter_core.call.config import HostConfig
from patter_core.call.records import Outlets
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import EngineLost
from patter_core.events import (
    AudioCaptured,
    Interruption,
    NoticePlayed,
    Record,
    RecordingStarted,
    ResponseDone,
    ResponseHeard,
    ResponseStart,
)
from patter_core.telephony.control import Capability
from patter_core.testing.fakes import FakeCarrier
from tests.calls import SPEECH, CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

TEXT = "This call is recorded."


class Mute(FakeCarrier):
    """One that says nothing itself."""

    capabilities = FakeCarrier.capabilities - {Capability.NOTICE}


class Scene(CallScene):
    """A call with a notice, which a sink records."""

    def __init__(
        self, carrier: FakeCarrier | None = None, *, streams: int = 0, media_start: float = 10.0, text: str = TEXT
    ) -> None:
        super().__init__(carrier=carrier)
        self.audio: list[Record] = []
        agent = Agent(engine=self.engine, first_message="Hello.", notice=text, fallback=Retry())
        recordings = (("wav", "/there/call-1.wav"),)
        self.call = new_call(
            self.engine,
            agent=agent,
            carrier=self.carrier,
            outlets=Outlets(put=(self.records.append,), put_audio=self.audio.append, recordings=recordings),
            config=HostConfig(deadlines=Deadlines(media_start=media_start, last_word=0.2)),
            streams=streams,
            prewarm=True,
        )

    async def say(self, event: str = "mark") -> None:
        """The agent says a turn, which the caller hears, or talks over."""
        session, heard = self.engine.sessions[-1], len(self.of(ResponseHeard))
        marks = len(self.socket.of("mark"))
        for said in (ResponseStart(), SPEECH, SPEECH, ResponseDone()):
            session.give(said)
        mark = (await self.socket.wait_for("mark", marks + 1))[-1]
        if event == "mark":
            self.socket.say("mark", mark.value)
        else:
            session.give(Interruption())
        await until(lambda: len(self.of(ResponseHeard)) > heard)

    @property
    def sides(self) -> set[str]:
        """Whose audio sinks got."""
        return {record.event.side for record in self.audio if isinstance(record.event, AudioCaptured)}


async def test_the_audio_of_a_carrier_that_says_it_proves_it_and_until_then_there_is_no_conversation() -> None:
    scene = Scene(media_start=0.05)
    async with scene.running():
        await anyio.sleep(0.2)  # longer than media_start: the carrier is speaking
        assert (scene.call.state, scene.engine.sessions, scene.of(RecordingStarted)) == (State.ACCEPTED, [], [])
        session = await scene.live()
        assert session.setup.first_message == "Hello."
        scene.socket.say("audio", base64.b64encode(bytes(160)).decode())
        await until(lambda: scene.sides == {"caller"})
        scene.call.hang_up(now=True)
    assert scene.of(NoticePlayed) == [NoticePlayed(text=TEXT, by="carrier")]
    assert scene.kinds()[2:5] == ["media_started", "notice_played", "recording_started"]


async def test_a_caller_who_hangs_up_during_it_untold_is_asked_for_and_nothing_was_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notice_module, "_FIXED", 0.0)
    monkeypatch.setattr(notice_module, "_BY_CHARACTER", 0.0)
    scene = Scene(media_start=0.05)
    async with scene.running():
        pass
    assert (scene.end.reason, scene.engine.sessions, scene.audio) == ("caller_hung_up", [], [])
    assert not {"notice_played", "recording_started"} & set(scene.kinds())


@pytest.mark.parametrize("carrier", [FakeCarrier, Mute])
async def test_a_call_that_had_its_audio_elsewhere_has_no_notice(carrier: type[FakeCarrier]) -> None:
    scene = Scene(carrier(), streams=1)
    async with scene.running():
        session = await scene.live()
        assert TEXT not in session.setup.first_message
        await scene.told("recording_started")
        scene.call.hang_up(now=True)
    assert scene.of(NoticePlayed) == []


async def test_where_the_carrier_is_mute_the_agent_says_it_first_and_recording_begins_behind_it() -> None:
    scene = Scene(Mute())
    async with scene.running():
        session = await scene.live()
        assert session.setup.first_message == f"{TEXT} Hello."
        scene.socket.say("audio", base64.b64encode(bytes(160)).decode())
        await session.until(lambda: bool(session.received))
        scene.call.context.renew_accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.call.actions.start_recording)  # waits for it, too
            await anyio.sleep(0.05)
            assert (scene.audio, scene.of(RecordingStarted), scene.carrier.commands) == ([], [], [])
            await scene.say()
        assert scene.of(NoticePlayed) == [NoticePlayed(text=TEXT, by="agent")]
        assert len(scene.of(RecordingStarted)) == 1
        assert scene.carrier.commands == ["record leg-1"]
        await scene.say()
        assert scene.sides == {"agent"}
        scene.call.hang_up(now=True)
    assert len(scene.of(NoticePlayed)) == 1


async def test_one_that_was_not_heard_whole_is_said_again_by_the_next_session() -> None:
    scene = Scene(Mute())
    async with scene.running():
        session = await scene.live()
        await scene.say("interruption")
        assert scene.of(NoticePlayed) == [NoticePlayed(text=TEXT, by="agent", interrupted=True)]
        await scene.say()  # another turn proves nothing
        session.fail(EngineLost("It is gone.", retry=True))
        assert (await scene.engine.session(1)).setup.first_message == TEXT
        assert (scene.audio, scene.of(RecordingStarted)) == ([], [])
        await scene.until(State.LIVE)
        await scene.say()
        assert scene.of(NoticePlayed)[1:] == [NoticePlayed(text=TEXT, by="agent")]
        assert len(scene.of(RecordingStarted)) == 1
        scene.call.hang_up(now=True)


async def test_a_recording_that_waits_for_it_is_refused_when_the_call_is_over() -> None:
    scene = Scene(Mute())
    refused: list[Exception] = []

    async def record() -> None:
        try:
            await scene.call.actions.start_recording()
        except Exception as error:  # noqa: BLE001 - what it is, is looked at below
            refused.append(error)

    async with scene.running():
        await scene.live()
        scene.call.context.renew_accept()
        scene.tasks.start_soon(record)
        await anyio.sleep(0.05)
        scene.call.hang_up(now=True)
    assert "cannot be recorded" in str(refused)
    assert scene.carrier.commands == []


async def test_the_carrier_is_not_told_of_it_once_the_audio_was_here() -> None:
    scene = Scene()
    async with scene.running():
        assert scene.call.context.renew_accept().callbacks.token == "callback-0"
        await scene.live()
        assert scene.call.context.renew_accept().callbacks.token == "callback-1"
        scene.call.hang_up(now=True)


async def test_without_one_recording_begins_with_the_audio() -> None:
    scene = Scene(Mute(), text="")
    async with scene.running():
        session = await scene.live()
        assert session.setup.first_message == "Hello."
        assert scene.kinds().index("recording_started") == scene.kinds().index("media_started") + 1
        scene.call.hang_up(now=True)
    assert scene.of(NoticePlayed) == []
