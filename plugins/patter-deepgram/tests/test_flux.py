from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_core.errors import EngineFailed
from patter_deepgram.clock import AudioClock
from patter_deepgram.flux import Flux
from patter_deepgram.recogniser import Step
from patter_pipeline.parts import EagerEnd, EndOfTurn, Interim, TurnResumed


class Service:
    """Tells turns as the service does."""

    def __init__(self) -> None:
        clock = AudioClock(ULAW_8000)
        clock.given = 80_000
        self.flux = Flux(clock)

    def turn(
        self, event: str, text: str = "", index: int = 0, start: float = 1.0, word: float | None = None
    ) -> list[Step]:
        words = [{"word": one, "confidence": 1.0, "start": word, "end": word} for one in text.split()]
        message = {
            "type": "TurnInfo",
            "event": event,
            "turn_index": index,
            "transcript": text,
            "audio_window_start": start,
            "words": words if word is not None else [],
        }
        return list(self.flux.take(json.dumps(message).encode()))


def test_a_turn_is_told_from_its_first_word_to_its_end() -> None:
    service = Service()
    assert service.turn("StartOfTurn") == []
    assert service.turn("Update", "a") == [Interim("a", 1_000)]
    assert service.turn("Update", "a") == []
    assert service.turn("Update", "a table", word=1.2) == [Interim("a table", 1_200)]
    assert service.turn("EndOfTurn", "a table.", word=1.2) == [EndOfTurn("a table.", 1_200)]
    assert service.turn("StartOfTurn", "two", 1, 3.0) == [Interim("two", 3_000)]


def test_a_probable_end_may_be_taken_back() -> None:
    service = Service()
    service.turn("StartOfTurn", "a table")
    assert service.turn("EagerEndOfTurn", "a table") == [EagerEnd("a table")]
    assert service.turn("EagerEndOfTurn", "a table") == []
    assert service.turn("TurnResumed", "a table for") == [TurnResumed(), Interim("a table for", 1_000)]
    assert service.turn("TurnResumed", "a table for") == []
    assert service.turn("EagerEndOfTurn", "a table for two") == [EagerEnd("a table for two")]
    assert service.turn("EndOfTurn", "a table for two") == [EndOfTurn("a table for two", 1_000)]


def test_a_turn_that_is_over_stays_so() -> None:
    service = Service()
    service.turn("Update", "a")
    assert len(service.turn("EndOfTurn", "a")) == 1
    for event in ("EndOfTurn", "Update", "EagerEndOfTurn", "TurnResumed"):
        assert service.turn(event, "a table") == []
    assert len(service.turn("Update", "b", 2)) == 1
    assert service.turn("Update", "c", 1) == []


def test_a_turn_without_words_is_taken_back() -> None:
    service = Service()
    assert service.turn("StartOfTurn", "uh") == [Interim("uh", 1_000)]
    assert service.turn("EndOfTurn") == [Interim("", 1_000)]
    service.turn("StartOfTurn", "", 1)
    assert service.turn("EndOfTurn", "", 1) == []


def test_events_that_are_new_are_taken_for_updates() -> None:
    assert Service().turn("Whispered", "a") == [Interim("a", 1_000)]


def test_an_error_ends_the_session() -> None:
    (step,) = Service().flux.take(b'{"type":"Error","code":"INTERNAL_SERVER_ERROR","description":"oops"}')
    assert isinstance(step, EngineFailed)
    assert "INTERNAL_SERVER_ERROR: oops" in step.got


def test_a_warning_is_logged_once_and_not_without_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="patter.deepgram")
    flux = Service().flux
    for number in range(100):
        for _ in range(2):
            flux.take(json.dumps({"type": "Warning", "code": f"W{number}", "description": "odd\nthing"}).encode())
    assert len(caplog.records) == 16
    assert caplog.records[0].getMessage() == r"Deepgram warns: W0: odd\nthing"


def test_it_is_connected_when_the_service_says_so() -> None:
    flux = Service().flux
    assert not flux.is_connected
    flux.take(b'{"type":"Connected","request_id":"r","sequence_id":0}')
    assert flux.is_connected


EVENTS = ["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]


@given(
    st.lists(
        st.tuples(st.sampled_from(EVENTS), st.sampled_from(["", "a", "a b"]), st.integers(-3, 5), st.floats(-1, 1e300)),
        max_size=40,
    )
)
def test_whatever_comes_each_turn_ends_once(messages: list[tuple[str, str, int, float]]) -> None:
    service = Service()
    ended: list[int] = []
    is_eager = False
    for event, text, index, start in messages:
        for step in service.turn(event, text, index, start):
            match step:
                case EndOfTurn():
                    ended.append(index)
                    is_eager = False
                case EagerEnd():
                    is_eager = True
                case TurnResumed():
                    assert is_eager
                    is_eager = False
    assert ended == sorted(set(ended))
