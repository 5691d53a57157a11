"""Tokens of streams and tickets of webhooks: each for its purpose, its carrier, and a stream's once."""

from __future__ import annotations

import time

import msgspec
import pytest

from patter_core.server.passes import CallTokens
from patter_core.server.tokens import CallToken
from patter_core.telephony.leg import Direction
from patter_core.testing.fakes import FakeCarrier

TOKEN = CallToken(
    carrier="fake",
    leg_id="leg-1",
    call_id="call-1",
    agent="agent",
    direction=Direction.INBOUND,
    from_number="",
    to_number="",
    base="https://phone.example",
    issued_at=0.0,
)


def stream_of(passes: CallTokens) -> str:
    return passes.admit(TOKEN).media_url.rsplit("/", 1)[1]


def test_an_admission_brings_a_stream_and_a_ticket_of_now() -> None:
    passes = CallTokens(FakeCarrier())
    admission = passes.admit(TOKEN)
    for read in (passes.read_stream(stream_of(passes)), passes.read_callback(admission.callbacks.token)):
        assert read is not None
        assert read.call_id == admission.call_id == "call-1"
        assert read.issued_at == pytest.approx(time.time(), abs=5)


def test_a_stream_comes_once_and_any_worker_with_the_secret_knows_it() -> None:
    passes, other = CallTokens(FakeCarrier()), CallTokens(FakeCarrier())
    stream = stream_of(passes)
    assert other.read_stream(stream) is not None
    other.use(stream)
    assert other.read_stream(stream) is None


def test_neither_is_the_other() -> None:
    passes = CallTokens(FakeCarrier())
    assert passes.read_callback(stream_of(passes)) is None
    assert passes.read_stream(passes.admit(TOKEN).callbacks.token) is None


@pytest.mark.parametrize("text", ["", "made-up", "ü"])
def test_what_nobody_made_is_nothing(text: str) -> None:
    passes = CallTokens(FakeCarrier())
    assert passes.read_callback(text) is None
    assert passes.read_stream(text) is None


def test_another_carriers_is_nothing() -> None:
    passes = CallTokens(FakeCarrier())
    foreign = passes.admit(msgspec.structs.replace(TOKEN, carrier="other"))
    assert passes.read_stream(foreign.media_url.rsplit("/", 1)[1]) is None
    assert passes.read_callback(foreign.callbacks.token) is None
