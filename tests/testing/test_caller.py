"""A scripted caller, frame by frame. `A` is a frame in which the agent is audible, `-` one in which it is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.testing.caller import (
    Caller,
    CallerFrame,
    EndCall,
    Pause,
    PressKey,
    Say,
    Step,
    WaitForAgent,
    WaitForSilence,
)

FRAME = 160
SPEECH = b"\x10" * FRAME


def play(steps: Sequence[Step], agent: str) -> str:
    """What the caller does while the agent does that: `s` speech, `.` silence, a key, `!` gone."""
    caller = Caller(steps, ULAW_8000)
    return "".join(sign(caller.next(heard == "A")) for heard in agent)


def sign(frame: CallerFrame) -> str:
    assert len(frame.audio) == FRAME
    if frame.hang_up:
        assert frame.audio == b"\xff" * FRAME
        return "!"
    return frame.digits or ("." if frame.audio == b"\xff" * FRAME else "s")


def test_the_end_of_the_script_is_a_hang_up_for_good() -> None:
    assert play([], "--A-") == "!!!!"
    assert play([Say(SPEECH)], "---") == "s!!"


def test_what_follows_a_hang_up_is_not_done() -> None:
    assert play([EndCall(), Say(SPEECH)], "---") == "!!!"


def test_speech_goes_out_frame_by_frame_whatever_the_agent_does() -> None:
    assert play([Say(SPEECH * 3)], "A-A-") == "sss!"


def test_the_last_frame_is_filled_with_silence() -> None:
    caller = Caller([Say(b"\x10" * 200)], ULAW_8000)
    assert caller.next(agent_audible=False).audio == b"\x10" * 160
    assert caller.next(agent_audible=False).audio == b"\x10" * 40 + b"\xff" * 120
    assert caller.next(agent_audible=False).hang_up


def test_what_was_not_said_to_its_end_is_counted() -> None:
    caller = Caller([Say(bytes(320)), Pause(0.02), Say(bytes(160))], ULAW_8000)
    assert [(caller.next(False), caller.unsaid)[1] for _ in range(5)] == [2, 2, 1, 1, 0]


def test_nothing_to_say_takes_no_time() -> None:
    assert play([Say(b""), Say(SPEECH)], "--") == "s!"


def test_a_pause_is_as_long_as_it_says() -> None:
    assert play([Pause(0.06), Say(SPEECH)], "-----") == "...s!"
    assert play([Pause(0)], "-") == "!"


def test_waiting_for_the_agent_ends_with_its_first_frame() -> None:
    assert play([WaitForAgent(), Say(SPEECH)], "---A-") == "...s!"


def test_waiting_for_the_agent_takes_an_unbroken_time() -> None:
    assert play([WaitForAgent(0.06), Say(SPEECH)], "-AA-AAA-") == "......s!"


def test_waiting_for_silence_takes_an_agent_that_has_spoken() -> None:
    assert play([WaitForSilence(0.06), Say(SPEECH)], "-----A-A----") == "..........s!"


def test_silence_that_is_already_there_counts() -> None:
    assert play([Pause(0.1), WaitForSilence(0.06), Say(SPEECH)], "AA-----") == ".....s!"


def test_after_the_caller_has_spoken_the_agent_must_speak_anew() -> None:
    steps: list[Step] = [WaitForSilence(0.04), Say(SPEECH * 2), WaitForSilence(0.04)]
    assert play(steps, "A------A---") == "..ss.....!!"


def test_what_was_talked_over_is_no_answer() -> None:
    steps: list[Step] = [WaitForAgent(0.04), Say(SPEECH * 3), WaitForSilence(0.04)]
    assert play(steps, "AAA------A---") == ".sss.......!!"


def test_an_answer_in_the_very_next_frame_is_not_missed() -> None:
    assert play([Say(SPEECH), WaitForSilence(0.04)], "-A---") == "s..!!"


def test_an_answer_that_does_not_begin_is_not_waited_for_beyond_their_patience() -> None:
    assert play([WaitForSilence(0.04, patience=0.06), Say(SPEECH)], "-------") == "...s!!!"
    assert play([WaitForSilence(0.04, patience=0.06), Say(SPEECH)], "-AAA---") == ".....s!"


def test_a_key_takes_a_frame_of_silence() -> None:
    assert play([PressKey("1"), PressKey("#"), Say(SPEECH)], "----") == "1#s!"


def test_after_a_key_the_agent_must_speak_anew() -> None:
    assert play([WaitForSilence(0.02), PressKey("1"), WaitForSilence(0.02)], "A----A--") == ".1....!!"


def test_another_format_and_another_frame() -> None:
    caller = Caller([Say(b"\1\0" * 100)], PCM16_16000, frame_ms=10)
    assert caller.format == PCM16_16000
    assert caller.next(agent_audible=False).audio == b"\1\0" * 100 + b"\0\0" * 60
    assert caller.next(agent_audible=False).audio == b"\0" * 320


def test_one_script_serves_many_callers() -> None:
    steps: list[Step] = [Say(SPEECH)]
    first, second = Caller(steps, ULAW_8000), Caller(steps, ULAW_8000)
    steps.clear()
    assert first.next(agent_audible=False).audio == second.next(agent_audible=False).audio == SPEECH


@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(
            st.builds(Say, st.binary(max_size=700)),
            st.builds(Pause, st.floats(0, 0.2)),
            st.builds(WaitForAgent, st.floats(0, 0.1)),
            st.builds(WaitForSilence, st.floats(0, 0.1)),
            st.builds(PressKey, st.sampled_from("0123456789*#")),
        ),
        max_size=8,
    ),
    st.lists(st.booleans(), max_size=60),
)
def test_any_script_gives_whole_frames_and_says_all_of_its_words_in_order(steps: list[Step], agent: list[bool]) -> None:
    caller = Caller(steps, ULAW_8000)
    frames = [caller.next(audible) for audible in [*agent, *([True] * 6 + [False] * 6) * 30]]
    assert {len(frame.audio) for frame in frames} == {FRAME}
    words = [step.audio + b"\xff" * (-len(step.audio) % FRAME) for step in steps if isinstance(step, Say)]
    said = b"".join(frame.audio for frame in frames)
    place = 0
    for word in words:
        place = said.find(word, place)
        assert place >= 0
        place += len(word)
    assert "".join(frame.digits for frame in frames) == "".join(s.digit for s in steps if isinstance(s, PressKey))


@pytest.mark.parametrize("patience", [0.6, 1.0])
def test_the_hang_up_comes_when_the_script_is_done_and_not_before(patience: float) -> None:
    done = play([WaitForSilence(patience)], "A" + "-" * 60)
    assert done.index("!") == round(patience * 50)
