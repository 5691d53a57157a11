"""Each speech of the agent is one turn for the call: begun, told, ended, paused, replayed, interrupted."""

from __future__ import annotations

import contextlib

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.events import (
    EngineEvent,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    TranscriptCorrection,
    TranscriptOutput,
    Word,
)
from patter_core.net.inbox import EngineInbox
from patter_pipeline.heard import Speeches

pytestmark = pytest.mark.anyio

BEGIN = [ResponseStart(turn="1"), SpeechItem(item="1", turn="1")]
WORDS = (
    Word(text="Good ", start_ms=0.0, end_ms=100.0),
    Word(text="evening.", start_ms=100.0, end_ms=200.0),
)


class Line:
    def __init__(self) -> None:
        self.inbox: EngineInbox[int] = EngineInbox()
        self.speeches = Speeches(self.inbox, ULAW_8000)

    def audio(self, n: int, *bytes_: int, words: tuple[Word, ...] = ()) -> None:
        for byte in bytes_:
            self.speeches.audio(n, AudioChunk(bytes([byte]) * 800, ULAW_8000), words)

    async def told(self) -> list[EngineEvent | str]:
        """All that waits; audio as the first digit of each 100 ms."""
        found: list[EngineEvent | str] = []
        with contextlib.suppress(TimeoutError):
            while True:
                with anyio.fail_after(0.01):
                    event = await anext(self.inbox)
                if isinstance(event, AudioChunk):
                    found.append("".join(str(byte) for byte in event.data[::800]))
                else:
                    found.append(event)
        return found


async def test_a_speech_from_its_beginning_to_its_end() -> None:
    line = Line()
    line.speeches.said(1, "Good ")
    line.speeches.said(1, "evening.")
    line.audio(1, 1, 2, words=())
    line.audio(1, 3, words=WORDS)
    assert line.speeches.complete(1)
    assert await line.told() == [
        *BEGIN,
        "1",
        "2",
        "3",
        TranscriptOutput("Good evening.", "1", words=WORDS),
        ResponseDone("1"),
    ]


async def test_one_that_is_paused_goes_on_from_what_was_heard_with_what_came_meanwhile() -> None:
    line = Line()
    line.speeches.said(1, "Good evening.")
    line.audio(1, 1, 2)
    assert await line.told() == [*BEGIN, "1", "2"]
    line.audio(1, 3)
    line.speeches.pause(1)
    line.speeches.pause(1)
    line.audio(1, 4)
    assert line.speeches.complete(1)
    assert await line.told() == [PausePlayback()]  # what waited is not played any more
    line.speeches.replay(1, 100.0)
    line.speeches.replay(1, 0.0)
    assert await line.told() == [
        SpeechItem(item="1", turn="1", offset_ms=100.0),
        "234",
        TranscriptOutput("Good evening.", "1"),
        ResponseDone("1"),
    ]


async def test_an_interruption_drops_what_waits_and_what_is_late() -> None:
    line = Line()
    line.speeches.said(1, "Good evening.")
    line.audio(1, 1)
    assert line.speeches.interrupt(1)
    line.audio(1, 2)
    line.speeches.corrected(1, "Good")
    line.speeches.corrected(1, "")
    line.speeches.forget(1)
    line.audio(1, 3)
    assert await line.told() == [
        *BEGIN,
        TranscriptOutput("Good evening.", "1"),
        Interruption("1"),
        TranscriptCorrection("Good", "Good evening.", "1"),
    ]


async def test_what_the_call_cut_is_corrected_by_the_call() -> None:
    line = Line()
    line.speeches.said(1, "Good evening.")
    line.audio(1, 1)
    assert line.speeches.complete(1)
    line.speeches.corrected(1, "Good")
    assert not [event for event in await line.told() if isinstance(event, TranscriptCorrection)]


async def test_one_of_which_there_was_no_sound_is_not_told() -> None:
    line = Line()
    line.speeches.said(1, "Good evening.")
    assert not line.speeches.interrupt(1)  # the call knows nothing of it
    line.speeches.said(2, "Hm.")
    assert not line.speeches.complete(2)
    assert await line.told() == []
