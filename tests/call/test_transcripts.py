"""What both sides say on a call comes into its history in the order in which it was said, and as it was heard."""

from __future__ import annotations

from typing import ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import EngineCapability
from patter_core.errors import EngineLost
from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    ResponseHeard,
    ResponseStart,
    SpeechItem,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    Word,
)
from patter_core.history import AgentSaid, HistoryItem, UserSaid
from patter_core.testing.fakes import FakeEngine, FakeSession
from tests.calls import CallScene, new_call
from tests.polling import until
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

SECOND = AudioChunk(bytes(range(250)) * 32, ULAW_8000)
FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL


class Correcting(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.CORRECTS}


class Scene(CallScene):
    """A call in the time of its loop; the carrier returns no marks but those that the test returns."""

    def __init__(self, engine: FakeEngine | None = None) -> None:
        super().__init__(engine)
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=Retry()),
            carrier=self.carrier,
            put=self.records.append,
            clock=anyio.current_time,
        )

    async def says(self, session: FakeSession, *events: AudioChunk | EngineEvent) -> None:
        """The agent says that, and it is taken."""
        for event in events:
            session.give(event)
        await anyio.wait_all_tasks_blocked()

    async def caller_speaks(self, session: FakeSession, seconds: int) -> None:
        """In the time that it takes."""
        await anyio.sleep(seconds)
        before = len(session.received)
        for _ in range(50 * seconds):
            self.socket.say("audio", FRAME.base64)
        await session.until(lambda: len(session.received) == before + 50 * seconds)

    async def mark(self, number: int = -1) -> None:
        """The carrier returns a mark."""
        self.socket.say("mark", self.socket.of("mark")[number].value)
        await anyio.wait_all_tasks_blocked()

    @property
    def items(self) -> tuple[HistoryItem, ...]:
        return self.call.context.records.history.items

    @property
    def said(self) -> list[str]:
        return [
            ("you: " if isinstance(item, AgentSaid) else "user: ") + item.text
            for item in self.items
            if isinstance(item, AgentSaid | UserSaid)
        ]


def turn(name: str, text: str, seconds: int = 1) -> list[AudioChunk | EngineEvent]:
    return [ResponseStart(turn=name), *[SECOND] * seconds, TranscriptOutput(text, name), ResponseDone(name)]


async def test_what_was_heard_to_its_end_is_in_the_history_and_what_was_cut_as_far_as_it_was_heard() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.says(session, *turn("1", "Good morning."))
        assert not scene.items  # it was not heard yet
        await anyio.sleep(1)
        await scene.mark()
        assert scene.said == ["you: Good morning."]
        await scene.says(session, *turn("2", "We open at nine and close at five.", 2))
        await anyio.sleep(1)
        await scene.says(session, Interruption())
        assert scene.said == ["you: Good morning.", "you: We open at nine"]
        assert [item.interrupted for item in scene.items if isinstance(item, AgentSaid)] == [False, True]
        scene.socket.say("stop")
    assert scene.of(TranscriptCorrection) == [
        TranscriptCorrection("We open at nine", "We open at nine and close at five.", "2")
    ]
    kinds = scene.kinds()
    assert kinds.index("transcript_output") < kinds.index("transcript_correction") < kinds.index("call_ended")


async def test_word_times_say_exactly_what_was_heard() -> None:
    words = tuple(
        Word(text=text, start_ms=at, end_ms=at + 200)
        for text, at in (("We ", 0), ("open ", 200), ("at ", 1_500), ("nine.", 1_700))
    )
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        said = TranscriptOutput("We open at nine.", "1", words=words)
        await scene.says(session, ResponseStart(turn="1"), SECOND, SECOND, said)
        await anyio.sleep(0.6)
        await scene.says(session, Interruption())
        assert scene.said == ["you: We open"]
        scene.socket.say("stop")


