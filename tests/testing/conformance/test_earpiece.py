from __future__ import annotations

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import Heard, HeardItem
from patter_core.events import Interruption, PausePlayback, ResponseDone, ResponseStart, SpeechItem
from patter_core.testing.conformance.earpiece import Earpiece

SECOND = AudioChunk(bytes(8_000), ULAW_8000)


class Playing:
    """A conversation, and what was told of it."""

    def __init__(self) -> None:
        self.told: list[Heard] = []
        self.earpiece = Earpiece(self.told.append)

    def say(self, turn: str, *items: str, at: float, done: bool = True) -> None:
        """A turn of so many items of a second each."""
        self.earpiece.take(ResponseStart(turn=turn), at)
        for item in items:
            self.earpiece.take(SpeechItem(item=item, turn=turn), at)
            self.earpiece.take(SECOND, at)
        if done:
            self.earpiece.take(ResponseDone(turn), at)


def item(name: str, heard_ms: float, sent_ms: float) -> HeardItem:
    return HeardItem(item=name, heard_ms=heard_ms, sent_ms=sent_ms)


def test_a_turn_is_told_once_when_it_was_heard_to_its_end() -> None:
    playing = Playing()
    playing.say("1", "a", "b", at=0.0)
    playing.earpiece.pass_time(1.9)
    assert not playing.told
    for _ in range(2):
        playing.earpiece.pass_time(2.1)
    assert playing.told == [Heard(turn="1", items=(item("a", 1_000, 1_000), item("b", 1_000, 1_000)))]


def test_an_interruption_tells_all_turns_that_were_not_heard_the_oldest_first() -> None:
    playing = Playing()
    playing.say("1", "a", at=0.0)
    playing.say("2", "b", at=0.0, done=False)
    playing.earpiece.take(Interruption("2"), 1.5)
    assert playing.told == [
        Heard(turn="1", items=(item("a", 1_000, 1_000),), interrupted=True),
        Heard(turn="2", items=(item("b", 500, 1_000),), interrupted=True),
    ]
    playing.earpiece.pass_time(9.0)
    assert len(playing.told) == 2


def test_after_a_pause_an_item_goes_on_from_its_offset() -> None:
    playing = Playing()
    playing.say("1", "a", at=0.0, done=False)
    playing.earpiece.take(PausePlayback(), 0.4)
    assert playing.told == [Heard(turn="1", items=(item("a", 400, 1_000),), paused=True)]
    playing.earpiece.take(SpeechItem(item="a", turn="1", offset_ms=300), 1.0)
    playing.earpiece.take(SECOND, 1.0)
    playing.earpiece.take(ResponseDone("1"), 1.0)
    playing.earpiece.pass_time(1.9)
    assert len(playing.told) == 1
    playing.earpiece.pass_time(2.0)
    assert playing.told[1:] == [Heard(turn="1", items=(item("a", 1_300, 1_300),))]


def test_a_turn_without_audio_is_not_told() -> None:
    playing = Playing()
    playing.say("1", at=0.0)
    playing.earpiece.pass_time(1.0)
    assert not playing.told
