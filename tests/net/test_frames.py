"""Reads that need no parser are told from those that do, wherever the network cuts the stream."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from patter_core.net.frames import Boundary, lone, lone_masked

SIZES = (0, 1, 2, 125, 126, 127, 300, 4_000, 65_535, 65_536)


class Side:
    """One side: its parser, and the function that does without."""

    def __init__(self, name: str) -> None:
        self.masks = name == "server"
        self.parser: Protocol = (
            ServerProtocol(state=OPEN, max_size=None)
            if self.masks
            else ClientProtocol(parse_uri("ws://engine"), state=OPEN, max_size=None)
        )
        self.lone: Callable[[bytes, int], bytes | None] = lone_masked if self.masks else lone
        self.boundary = Boundary()
        self.alone = 0

    def frame(self, opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
        return Frame(opcode, payload, fin).serialize(mask=self.masks)

    def read(self, data: bytes) -> list[tuple[Opcode, bytes]]:
        message = self.lone(data, 10**6) if self.boundary.here else None
        if message is not None:
            self.alone += 1
            return [(Opcode(data[0] & 0x0F), message)]
        self.boundary.pass_over(data)
        self.parser.receive_data(data)
        return [(one.opcode, bytes(one.data)) for one in self.parser.events_received() if isinstance(one, Frame)]


@pytest.fixture(params=["client", "server"])
def side(request: pytest.FixtureRequest) -> Side:
    return Side(request.param)


def random_message(chance: random.Random, side: Side) -> list[tuple[Opcode, bytes, bytes]]:
    """The frames of a message, now and then in parts with a ping between them: kind, payload and bytes."""
    kind = chance.choice([Opcode.TEXT, Opcode.BINARY])
    count = chance.choice([1, 1, 1, 2, 3])
    frames = []
    for number in range(count):
        opcode, payload = (kind if number == 0 else Opcode.CONT), chance.randbytes(chance.choice(SIZES))
        frames.append((opcode, payload, side.frame(opcode, payload, fin=number == count - 1)))
        if chance.random() < 0.3:
            frames.append((Opcode.PING, b"x", side.frame(Opcode.PING, b"x")))
    return frames


def test_wherever_the_stream_is_cut_each_frame_is_read_once_and_as_the_parser_reads_it(side: Side) -> None:
    chance = random.Random(7)
    frames = [frame for _ in range(300) for frame in random_message(chance, side)]
    got: list[tuple[Opcode, bytes]] = []
    rest = b""
    for _, _, data in frames:
        rest += data
        if chance.random() < 0.3:  # the network joins it with what follows
            continue
        cuts = sorted(chance.randrange(1, len(rest)) for _ in range(chance.choice([0, 0, 1, 2])))
        for start, end in itertools.pairwise([0, *cuts, len(rest)]):
            got += side.read(rest[start:end])
        rest = b""
    got += side.read(rest) if rest else []
    assert got == [(opcode, payload) for opcode, payload, _ in frames]
    assert side.alone > 10  # and these were whole reads


@pytest.mark.parametrize("size", [2, 125, 126, 65_535])
def test_a_message_that_is_longer_than_allowed_is_left_to_the_parser(side: Side, size: int) -> None:
    data = side.frame(Opcode.TEXT, b"x" * size)
    assert side.lone(data, size) == b"x" * size
    assert side.lone(data, size - 1) is None


@pytest.mark.parametrize("size", [2, 126])
def test_what_is_no_whole_message_is_left_to_the_parser(side: Side, size: int) -> None:
    whole = side.frame(Opcode.TEXT, b"x" * size)
    assert side.lone(whole, size)
    assert side.lone(whole[:-1], size) is None
    assert side.lone(whole + b"\x81", size + 1) is None
    for first in (0x01, 0x80, 0x88, 0x89, 0xC1, 0xA1, 0x91):  # a part, control frames, reserved bits
        assert side.lone(bytes([first]) + whole[1:], size) is None
    other = Side("client" if side.masks else "server")
    assert (
        side.lone(other.frame(Opcode.TEXT, b"x" * size), size) is None
    )  # with a mask where there is none, and without
