"""Calls with an agent that is made of parts, on both carriers' emulators: over real sockets at every place."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from patter_core import Patter
from patter_core.agent import Agent, Retry
from patter_core.call.timeouts import Deadlines
from patter_core.events import (
    CallEnded,
    ConversationStarted,
    GuardrailActed,
    Interruption,
    ResponseHeard,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
    Usage,
)
from patter_core.history import AgentSaid, HistoryItem, ToolUsed, UserSaid
from patter_core.telephony.outcome import HangUp
from patter_core.testing.fakes import FakeEngine
from patter_pipeline import TurnTaking
from patter_pipeline.parts import PASS, Act, Guardrail, Verdict
from patter_pipeline.testing import Ending
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeSttEmulator, FakeTtsEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import LINE, LONG, Scene, calling, talker
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=[TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param())


@pytest.fixture
def one() -> Scene:
    """With one carrier, for what the parts do among themselves: all that the carrier sees of it are audio and marks."""
    return Scene(TwilioEmulator())


def kinds(items: Sequence[HistoryItem]) -> list[tuple[str, str]]:
    return [(type(item).__name__, item.result if isinstance(item, ToolUsed) else item.text) for item in items]


async def test_a_greeting_a_question_and_an_answer(scene: Scene) -> None:
    def make(phone: Patter) -> Agent:
        return phone.agent(
            stt=scene.stt.part(),
            llm=scene.llm.part(),
            tts=scene.tts.part(),
            system_prompt="You take bookings.",
            first_message="Hello there.",
        )

    async with calling(scene, make):
        await scene.hears("Hello there.")
        scene.llm.answer("Certainly. ", "For how many?")
        await scene.say("I would like a table.")
        await scene.hears("Certainly. For how many?")
        assert scene.llm.requests[-1].instructions == "You take bookings."
        assert kinds(scene.history) == [("AgentSaid", "Hello there."), ("UserSaid", "I would like a table.")]
        scene.llm.answer("Goodbye.")
        await scene.say("For two.")
        await scene.hears("Goodbye.")
        assert kinds(scene.history)[2:] == [
            ("AgentSaid", "Certainly. For how many?"),
            ("UserSaid", "For two."),
        ]
    assert [said.text for said in scene.of(TranscriptInput)] == ["I would like a table.", "For two."]
    assert not scene.of(Interruption)
    timings = scene.of(TurnTimings)
    assert len(timings) == 2
    assert list(timings[0].stages_ms) == ["end_of_turn", "first_token", "first_text", "first_audio", "sent"]
    assert 250 < timings[0].stages_ms["end_of_turn"] < 1_500
    assert {usage.part for usage in scene.of(Usage)} == {"stt", "llm", "tts"}
    assert not scene.problems
    # All of the caller's audio reached the recognition as it was.
    assert LINE[:8_000] in scene.stt.heard[0]


async def test_a_caller_who_interrupts_is_heard_and_the_model_knows_what_they_heard(scene: Scene) -> None:
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        scene.llm.answer(LONG)
        await scene.say("When are you open?")
        await until(lambda: any("We are" in text for text in scene.tts.given))
        await anyio.sleep(2.5)
        scene.llm.answer("From noon.")
        await scene.say("No, wait, on Sundays I mean.")
        await scene.hears("From noon.")
        interrupted = [item for item in scene.history if isinstance(item, AgentSaid) and item.interrupted]
    (cut,) = interrupted
    assert LONG.startswith(cut.text)
    assert 10 < len(cut.text) < len(LONG) - 20
    assert len(scene.of(Interruption)) == 1
    assert [correction.text for correction in scene.of(TranscriptCorrection)] == [cut.text]
    stream = scene.call.streams[0]
    assert stream.clears
    assert not scene.problems


async def test_a_cough_lets_the_agent_go_on_where_it_was(scene: Scene) -> None:
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        scene.llm.answer(LONG)
        await scene.say("When are you open?")
        await until(lambda: any("We are" in text for text in scene.tts.given))
        await anyio.sleep(2.5)
        scene.person.say(LINE[: 8_000 // 2])  # half a second of sound, of which no word is recognised
        await scene.hears(LONG)
    assert len(scene.call.streams[0].clears) == 1
    assert not scene.of(Interruption)
    assert not scene.of(TranscriptCorrection)
    played = bytes(scene.call.recording.played)
    assert len(played) / 8 > len("Hello there." + LONG) * 50  # all of it, and a word said twice at most
    assert len(played) / 8 < len("Hello there." + LONG) * 50 + 1_500


async def test_a_tool_runs_and_its_result_is_spoken_about(scene: Scene) -> None:
    booked: list[int] = []

    async def book_table(people: int) -> str:
        """Books a table."""
        await anyio.sleep(1.6)
        booked.append(people)
        return f"booked for {people}"

    options = {"tools": [book_table], "turn_taking": TurnTaking(fillers=("One moment.",))}
    async with calling(scene, talker(scene, **options)):
        await scene.hears("Hello there.")
        scene.llm.answer("Sure.", ToolCall("call_1", "book_table", '{"people": 2}'))
        scene.llm.answer("It is booked.")
        await scene.say("A table for two.")
        await scene.hears("It is booked.")
        (used,) = [item for item in scene.history if isinstance(item, ToolUsed)]
    assert booked == [2]
    assert (used.name, used.result) == ("book_table", "booked for 2")
    assert [spec.name for spec in scene.llm.requests[0].tools] == ["book_table"]
    assert len(scene.of(ToolCall)) == len(scene.of(ToolResult)) == 1
    said = [output.text for output in scene.of(TranscriptOutput)]
    assert said == ["Hello there.", "Sure.", "One moment.", "It is booked."]


async def test_keys_are_a_turn_and_no_transcript(scene: Scene) -> None:
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        scene.llm.answer("Thank you.")
        scene.person.press("4711#")
        await scene.hears("Thank you.")
        last = scene.history[-1]
    assert isinstance(last, UserSaid)
    assert "4711" in last.text
    assert not scene.of(TranscriptInput)


async def test_guardrails_replace_what_the_agent_says_and_end_the_call(one: Scene) -> None:
    def polite(sentence: str) -> str | None:
        return "I am afraid not." if sentence.startswith("No") else None

    async with calling(one, talker(one, guardrails=[polite])):
        await one.hears("Hello there.")
        one.llm.answer("No way.")
        await one.say("A table for ninety.")
        await one.hears("I am afraid not.")
    assert [(acted.guardrail, acted.decision) for acted in one.of(GuardrailActed)] == [("polite", "replace")]
    assert "No way." not in "".join(one.tts.given)


async def test_a_guardrail_ends_the_call_after_a_last_sentence(scene: Scene) -> None:
    class Lawyers(Guardrail):
        name = "lawyers"

        async def caller_said(self, text: str) -> Verdict:
            return Act(action=HangUp(), say="Please write to us.") if "sue" in text else PASS

    async with calling(scene, talker(scene, guardrails=[Lawyers()])):
        await scene.hears("Hello there.")
        asked = len(scene.llm.asked)
        await scene.say("I will sue you.")
        end = await scene.told(CallEnded)
    assert "Please write to us." in [output.text for output in scene.of(TranscriptOutput)]
    assert end.reason == "agent_hung_up"
    assert [acted.side for acted in scene.of(GuardrailActed)] == ["caller"]
    assert len(scene.llm.asked) <= asked + 1  # a draft


async def test_recognition_that_ends_turns_decides_alone(one: Scene) -> None:
    stt = FakeSttEmulator(ends_turns=True)

    def make(phone: Patter) -> Agent:
        return phone.agent(stt=stt.part(), llm=one.llm.part(), tts=one.tts.part(), first_message="Hello there.")

    async with stt, calling(one, make):
        await one.hears("Hello there.")
        one.llm.answer("Certainly.")
        one.person.say(LINE[:8_000])
        await anyio.sleep(0.6)
        await stt.interim("A table")
        await until(lambda: not one.person.frames)
        await anyio.sleep(1.2)
        assert not one.of(TranscriptInput)  # a pause ends nothing
        await stt.eager_end("A table for two.")
        await until(lambda: bool(one.llm.asked))
        assert not one.of(TranscriptInput)  # it is a draft
        await stt.end_turn("A table for two.")
        await one.hears("Certainly.")
    assert len(one.llm.asked) == 1
    assert [said.text for said in one.of(TranscriptInput)] == ["A table for two."]


@pytest.mark.parametrize("ending", [Ending.FAILURE, Ending.STALL])
async def test_a_model_that_fails_or_stalls_is_followed_by_its_reserve_in_the_same_turn(
    one: Scene, ending: Ending
) -> None:
    async with FakeLlmEmulator() as reserve:
        reserve.answer("From seven.")

        def make(phone: Patter) -> Agent:
            llms = [one.llm.part(), reserve.part()]
            return phone.agent(stt=one.stt.part(), llms=llms, tts=one.tts.part(), first_message="Hello there.")

        async with calling(one, make):
            await one.hears("Hello there.")
            for _ in range(2):  # a draft may fail, too
                one.llm.answer(ending=ending)
            await one.say("When are you open?")
            await one.hears("From seven.")
            assert len(reserve.asked) == 1
    assert len(one.of(ConversationStarted)) == 1


async def test_a_voice_that_fails_in_a_speech_is_followed_by_its_reserve_which_says_the_rest(one: Scene) -> None:
    async with FakeTtsEmulator() as reserve:

        def make(phone: Patter) -> Agent:
            voices = [one.tts.part(), reserve.part()]
            return phone.agent(stt=one.stt.part(), llm=one.llm.part(), ttss=voices, first_message="Hello there.")

        async with calling(one, make):
            await one.hears("Hello there.")
            one.tts.pace = 1.5
            one.llm.answer(LONG)
            await one.say("When are you open?")
            await until(lambda: any("We are" in text for text in one.tts.given))
            await anyio.sleep(1.5)
            await one.tts.fail()
            await until(lambda: bool(reserve.given))
            await until(lambda: len(one.of(ResponseHeard)) >= 2)
            await anyio.sleep(1.0)
    said = "".join(reserve.given)
    assert said
    assert said.strip() in LONG
    assert len(said) < len(LONG)
    assert len(one.of(ConversationStarted)) == 1


async def test_speech_recognition_that_is_lost_is_opened_anew_without_a_word_lost(scene: Scene) -> None:
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        await scene.stt.fail()
        await until(lambda: len(scene.stt.heard) == 2)
        scene.llm.answer("Certainly.")
        await scene.say("A table for two.")
        await scene.hears("Certainly.")
    assert len(scene.of(ConversationStarted)) == 1
    assert LINE[:8_000] in scene.stt.heard[1]


async def test_without_a_reserve_the_fallback_of_the_agent_takes_over_with_the_history(scene: Scene) -> None:
    async with calling(scene, talker(scene, fallback=Retry(times=1), resume_message="Where were we?")):
        await scene.hears("Hello there.")
        scene.llm.answer("For how many?")
        await scene.say("A table, please.")
        await scene.hears("For how many?")
        for _ in range(2):  # a draft may fail, too
            scene.llm.answer(ending=Ending.FAILURE)
        await scene.say("For two.")
        await scene.hears("Where were we?")
        scene.llm.answers.clear()
        scene.llm.answer("Booked.")
        await scene.say("Is it booked?")
        await scene.hears("Booked.")
        known = [text for _, text in kinds(scene.history)]
    assert len(scene.of(ConversationStarted)) == 2
    assert known == [
        "Hello there.",
        "A table, please.",
        "For how many?",
        "For two.",
        "Where were we?",
        "Is it booked?",
    ]


async def test_a_question_over_which_a_session_was_lost_is_answered_by_the_next(one: Scene) -> None:
    async with calling(one, talker(one, fallback=Retry(times=1))):
        await one.hears("Hello there.")
        for _ in range(2):  # a draft may fail, too
            one.llm.answer(ending=Ending.FAILURE)
        one.llm.answer("From seven.")
        await one.say("When are you open?")
        await one.hears("From seven.")
        assert kinds(one.history) == [("AgentSaid", "Hello there."), ("UserSaid", "When are you open?")]
    assert len(one.of(ConversationStarted)) == 2
    assert [said.text for said in one.of(TranscriptInput)] == ["When are you open?"]


async def test_a_model_that_stalls_without_a_reserve_leads_to_another_session_which_answers(one: Scene) -> None:
    async with calling(one, talker(one)):
        await one.hears("Hello there.")
        one.llm.answer(ending=Ending.STALL)
        one.llm.answer("From seven.")
        await one.say("When are you open?")
        await one.hears("From seven.")
    assert len(one.of(ConversationStarted)) == 2
    assert one.llm.answering == 0


@pytest.mark.parametrize("part", ["stt", "tts"])
async def test_a_service_that_is_not_there_leads_to_the_fallback(one: Scene, part: str) -> None:
    reserve = FakeEngine()

    def make(phone: Patter) -> Agent:
        getattr(one, part).stall()
        other = phone.agent(engine=reserve, name="other")
        parts = {"stt": one.stt.part(), "llm": one.llm.part(), "tts": one.tts.part()}
        return phone.agent(**parts, first_message="Hello there.", fallback=other)  # type: ignore[arg-type]

    async with calling(one, make):
        await reserve.session()


async def test_on_hold_nothing_is_said_and_nothing_is_answered(scene: Scene) -> None:
    phones: list[Patter] = []

    def make(phone: Patter) -> Agent:
        phones.append(phone)
        return talker(scene)(phone)

    async with calling(scene, make):
        await scene.hears("Hello there.")
        (call,) = phones[0].calls
        await call.hold()
        spoken = len(scene.tts.given)
        await scene.stt.interim("Are")
        await scene.stt.final("Are you there?")
        await anyio.sleep(2.0)
        assert len(scene.tts.given) == spoken
        await call.resume()
        scene.llm.answer("Here I am.")
        await scene.say("Hello?")
        await scene.hears("Here I am.")


async def test_what_the_user_has_said_is_said_word_for_word(one: Scene) -> None:
    phones: list[Patter] = []

    def make(phone: Patter) -> Agent:
        phones.append(phone)
        return talker(one)(phone)

    async with calling(one, make):
        await one.hears("Hello there.")
        (call,) = phones[0].calls
        await call.say("This call is recorded.")
        await one.hears("This call is recorded.")
        one.llm.answer("You are welcome.")
        await call.send_user_message("Thank you.")
        await one.hears("You are welcome.")


async def test_a_noise_without_a_word_is_not_taken_for_a_question_without_an_answer(one: Scene) -> None:
    async with calling(one, talker(one, fallback=HangUp()), deadlines=Deadlines(reply=1.5)):
        await one.hears("Hello there.")
        one.person.say(LINE[:4_000])
        await one.told(SpeechStopped)
        await anyio.sleep(3.5)
        one.llm.answer("Certainly.")
        await one.say("A table for two.")
        await one.hears("Certainly.")
    assert len(one.of(ConversationStarted)) == 1
