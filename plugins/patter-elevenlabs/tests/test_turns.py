from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    ResponseStart,
    TranscriptCorrection,
    TranscriptOutput,
)
from patter_elevenlabs.turns import SILENCE, Turns


def test_a_response_starts_with_its_text() -> None:
    turns = Turns()
    assert [*turns.agent_response("Hello", 1, 0.0)] == [ResponseStart("Hello", "1"), TranscriptOutput("Hello", "1")]
    assert not turns.audio(1, 0.1)


def test_a_response_starts_with_its_audio_if_the_text_is_late() -> None:
    turns = Turns()
    assert [*turns.audio(1, 0.0)] == [ResponseStart("", "1")]
    assert [*turns.agent_response("Hello", 1, 0.1)] == [TranscriptOutput("Hello", "1")]


def test_a_response_is_done_after_the_silence() -> None:
    turns = Turns()
    turns.agent_response("Hello", 1, 0.0)
    turns.audio(1, 1.0)
    assert not turns.elapsed(1.0 + SILENCE - 0.01)
    assert [*turns.elapsed(1.0 + SILENCE)] == [ResponseDone("1")]
    assert not turns.elapsed(99.0)


def test_due_says_when_to_call_elapsed() -> None:
    turns = Turns()
    turns.audio(1, 1.0)
    dues = [turns.due]
    turns.elapsed(9.0)
    assert [*dues, turns.due] == [1.0 + SILENCE, None]


def test_audio_after_the_silence_starts_the_response_again() -> None:
    turns = Turns()
    turns.agent_response("Hello", 1, 0.0)
    turns.elapsed(2.0)
    assert [*turns.audio(1, 3.0)] == [ResponseStart("Hello", "1")]
    turns.elapsed(5.0)
    assert [*turns.audio(2, 6.0)] == [ResponseStart("", "2")]


def test_the_next_response_ends_the_one_before() -> None:
    turns = Turns()
    turns.agent_response("One", 1, 0.0)
    turns.audio(1, 0.0)
    assert [*turns.agent_response("Two", 2, 0.1)] == [
        ResponseDone("1"),
        ResponseStart("Two", "2"),
        TranscriptOutput("Two", "2"),
    ]


def test_an_interruption_ends_the_response_which_is_never_done() -> None:
    turns = Turns()
    turns.audio(1, 0.0)
    assert [*turns.interruption(2)] == [Interruption("1")]
    assert turns.due is None
    assert not turns.finish()


def test_an_interruption_names_the_response_that_is_done_and_may_still_be_playing() -> None:
    turns = Turns()
    turns.audio(1, 0.0)
    turns.elapsed(9.0)
    assert [*turns.interruption(2)] == [Interruption("1")]


def test_only_audio_with_a_smaller_id_than_the_largest_interrupted_is_void() -> None:
    turns = Turns()
    assert not turns.is_void(0)
    turns.interruption(5)
    turns.interruption(3)
    assert turns.is_void(4)
    assert not turns.is_void(5)
    assert not turns.is_void(6)


def test_audio_without_an_id_is_never_void_and_an_interruption_without_one_voids_nothing() -> None:
    turns = Turns()
    turns.interruption(None)
    assert not turns.is_void(0)
    turns.interruption(5)
    assert not turns.is_void(None)


def test_the_text_of_a_response_that_was_cut_off_before_it_started_starts_nothing() -> None:
    turns = Turns()
    turns.interruption(5)
    assert [*turns.agent_response("Too late", 4, 0.0)] == [TranscriptOutput("Too late", "4")]
    assert turns.due is None


def test_a_correction_names_the_turn_that_it_replaces() -> None:
    assert [*Turns().correction("One", "One two", 4)] == [TranscriptCorrection("One", "One two", "4")]


_ids = st.none() | st.integers(0, 5)
_moves = st.lists(st.tuples(st.sampled_from(["audio", "text", "interruption", "tick"]), _ids, st.floats(0, 1)))


@given(_moves)
def test_every_response_is_started_once_then_done_or_interrupted(moves: list[tuple[str, int | None, float]]) -> None:
    turns, now = Turns(), 0.0
    kinds: list[EngineEvent] = []
    for move, event_id, later in moves:
        now += later
        match move:
            case "audio":
                kinds += [] if turns.is_void(event_id) else turns.audio(event_id, now)
            case "text":
                kinds += turns.agent_response("…", event_id, now)
            case "interruption":
                kinds += turns.interruption(event_id)
            case _:
                kinds += turns.elapsed(now)
    kinds += turns.finish()
    started: str | None = None
    for event in kinds:
        match event:
            case ResponseStart(turn=turn):
                assert started is None
                started = turn
            case ResponseDone(turn=turn):
                assert started == turn
                started = None
            case Interruption(turn=turn):
                assert started in {None, turn}
                started = None
    assert started is None