async def test_of_several_turns_at_the_carrier_each_is_cut_for_itself_though_its_text_comes_later() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.says(session, ResponseStart(turn="1"), SECOND, ResponseDone("1"))
        await scene.says(session, ResponseStart(turn="2"), SECOND, SECOND, ResponseDone("2"))
        await scene.says(session, ResponseStart(turn="3"), SECOND, ResponseDone("3"))
        await anyio.sleep(1)
        await scene.mark(0)  # at the end of what was sent first
        await scene.mark(1)  # at the end of the turn
        await anyio.sleep(1)
        await scene.says(session, Interruption())
        for name, text in (("3", "Really?"), ("1", "Good morning."), ("2", "We open at nine, I think.")):
            await scene.says(session, TranscriptOutput(text, name))
        assert scene.said[0] == "you: Good morning."
        assert scene.said[1].startswith("you: We")
        assert len(scene.said) == 2
        scene.socket.say("stop")
    assert [one.turn for one in scene.of(TranscriptCorrection)] == ["3", "2"]


async def test_items_of_a_turn_are_said_one_by_one() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for item, text in (("a", "One moment."), ("b", "We open at nine."), ("c", "Yes.")):
            await scene.says(session, SpeechItem(item=item, turn="1"), SECOND, TranscriptOutput(text, "1", item))
        await anyio.sleep(1)
        await scene.mark(0)
        await anyio.sleep(0.5)
        await scene.says(session, Interruption())
        assert scene.said == ["you: One moment.", "you: We open"]
        scene.socket.say("stop")


async def test_a_late_transcript_of_the_caller_is_put_where_they_spoke() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.caller_speaks(session, 1)
        await scene.says(session, *turn("1", "At nine."))
        await scene.caller_speaks(session, 1)
        await scene.mark()
        await scene.says(
            session,
            TranscriptInput("Thanks."),  # as it comes
            TranscriptInput("When do you", item="i1", started_ms=200),  # of the audio that the session was given
            TranscriptInput("When do you open?", item="i1", started_ms=200),
        )
        assert [said.partition(": ")[2] for said in scene.said] == ["When do you open?", "At nine.", "Thanks."]
        scene.socket.say("stop")


async def test_an_engine_that_corrects_itself_is_not_corrected_at_an_interruption() -> None:
    scene = Scene(Correcting())
    async with scene.running():
        session = await scene.live()
        await scene.says(session, *turn("1", "We open at nine and close at five.", 2))
        await anyio.sleep(1)
        await scene.says(session, Interruption())
        assert scene.of(TranscriptCorrection) == []
        await scene.says(session, TranscriptCorrection("We open…", "We open at nine and close at five.", "1"))
        assert scene.said == ["you: We open…"]
        scene.socket.say("stop")
    assert [one.text for one in scene.of(TranscriptCorrection)] == ["We open…"]


async def test_when_the_audio_breaks_off_the_core_corrects_any_engine() -> None:
    scene = Scene(Correcting())
    async with scene.running():
        session = await scene.live()
        await scene.says(session, *turn("1", "We open at nine and close at five.", 2))
        await anyio.sleep(1)
        scene.socket.break_off()
    assert [one.text for one in scene.of(TranscriptCorrection)] == ["We open at nine"]
    assert scene.said == ["you: We open at nine"]


async def test_what_a_lost_session_has_said_is_told_to_the_next_one_even_if_it_is_heard_later() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.live()
        await scene.says(first, ResponseStart(turn="1"), SECOND, TranscriptOutput("We open at nine, and", "1"))
        first.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        await until(lambda: scene.kinds().count("conversation_started") == 2)
        assert second.context == []
        await anyio.sleep(1)
        await scene.mark()
        assert scene.said == ["you: We open at"]  # of audio that broke off: as much as a second may have
        assert len(scene.of(ResponseHeard)) == 1
        (told,) = second.context
        assert told.endswith("\nYou: We open at [interrupted]")
        scene.socket.say("stop")


async def test_a_turn_without_audio_was_not_heard() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.says(session, ResponseStart(turn="1"), TranscriptOutput("Hello?", "1"), ResponseDone("1"))
        scene.socket.say("stop")
    assert scene.items == ()


async def test_texts_in_the_history_are_bounded() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.says(session, TranscriptInput("x" * 1_000_000))
        scene.socket.say("stop")
    (item,) = scene.items
    assert isinstance(item, UserSaid)
    assert len(item.text) < 21_000
