"""Stream tokens: what is not ours, not whole, not fresh, or spelled in another way, is nobody's."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.leg import Direction
from patter_core.server.tokens import StreamToken, TokenMaker

TOKEN = StreamToken("fake", "leg-1", "call-1", "agent", Direction.INBOUND, 1000.0)


def test_any_worker_with_the_secret_reads_what_another_wrote() -> None:
    assert TokenMaker(b"secret").check(TokenMaker(b"secret").mint(TOKEN), 1001.0) == TOKEN


def test_a_worker_with_another_secret_reads_nothing() -> None:
    assert TokenMaker(b"other").check(TokenMaker(b"secret").mint(TOKEN), 1001.0) is None


@pytest.mark.parametrize(("now", "good"), [(989.0, False), (990.0, True), (1060.0, True), (1061.0, False)])
def test_a_token_lives_a_minute_and_allows_for_clocks(now: float, good: bool) -> None:
    maker = TokenMaker(b"secret")
    assert (maker.check(maker.mint(TOKEN), now) is not None) is good


@given(st.data())
def test_no_other_spelling_is_taken(data: st.DataObject) -> None:
    maker = TokenMaker(b"secret")
    text = maker.mint(TOKEN)
    index = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"))
    changed = text[:index] + other + text[index + 1 :]
    assert changed == text or maker.check(changed, 1001.0) is None
    assert maker.check(text + other, 1001.0) is None


@given(st.text())
def test_any_text_is_checked_without_a_fault(text: str) -> None:
    assert TokenMaker(b"secret").check(text, 1001.0) is None


def test_a_token_fits_into_a_path_and_shows_no_secret() -> None:
    maker = TokenMaker(b"secret")
    assert set(maker.mint(TOKEN)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert "secret" not in repr(maker)


def test_a_token_of_another_version_is_nobodys() -> None:
    maker = TokenMaker(b"secret")
    payload = msgspec.json.encode(["fake"])
    from patter_core.server.tokens import _text  # noqa: PLC0415 - only this test signs by hand

    assert maker.check(f"{_text(payload)}.{_text(maker._signature(payload))}", 1001.0) is None
