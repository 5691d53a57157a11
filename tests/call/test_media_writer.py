"""What is written to a media socket that takes nothing for a while, that is gone, and that is followed by another."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable

import anyio
import anyio.lowlevel
import msgspec
import pytest

from patter_core.call.media_writer import MediaWriter
from patter_core.testing.fakes import FakeEngine, FakeMessage, FakeSocket
from patter_core.transport import Message
from tests.calls import new_call

pytestmark = pytest.mark.anyio


def message(event: str, value: str = "") -> Message:
    return msgspec.json.encode(FakeMessage(event, value))


class Rig:
    """A writer, its socket, and what it calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.context = new_call(FakeEngine()).context
        self.socket = FakeSocket()
        self.writer = MediaWriter(
            self.context,
            on_wait=lambda: self.calls.append("wait"),
            on_ready=lambda: self.calls.append("ready"),
            on_broken=lambda: self.calls.append("broken"),
        )
        self.writer.attach(self.socket)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(10):
            async with self.context.tasks:
                yield
                self.context.tasks.cancel_scope.cancel()

    @property
    def sent(self) -> list[str]:
        return [one.event + one.value for one in self.socket.sent]

    def fill(self) -> None:
        """The socket takes one message, and then no more."""
        self.socket.is_full = True
        assert self.writer.write(message("audio"))

    def answer(self, *numbers: int) -> None:
        self.writer.write_first([message("pong", str(number)) for number in numbers])

    async def make_room(self) -> None:
        self.socket.make_room()
        await anyio.wait_all_tasks_blocked()


async def test_what_is_taken_at_once_is_neither_waited_for_nor_told() -> None:
    rig = Rig()
    assert rig.writer.write(message("audio"))
    rig.answer(1, 2)
    assert rig.sent == ["audio", "pong1", "pong2"]
    assert rig.writer.is_ready
    assert rig.calls == []


async def test_answers_wait_for_a_full_socket_in_order_and_go_ahead_of_what_it_is_ready_for() -> None:
    rig = Rig()
    async with rig.running():
        rig.fill()
        assert not rig.writer.is_ready
        rig.answer(1, 2)
        rig.answer(3)
        assert rig.sent == ["audio"]
        await rig.make_room()
        assert rig.sent == ["audio", "pong1", "pong2", "pong3"]
        assert rig.calls == ["wait", "ready"]
        assert rig.writer.is_ready


async def test_a_socket_that_fills_again_among_the_answers_is_ready_only_after_the_last() -> None:
    rig = Rig()
    async with rig.running():
        rig.fill()
        rig.answer(1, 2)
        rig.socket.make_room()
        rig.socket.is_full = True  # before the writer sees it
        await anyio.wait_all_tasks_blocked()
        await rig.make_room()
        assert rig.sent == ["audio", "pong1", "pong2"]
        assert rig.calls[-1] == "ready"
        assert rig.calls.count("ready") == 1


async def test_two_hundred_answers_may_be_unread_and_one_more_gives_the_socket_up() -> None:
    rig = Rig()
    async with rig.running():
        rig.fill()
        rig.answer(*range(200))
        assert rig.calls == ["wait"]
        rig.answer(200, 201)
        assert rig.socket.closed
        assert rig.calls == ["wait", "broken"]
        assert not rig.writer.is_ready
        rig.answer(202)  # of a socket that is gone, and it is not told again
        await rig.make_room()
        assert rig.sent == ["audio"]
        assert rig.calls == ["wait", "broken"]


async def test_a_socket_that_is_gone_is_told_once_whatever_is_written() -> None:
    rig = Rig()
    rig.socket.closed = True
    assert not rig.writer.write(message("audio"))
    rig.answer(1, 2)
    assert rig.calls == ["broken"]


async def test_a_socket_that_goes_while_it_is_waited_for_is_told_once() -> None:
    rig = Rig()

    async def gone() -> None:
        await anyio.lowlevel.checkpoint()
        raise ConnectionResetError

    class Going(FakeSocket):
        def send(self, message: Message) -> Awaitable[None]:
            return gone()

    rig.writer.attach(Going())
    async with rig.running():
        assert rig.writer.write(message("audio"))
        await anyio.wait_all_tasks_blocked()
        assert rig.calls == ["wait", "broken"]


async def test_a_full_socket_that_has_a_successor_says_nothing_of_that_one() -> None:
    rig, second = Rig(), FakeSocket()
    async with rig.running():
        rig.fill()
        rig.answer(1)
        rig.writer.detach()
        rig.writer.attach(second)
        second.is_full = True
        assert rig.writer.write(message("audio"))
        await rig.make_room()  # of the first one
        assert not rig.writer.is_ready
        assert rig.calls == ["wait", "wait"]
        assert rig.sent == ["audio"]
        second.make_room()
        await anyio.wait_all_tasks_blocked()
        assert rig.calls == ["wait", "wait", "ready"]
        assert [one.event for one in second.sent] == ["audio"]


async def test_a_call_with_a_full_socket_knows_since_when_and_until_when() -> None:
    rig = Rig()
    async with rig.running():
        before = rig.context.clock()
        rig.fill()
        assert before <= rig.context.state.blocked_at <= rig.context.clock()
        await rig.make_room()
        assert rig.context.state.blocked_at > rig.context.clock()


async def test_without_a_socket_answers_are_dropped() -> None:
    rig = Rig()
    rig.writer.detach()
    rig.answer(1)
    rig.writer.attach(rig.socket)
    rig.answer(2)
    assert rig.sent == ["pong2"]
