"""Server-sent events, however the network cuts them, and whatever the peer sends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.net.sse import EventStream, ServerEvent

TEXT = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)
LINES = st.lists(TEXT, min_size=1, max_size=3)
EVENTS = st.lists(st.tuples(LINES, st.sampled_from(["", "error", "message"]), st.booleans()), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(events: list[tuple[list[str], str, bool]], end: str) -> bytes:
    lines: list[str] = []
    for data, kind, spaced in events:
        lines += [": a comment", "id: 7", *([f"event: {kind}"] if kind else [])]
        lines += [f"data:{' ' if spaced or line.startswith(' ') else ''}{line}" for line in data]
        lines.append("")
    return "".join(f"{line}{end}" for line in lines).encode()


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[first:second] for first, second in itertools.pairwise(places)]


@given(EVENTS, ENDS, st.lists(st.integers(0, 10_000), max_size=20))
def test_events_are_the_same_wherever_the_stream_is_cut(
    events: list[tuple[list[str], str, bool]], end: str, cuts: list[int]
) -> None:
    reader = EventStream()
    read = [event for piece in pieces(written(events, end), cuts) for event in reader.feed(piece)]
    assert read == [ServerEvent("\n".join(data).encode(), kind) for data, kind, _ in events]
    assert reader.end() == []


@given(EVENTS, ENDS)
def test_events_are_the_same_byte_by_byte(events: list[tuple[list[str], str, bool]], end: str) -> None:
    reader = EventStream()
    stream = written(events, end)
    read = [event for at in range(len(stream)) for event in reader.feed(stream[at : at + 1])]
    assert read == EventStream().feed(stream)


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_bytes_are_read_alike_wherever_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    whole, cut = EventStream(), EventStream()
    read = [event for piece in pieces(stream, cuts) for event in cut.feed(piece)] + cut.end()
    assert read == whole.feed(stream) + whole.end()


def test_a_last_event_without_its_line_break_is_read_at_the_end() -> None:
    reader = EventStream()
    assert reader.feed(b"data: [DONE]") == []
    assert reader.end() == [ServerEvent(b"[DONE]")]


def test_what_has_no_data_is_no_event_and_names_none() -> None:
    reader = EventStream()
    assert reader.feed(b"\xef\xbb\xbfdata: x\n\nevent: error\n\ndata: y\n\n\n\ndata\n\n") == [
        ServerEvent(b"x"),
        ServerEvent(b"y"),
        ServerEvent(b""),
    ]


@pytest.mark.parametrize("line", [b"data: ", b": ", b"nothing"])
def test_a_line_without_an_end_has_one(line: bytes) -> None:
    reader = EventStream(limit=1_000)
    assert reader.feed(line) == []
    for _ in range(49):
        assert reader.feed(b"x" * 20) == []
    with pytest.raises(ValueError, match="a line is too long"):
        reader.feed(b"x" * 30)


def test_an_event_without_an_end_has_one() -> None:
    reader = EventStream(limit=1_000)
    for _ in range(1_000):
        assert reader.feed(b"data:\n") == []
    with pytest.raises(ValueError, match="an event is too long"):
        reader.feed(b"data:\n")


def test_comments_without_an_end_are_not_kept() -> None:
    reader = EventStream(limit=100)
    for _ in range(10_000):
        assert reader.feed(b": keep-alive\n\n") == []
