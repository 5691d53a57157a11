from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_telnyx.client_state import ClientState


def test_a_state_comes_back() -> None:
    state = ClientState(token="abc.def", dialled=True, transfer_to="+15005550001", say="Wait.", hang_up=True)
    assert ClientState.decode(state.encode()) == state
    assert "+1500" not in repr(state)


def test_empty_fields_take_no_room() -> None:
    assert base64.b64decode(ClientState(leg_of="v3:a").encode()) == b'{"l":"v3:a"}'


@pytest.mark.parametrize("text", [None, "", "?", base64.b64encode(b"another application's").decode(), "W10="])
def test_a_state_that_is_not_ours_is_empty(text: str | None) -> None:
    assert ClientState.decode(text) == ClientState()


@given(st.text())
def test_no_text_raises(text: str) -> None:
    ClientState.decode(text)


@given(st.binary())
def test_no_content_raises(content: bytes) -> None:
    ClientState.decode(base64.b64encode(content).decode())
