from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_deepgram.clock import AudioClock
from patter_deepgram.nova import Nova
from patter_deepgram.recogniser import Step
from patter_deepgram.wire.decoding import Anomaly
from patter_deepgram.wire.nova import FINALIZE
from patter_pipeline.parts import EndOfTurn, Final, Interim


class Service:
    """Tells results as the service does."""

    def __init__(self, *, ends_turns: bool = False) -> None:
        clock = AudioClock(ULAW_8000)
        clock.given = 80_000
        self.nova = Nova(clock, ends_turns=ends_turns)

    def results(
        self, text: str, start: float = 0.0, duration: float = 1.0, *, final: bool = False, **flags: bool
    ) -> list[Step]:
        words = [
            {"word": word, "start": start + 0.1, "end": start + duration - 0.1, "punctuated_word": word}
            for word in text.split()
        ]
        message = {
            "type": "Results",
            "start": start,
            "duration": duration,
            "is_final": final,
            "channel": {"alternatives": [{"transcript": text, "words": words}]},
            **flags,
        }
        return list(self.nova.take(json.dumps(message).encode()))

    def utterance_end(self) -> list[Step]:
        return list(self.nova.take(b'{"type":"UtteranceEnd","last_word_end":1.0}'))


def test_interim_texts_replace_each_other_and_a_final_one_ends_them() -> None:
    service = Service()
    assert service.results("a") == [Interim("a", 100)]
    assert service.results("a") == []
    assert service.results("a table") == [Interim("a table", 100)]
    (final,) = service.results("a table", final=True)
    assert isinstance(final, Final)
    assert (final.text, final.started_ms, final.ended_ms) == ("a table", 100, 900)
    assert [word.text for word in final.words] == ["a ", "table"]
    assert service.results("for two", 1.0) == [Interim("for two", 1_100)]


def test_empty_finals_are_not_told() -> None:
    service = Service()
    assert service.results("", final=True, from_finalize=True) == []
    assert service.results("", 1.0, final=True, speech_final=True) == []


def test_an_interim_text_that_was_no_speech_is_taken_back() -> None:
    service = Service()
    service.results("uh")
    assert service.results("", final=True) == [Interim("", 0)]
    assert service.results("", 1.0, final=True) == []


def test_what_comes_twice_or_late_is_told_once() -> None:
    service = Service()
    assert len(service.results("a table", final=True)) == 1
    assert service.results("a table", final=True) == []
    assert service.results("a tab", 0.0, 0.8) == []
    assert len(service.results("a table", 1.0, final=True)) == 1  # said again


def test_without_turns_of_its_own_a_pause_ends_nothing() -> None:
    service = Service()
    (final,) = service.results("a table", final=True, speech_final=True)
    assert isinstance(final, Final)
    assert service.utterance_end() == []


def test_a_turn_is_all_final_texts_up_to_speech_final() -> None:
    service = Service(ends_turns=True)
    assert len(service.results("a table", final=True)) == 1
    final, end = service.results("for two", 1.0, final=True, speech_final=True)
    assert isinstance(final, Final)
    assert end == EndOfTurn("a table for two", 100)
    assert service.utterance_end() == []
    assert service.results("", 2.0, final=True, speech_final=True) == []


def test_in_noise_the_gap_between_words_ends_the_turn() -> None:
    service = Service(ends_turns=True)
    service.results("a table", final=True)
    assert service.utterance_end() == [EndOfTurn("a table", 100)]
    assert service.utterance_end() == []


def test_words_that_are_not_final_at_the_end_of_the_turn_are_asked_for() -> None:
    service = Service(ends_turns=True)
    service.results("a table", final=True)
    service.results("for two", 1.0)
    assert service.utterance_end() == [FINALIZE]
    final, end = service.results("for two", 1.0, final=True, from_finalize=True)
    assert isinstance(final, Final)
    assert end == EndOfTurn("a table for two", 100)


def test_a_turn_without_an_end_is_bounded() -> None:
    service = Service(ends_turns=True)
    told = [step for number in range(40) for step in service.results("x" * 9_000, float(number), final=True)]
    assert sum(isinstance(step, EndOfTurn) for step in told) == 3


def test_an_error_is_kept_for_the_close_that_follows() -> None:
    service = Service()
    assert service.nova.take(b'{"type":"Error","variant":"SchemaError","description":"odd"}') == []
    assert service.nova.last_error == ("SchemaError", "odd")


@pytest.mark.parametrize(
    ("message", "anomaly"),
    [
        (b"", Anomaly.MALFORMED),
        (b"{", Anomaly.MALFORMED),
        (b"\xff", Anomaly.MALFORMED),
        (b"[" * 5_000, Anomaly.MALFORMED),
        (b'{"type":"Results","start":"soon"}', Anomaly.MALFORMED),
        (b'{"type":"Results","channel":null}', Anomaly.MALFORMED),
        (b'{"type":"New"}', Anomaly.UNKNOWN_TYPE),
    ],
)
def test_what_cannot_be_read_is_counted(message: bytes, anomaly: Anomaly) -> None:
    nova = Service().nova
    assert nova.take(message) == []
    assert nova.anomalies == {anomaly: 1}


def test_what_is_not_used_is_no_anomaly() -> None:
    nova = Service().nova
    for kind in ("Metadata", "SpeechStarted", "ConfigureSuccess"):
        assert nova.take(json.dumps({"type": kind, "timestamp": 1.0}).encode()) == []
    assert nova.take(b'{"type":"Results","start":1.0,"duration":1.0,"is_final":true}') == []  # without alternatives
    assert not nova.anomalies


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.sampled_from(["", "a", "a b", "c"]),
                "start": st.floats(-1, 1e308),
                "duration": st.floats(-1, 1e308),
                "final": st.booleans(),
                "speech_final": st.booleans(),
                "from_finalize": st.booleans(),
            }
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_comes_times_are_in_order_and_in_the_audio(results: list[dict[str, object]], ends_turns: bool) -> None:
    service = Service(ends_turns=ends_turns)
    for fields in results:
        for step in service.results(**fields):  # type: ignore[arg-type] # made by hypothesis
            match step:
                case Final(started_ms=started, ended_ms=ended):
                    assert 0 <= started <= ended <= 10_000
                    assert step.text
                case Interim(started_ms=started) | EndOfTurn(started_ms=started):
                    assert 0 <= started <= 10_000
