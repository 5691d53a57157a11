from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import Usage
from patter_deepgram.flushes import LIMIT
from patter_deepgram.prices import speaking
from patter_deepgram.utterances import LONGEST_TEXT, RESERVE, Step, Utterances, pieces
from patter_deepgram.wire.speak import CLEAR, CLOSE, FLUSH
from patter_pipeline.parts import UtteranceDone


class Voice:
    """A session on a connection, and what it said and told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.utterances = Utterances(lambda count: speaking("aura-2-thalia-en", count), lambda: self.now)
        assert self.utterances.connected() == []

    def speak(self, utterance: str, *texts: str) -> list[str]:
        steps = [step for text in texts for step in self.utterances.speak(utterance, text)]
        return shown([*steps, *self.utterances.finish(utterance)])

    def cancel(self, utterance: str) -> list[str]:
        steps, is_useless = self.utterances.cancel(utterance)
        assert not is_useless
        return shown(steps)

    def flushed(self) -> list[str]:
        return shown(self.utterances.flushed())


def shown(steps: list[Step]) -> list[str]:
    """Returns texts that are spoken, types of other messages, and events, in words."""
    words = []
    for step in steps:
        match step:
            case bytes():
                message = json.loads(step)
                words.append(message.get("text", message["type"]))
            case UtteranceDone(utterance=utterance):
                words.append(f"done {utterance}")
            case Usage(amounts=amounts):
                words.append(f"billed {amounts['characters']:g}")
    return words


def test_an_utterance_is_done_when_its_flush_is_answered() -> None:
    voice = Voice()
    assert voice.speak("1", "One,", " two.") == ["One,", "Flush", " two.", "Flush"]
    assert voice.utterances.audio() == "1"
    assert voice.flushed() == []
    assert voice.flushed() == ["billed 9", "done 1"]
    assert voice.flushed() == []
    assert voice.utterances.audio() is None


def test_one_utterance_is_with_the_service_and_the_others_wait() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    assert voice.speak("2", "Two.") == []
    assert shown(voice.utterances.speak("3", "Three")) == []
    voice.utterances.audio()
    assert voice.flushed() == ["billed 4", "done 1", "Two.", "Flush"]
    voice.utterances.audio()
    assert voice.flushed() == ["billed 4", "done 2", "Three", "Flush"]
    assert voice.speak("3", ".") == [".", "Flush"]


def test_an_utterance_whose_text_was_heard_before_its_end_is_done_at_once() -> None:
    voice = Voice()
    assert shown(voice.utterances.speak("1", "One.")) == ["One.", "Flush"]
    voice.utterances.audio()
    assert voice.flushed() == []
    assert shown(voice.utterances.finish("1")) == ["billed 4", "done 1"]


def test_flushes_are_left_for_the_ends_of_utterances() -> None:
    voice = Voice()
    steps = shown([step for _ in range(30) for step in voice.utterances.speak("1", "One. ")])
    assert steps.count("Flush") == LIMIT - RESERVE
    assert steps.count("One. ") == 30
    assert shown(voice.utterances.finish("1")) == ["Flush"]


def test_a_flush_that_was_refused_before_the_end_makes_it_a_close() -> None:
    voice = Voice()
    assert shown(voice.utterances.speak("1", "One.")) == ["One.", "Flush"]
    assert voice.utterances.flush_refused() == []
    assert shown(voice.utterances.speak("1", " Two.")) == [" Two."]
    assert shown(voice.utterances.finish("1")) == ["Close"]
    assert shown(voice.utterances.lost(in_order=True)[0]) == ["billed 9", "done 1"]


def test_text_whose_flush_was_refused_is_not_done_with_its_end() -> None:
    voice = Voice()
    voice.utterances.speak("1", "One.")
    voice.utterances.flush_refused()
    assert shown(voice.utterances.finish("1")) == ["Close"]


def test_an_utterance_that_waits_is_cancelled_at_no_cost() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.speak("2", "Two.")
    assert voice.cancel("2") == []
    assert voice.cancel("unknown") == []
    voice.utterances.audio()
    assert voice.flushed() == ["billed 4", "done 1"]


def test_a_cancelled_utterance_is_cleared_and_its_late_audio_is_void() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.speak("2", "Two.")
    voice.utterances.audio()
    assert voice.cancel("1") == ["Clear", "billed 4", "Two.", "Flush"]
    assert voice.utterances.audio() is None
    assert voice.flushed() == []  # of the first, which was on its way
    voice.utterances.cleared()
    assert voice.utterances.audio() == "2"
    assert voice.flushed() == ["billed 4", "done 2"]


def test_an_answer_that_comes_twice_ends_nothing_that_has_not_begun() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.speak("2", "Two.")
    voice.utterances.audio()
    assert voice.flushed()[-1] == "Flush"
    assert voice.flushed() == []
    voice.utterances.cleared()
    assert voice.utterances.audio() == "2"
    assert voice.flushed() == ["billed 4", "done 2"]


def test_a_text_without_a_sound_is_done_all_the_same() -> None:
    voice = Voice()
    assert voice.speak("1", " ", "\n") == ["done 1"]
    assert voice.speak("2", "…") == ["…", "Flush"]
    assert voice.flushed() == ["billed 1", "done 2"]


def test_blanks_go_with_the_words_after_them() -> None:
    voice = Voice()
    assert shown(voice.utterances.speak("1", "  ")) == []
    assert voice.speak("1", "One.") == ["  One.", "Flush"]


def test_beyond_the_limit_on_flushes_the_connection_ends_with_the_utterance() -> None:
    voice = Voice()
    for number in range(LIMIT):
        assert voice.speak(str(number), "Yes.") == ["Yes.", "Flush"]
        voice.utterances.audio()
        assert voice.flushed()[-1] == f"done {number}"
    assert voice.speak("next", "Yes.") == ["Yes.", "Close"]
    voice.speak("last", "No.")
    voice.utterances.audio()
    steps, is_saved = voice.utterances.lost(in_order=True)
    assert is_saved
    assert shown(steps) == ["billed 4", "done next"]
    assert voice.utterances.wants_connection
    assert shown(voice.utterances.connected()) == ["No.", "Flush"]


def test_a_flush_that_the_service_refused_is_a_close() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    assert voice.utterances.flush_refused() == [CLOSE]
    assert voice.utterances.flush_refused() == []
    assert shown(voice.utterances.lost(in_order=True)[0]) == ["billed 4", "done 1"]


def test_an_utterance_that_ends_the_connection_takes_it_along_when_it_is_cancelled() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.utterances.flush_refused()
    voice.speak("2", "Two.")
    steps, is_useless = voice.utterances.cancel("1")
    assert is_useless
    assert CLEAR not in steps
    assert voice.utterances.wants_connection
    assert shown(voice.utterances.connected()) == ["Two.", "Flush"]


def test_an_utterance_that_was_not_heard_survives_its_connection_once() -> None:
    voice = Voice()
    assert voice.utterances.lost(in_order=False) == ([], True)  # an idle one
    assert voice.speak("1", "One.") == []
    assert voice.utterances.wants_connection
    assert shown(voice.utterances.connected()) == ["One.", "Flush"]
    assert voice.utterances.lost(in_order=False) == ([], True)
    assert shown(voice.utterances.connected()) == ["One.", "Flush"]
    assert voice.utterances.lost(in_order=False) == ([], False)


def test_an_utterance_that_was_heard_in_part_is_lost_with_its_connection() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.utterances.audio()
    assert voice.utterances.lost(in_order=True) == ([], False)
    assert shown(voice.utterances.over()) == ["billed 4"]


def test_a_new_connection_owes_no_answer_of_the_old_one() -> None:
    voice = Voice()
    voice.speak("1", "One.")
    voice.cancel("1")
    voice.utterances.lost(in_order=False)
    voice.speak("2", "Two.")
    voice.utterances.connected()
    assert voice.utterances.audio() == "2"


@given(st.text(alphabet="ab ", max_size=3 * LONGEST_TEXT))
def test_long_texts_are_cut_at_blanks_and_stay_whole(text: str) -> None:
    cut = pieces(text)
    assert "".join(cut) == text
    assert all(len(piece) <= LONGEST_TEXT for piece in cut)


def test_a_text_without_blanks_is_cut_anyway() -> None:
    assert [len(piece) for piece in pieces("x" * 4_500)] == [2_000, 2_000, 500]


CALLS = st.one_of(
    st.tuples(st.sampled_from(["speak", "finish", "cancel"]), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["audio", "flushed", "cleared", "refused", "lost", "ended", "connected"]), st.just("")),
)


def do(utterances: Utterances, call: str, name: str) -> list[Step]:
    match call:
        case "speak":
            return utterances.speak(name, "word. ")
        case "finish":
            return utterances.finish(name)
        case "cancel":
            return utterances.cancel(name)[0]
        case "flushed":
            return utterances.flushed()
        case "refused":
            return utterances.flush_refused()
        case "lost" | "ended":
            return utterances.lost(in_order=call == "ended")[0]
        case "connected":
            return utterances.connected()
    if call == "audio":
        utterances.audio()
    else:
        utterances.cleared()
    return []


@given(st.lists(CALLS, max_size=60))
def test_whatever_happens_each_utterance_is_done_once_and_never_after_it_was_cancelled(
    calls: list[tuple[str, str]],
) -> None:
    voice = Voice()
    is_open: dict[str, int] = {}
    done: list[str] = []
    cancelled: set[str] = set()
    for number, (call, letter) in enumerate(calls):
        voice.now += 0.1
        name = f"{letter}{is_open.setdefault(letter, number)}"
        if call in {"finish", "cancel"}:
            del is_open[letter]  # an id is used once
        if call == "cancel":
            cancelled.add(name)
        steps = do(voice.utterances, call, name)
        done += [step.utterance for step in steps if isinstance(step, UtteranceDone)]
        assert steps.count(FLUSH) + steps.count(CLOSE) <= 1
    assert len(done) == len(set(done))
    assert not cancelled & set(done)
