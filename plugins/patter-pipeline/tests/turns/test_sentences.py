"""Streamed text, cut into pieces: where the cuts are, and that nothing is lost or moved by how it was streamed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_pipeline.turns.sentences import Sentences

LONG = "We open at nine o'clock on all days of the week. "
ALPHABET = st.text(st.sampled_from("ab1. ,!?;:\n\"')。，…É-M"), max_size=80)
PIECES = st.lists(ALPHABET, max_size=12)


WORDS = st.sampled_from(
    ["ok", "No", "pets", "Dr", "z.B.", "p.m.", "No.", "3", "10.", "3.50", "Mai", "der", "…", "..."]
) | (st.sampled_from(["!", "?", "。", "2…3", "a.b@c.d", "https://a.b/c.d", "etc."]))
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", "\n", "", "  "])), max_size=20)


def pieces_of(*deltas: str) -> list[str]:
    sentences = Sentences()
    return [piece for delta in deltas for piece in sentences.add(delta)] + sentences.end()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Yes. We open at nine o'clock. Bye.", ["Yes. ", "We open at nine o'clock. ", "Bye."]),
        ("Yes! Sure. Of course, we do that.", ["Yes! ", "Sure. Of course, we do that."]),
        ("Of course I can, it is easy. Done", ["Of course I can, ", "it is easy. Done"]),
        ("Sure, no problem. Bye", ["Sure, no problem. ", "Bye"]),
        ("Ask Dr. Smith or Mr. J. Brown about it. Ok?", ["Ask Dr. Smith or Mr. J. Brown about it. ", "Ok?"]),
        ("Chiami il dott. Rossi alle 10. Va bene?", ["Chiami il dott. Rossi alle 10. ", "Va bene?"]),
        ("Am 10. Mai z.B. um neun Uhr. Gut?", ["Am 10. Mai z.B. um neun Uhr. ", "Gut?"]),
        ("It costs 3.50 at www.example.com. Fine?", ["It costs 3.50 at www.example.com. ", "Fine?"]),
        ("In the year 1990. Then it closed.", ["In the year 1990. ", "Then it closed."]),
        ('They said "No." Then they left us alone. And', ['They said "No." ', "Then they left us alone. ", "And"]),
        ("First:\n1. eggs and butter\n2. milk", ["First:\n", "1. eggs and butter\n", "2. milk"]),
        ("The U.S. office is open. Yes", ["The U.S. office is open. ", "Yes"]),
        (
            "我们九点开门。你想预订一张晚上的桌子吗？好的",
            ["我们九点开门。", "你想预订一张晚上的桌子吗？", "好的"],
        ),
        ("我们每天九点开门，六点关门。", ["我们每天九点开门，", "六点关门。"]),
        ("It is 2. No pets in here, please. Fine", ["It is 2. ", "No pets in here, please. ", "Fine"]),
        ("There are rules…2. No pets in the house. Ok", ["There are rules…", "2. No pets in the house. ", "Ok"]),
        ("Well… let me see. Yes", ["Well… let me see. ", "Yes"]),
        ("Wait... What did you say to them? Ok", ["Wait... ", "What did you say to them? ", "Ok"]),
        ("Wait...what?! No way, that is not right. Ok", ["Wait...what?! ", "No way, that is not right. ", "Ok"]),
        (
            "See https://a.example/b.c?d=e. Or ask me at a.b@c.example. Ok",
            ["See https://a.example/b.c?d=e. ", "Or ask me at a.b@c.example. ", "Ok"],
        ),
        ("今日は元気ですか？！はい、とても元気です。では", ["今日は元気ですか？！", "はい、とても元気です。", "では"]),
        ("我们九点开门……你呢？", ["我们九点开门……", "你呢？"]),
        ("हम नौ बजे खुलते हैं। क्या आप एक मेज़ चाहते हैं? हाँ", ["हम नौ बजे खुलते हैं। ", "क्या आप एक मेज़ चाहते हैं? ", "हाँ"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_where_it_is_cut(text: str, pieces: list[str]) -> None:
    assert pieces_of(text) == pieces


def test_a_mark_at_the_end_of_what_has_come_waits_for_what_follows() -> None:
    sentences = Sentences()
    assert sentences.add("It costs 3.") == []
    assert sentences.add("50 in all.") == []
    assert sentences.add(" O") == ["It costs 3.50 in all. "]


def test_a_clause_is_given_out_once_and_only_first() -> None:
    sentences = Sentences()
    sentences.add("We usually open")
    assert sentences.clause() == []  # two whole words
    sentences.add(" at ni")
    assert sentences.clause() == ["We usually open at "]
    sentences.add("ne on all days of")
    assert sentences.clause() == []
    assert sentences.end() == ["nine on all days of"]


def test_text_without_an_end_is_cut_at_a_blank() -> None:
    pieces = pieces_of("word " * 200)
    assert all(len(piece) <= 300 for piece in pieces)
    assert all(piece.endswith(" ") for piece in pieces)
    assert len(pieces_of("a" * 1_000)) == 4


def test_marks_without_end_take_no_more_time_than_words() -> None:
    def spent(text: str) -> float:
        began = time.process_time()
        pieces_of(*text)
        return time.process_time() - began

    assert spent("." * 6_000) < 10 * spent("word " * 1_200) + 0.1


@given(PIECES)
def test_the_pieces_joined_are_the_text(deltas: list[str]) -> None:
    text = "".join(deltas)
    pieces = pieces_of(*deltas)
    assert text.startswith("".join(pieces))
    assert not text[len("".join(pieces)) :].strip()
    assert all(piece.strip() for piece in pieces)


@given(PIECES)
def test_the_cuts_do_not_depend_on_how_it_was_streamed(deltas: list[str]) -> None:
    assert pieces_of(*deltas) == pieces_of("".join(deltas)) == pieces_of(*"".join(deltas))


@given(TEXTS)
def test_nor_where_a_sentence_may_go_on(words: list[tuple[str, str]]) -> None:
    text = "".join(word + blank for word, blank in words)
    assert pieces_of(text) == pieces_of(*text)
    assert "".join(pieces_of(text)).strip() == text.strip()


@given(PIECES, st.sets(st.integers(0, 12)))
def test_pauses_in_the_stream_lose_nothing(deltas: list[str], pauses: set[int]) -> None:
    sentences = Sentences()
    pieces: list[str] = []
    for number, delta in enumerate(deltas):
        pieces += sentences.add(delta)
        pieces += sentences.clause() if number in pauses else []
    pieces += sentences.end()
    assert "".join(deltas).strip() == "".join(pieces).strip()
    assert not sentences.is_waiting
