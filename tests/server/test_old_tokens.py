"""During a deploy two releases run: each reads the tokens of the other. Fields are only ever appended."""

from __future__ import annotations

import time

import msgspec
import pytest

from patter_core.agent import CallOptions
from patter_core.call.token import CallToken
from patter_core.server.tokens import Purpose, TokenMaker
from patter_core.telephony.leg import Direction
from patter_core.testing.fakes import FakeCarrier
from tests.server.test_router import Scene, accepted, outbound

pytestmark = pytest.mark.anyio


class PreviousToken(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """As a release wrote it that did not count what lost streams have spent."""

    carrier: str
    leg_id: str = ""
    call_id: str
    agent: str
    direction: Direction = Direction.INBOUND
    from_number: str = ""
    to_number: str = ""
    base: str = ""
    options: CallOptions = CallOptions()
    streams: int = 0
    issued_at: float = 0.0


class NextToken(CallToken, frozen=True, array_like=True, kw_only=True):
    """As a later release may write it."""

    region: str = "eu"
    attempt: int = 2


def previous(**fields: object) -> PreviousToken:
    return msgspec.structs.replace(
        PreviousToken(
            carrier="fake",
            call_id="call-1",
            agent="agent",
            direction=Direction.OUTBOUND,
            to_number="+15550001111",
            base="https://phone.example",
            options=CallOptions(first_message="Hello, Ada."),
            issued_at=time.time(),
        ),
        **fields,
    )


def sealed(token: PreviousToken | CallToken, purpose: Purpose) -> str:
    maker = TokenMaker(FakeCarrier().token_secret(), purpose)
    return maker.mint(token)  # type: ignore[arg-type] # that of another release


async def test_a_call_of_the_previous_release_is_answered_with_its_agent_and_options() -> None:
    scene = Scene()
    async with scene.running() as host:
        accept = await accepted(host, outbound(), sealed(previous(), Purpose.CALLBACK))
        assert accept.call_id == "call-1"
        session = await scene.engine.session()
        assert session.setup.first_message == "Hello, Ada."


async def test_a_stream_of_the_previous_release_finds_its_call() -> None:
    scene = Scene(several_workers=True)
    async with scene.running() as host:
        call = host.routers["fake"].claim(sealed(previous(leg_id="out-1", streams=1), Purpose.STREAM))
        assert call is not None
        assert (call.call_id, call.leg.key, call.context.token.streams) == ("call-1", ("fake", "out-1"), 1)
        assert call.context.token.losses == 0
        call.hang_up()


async def test_a_stream_of_the_next_release_finds_its_call() -> None:
    scene = Scene(several_workers=True)
    token = NextToken(
        carrier="fake", leg_id="leg-1", call_id="call-1", agent="agent", losses=0.5, issued_at=time.time(), streams=1
    )
    async with scene.running() as host:
        call = host.routers["fake"].claim(sealed(token, Purpose.STREAM))
        assert call is not None
        assert (call.call_id, call.context.token.losses) == ("call-1", 0.5)
        call.hang_up()


def test_the_previous_release_reads_the_tokens_of_this_one() -> None:
    token = CallToken(carrier="fake", leg_id="leg-1", call_id="call-1", agent="agent", issued_at=7.0, losses=2.5)
    read = msgspec.json.decode(msgspec.json.encode(token), type=PreviousToken)
    assert read == previous(
        leg_id="leg-1", direction=Direction.INBOUND, to_number="", base="", options=CallOptions(), issued_at=7.0
    )
