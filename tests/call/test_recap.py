"""What was said so far: the end of it, in order, as it was really heard."""

from __future__ import annotations

from patter_core.call.recap import Recap
from patter_core.events import Interruption, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.store import Line, Speaker


def test_nothing_said_is_nothing_to_tell() -> None:
    recap = Recap()
    assert recap.note(Interruption()) is None
    assert recap.text == ""


def test_lines_are_told_in_order_with_corrections_in_their_place_and_what_came_before_in_front() -> None:
    recap = Recap()
    recap.note(TranscriptOutput(text="Would you like a table by the"))
    recap.note(TranscriptInput(text="By the window."))
    recap.note(TranscriptCorrection(text="Would you"))
    recap.precede([Line(Speaker.CALLER, "A table for two.")])
    assert recap.text.splitlines()[1:] == ["User: A table for two.", "You: Would you", "User: By the window."]


def test_of_a_long_call_the_end_is_told_in_whole_lines() -> None:
    recap = Recap()
    for number in range(1_000):
        recap.note(TranscriptInput(text=f"{number} " + "x" * 100))
    lines = recap.text.splitlines()[1:]
    assert len("\n".join(lines)) <= 8_000
    assert lines[-1].startswith("User: 999 ")
    assert all(len(line) > 100 for line in lines)


def test_what_precedes_does_not_push_out_what_is_newer() -> None:
    recap = Recap()
    recap.note(TranscriptInput(text="new"))
    recap.precede([Line(Speaker.CALLER, "old")] * 1_000)
    assert recap.text.splitlines()[-1] == "User: new"
