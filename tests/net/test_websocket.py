"""The engines' socket: sending never waits; a slow peer costs the oldest audio, a dead one the connection."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from tests.polling import until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def peer(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, max_size=None, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/?token=secret-in-url"


def late_reader(read: anyio.Event, got: list[str], last: str) -> Callable[[ServerConnection], Awaitable[None]]:
    """Returns a handler that reads only once `read` is set, and returns after the message `last`."""

    async def handler(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await read.wait()
        connection.transport.resume_reading()
        async for message in connection:
            assert isinstance(message, str)
            got.append(message)
            if message == last:
                return

    return handler


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_messages_go_both_ways_in_order() -> None:
    async with peer(echo) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            for index in range(1000):
                engine.send_audio(f"{index}".encode())
            assert [await engine.receive() for _ in range(1000)] == [f"{index}".encode() for index in range(1000)]
        assert engine.dropped == 0
        await engine.aclose()


async def test_no_log_shows_url_headers_or_messages(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with peer(echo) as url:
        engine = await EngineSocket.open(url, headers={"key": "secret-in-header"})
        engine.send(b"secret-in-message")
        assert await engine.receive() == b"secret-in-message"
        await engine.aclose()
    assert not [record for record in caplog.records if "secret" in record.getMessage() and "server" not in record.name]


async def test_a_peer_that_does_not_read_costs_the_oldest_audio_and_bounded_memory() -> None:
    read = anyio.Event()
    got: list[str] = []

    async with peer(late_reader(read, got, "last")) as url:
        engine = await EngineSocket.open(url, audio_limit=50)
        with anyio.fail_after(20):
            sent = 0
            while engine.dropped < 200:
                engine.send_audio(b"%d " % sent + b"x" * 20_000)
                sent += 1
                await anyio.lowlevel.checkpoint()
            read.set()
            await until(lambda: not engine._queued)
            engine.send_audio(b"last")
            with pytest.raises(SocketClosed):
                await engine.receive()
        await engine.aclose()
    numbers = [int(message.split()[0]) for message in got if message != "last"]
    assert numbers == sorted(numbers)
    assert len(numbers) == sent - engine.dropped  # what was not counted as dropped has arrived
    assert numbers[-1] == sent - 1  # and the newest was kept


async def test_control_messages_overtake_queued_audio() -> None:
    read = anyio.Event()
    got: list[str] = []

    async with peer(late_reader(read, got, "newest")) as url:
        engine = await EngineSocket.open(url, audio_limit=10)
        with anyio.fail_after(20):
            while engine.dropped < 1:
                engine.send_audio(b"older " + b"x" * 20_000)
                await anyio.lowlevel.checkpoint()
            engine.send_audio(b"newest")
            engine.send(b"urgent")
            read.set()
            with pytest.raises(SocketClosed):
                await engine.receive()
        await engine.aclose()
    assert got.index("urgent") < got.index("newest")


async def test_a_peer_that_asks_and_never_reads_is_cut_off() -> None:
    done = anyio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await done.wait()

    async with peer(deaf) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    while True:
                        engine.send(b"x" * 100_000)
                        await anyio.lowlevel.checkpoint()

                tasks.start_soon(ask)
                with pytest.raises(SocketClosed):
                    await engine.receive()
                tasks.cancel_scope.cancel()
        done.set()
        await engine.aclose()


async def test_the_end_is_told_with_its_code_and_sending_on_does_nothing() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1008, "not allowed")

    async with peer(close) as url:
        engine = await EngineSocket.open(url)
        with pytest.raises(SocketClosed) as caught:
            await engine.receive()
        assert (caught.value.code, caught.value.reason) == (1008, "not allowed")
        engine.send(b"x")
        engine.send_audio(b"x")
        await engine.aclose()
        await engine.aclose()


async def test_a_connection_that_breaks_off_is_code_1006() -> None:
    async def abort(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with peer(abort) as url:
        engine = await EngineSocket.open(url)
        with pytest.raises(SocketClosed) as caught:
            await engine.receive()
        assert caught.value.code == 1006
        await engine.aclose()


async def test_a_message_that_is_too_long_is_code_1009() -> None:
    async def shout(connection: ServerConnection) -> None:
        await connection.send("x" * 1001)
        await connection.wait_closed()

    async with peer(shout) as url:
        engine = await EngineSocket.open(url, max_size=1000)
        with pytest.raises(SocketClosed) as caught:
            await engine.receive()
        assert caught.value.code == 1009
        await engine.aclose()


async def test_a_refusal_tells_the_status_and_not_the_url() -> None:
    async with serve(echo, "127.0.0.1", 0, process_request=lambda c, _r: c.respond(401, "no")) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(EngineRefused) as caught:
            await EngineSocket.open(f"ws://127.0.0.1:{port}/?token=secret-in-url", headers={"key": "secret-in-header"})
    assert caught.value.status == 401
    assert not caught.value.retry
    assert "secret" not in str(caught.value)


async def test_a_peer_that_never_answers_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(EngineTimeout):
        await EngineSocket.open(f"ws://127.0.0.1:{silent.getsockname()[1]}/", open_timeout=0.05)


async def test_nobody_there_is_unreachable_and_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(EngineError) as caught:
        await EngineSocket.open(f"ws://127.0.0.1:{port}/?token=secret-in-url")
    assert caught.value.retry
    assert "secret" not in str(caught.value)


async def test_closing_does_not_wait_for_a_peer_that_is_gone_quiet() -> None:
    done = anyio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await done.wait()

    async with peer(deaf) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(10):
            await engine.aclose()
        done.set()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 200_000])
async def test_a_frame_of_any_length_arrives_whole(size: int) -> None:
    async with peer(echo) as url:
        engine = await EngineSocket.open(url)
        engine.send(b"x" * size)
        with anyio.fail_after(5):
            assert await engine.receive() == b"x" * size
        await engine.aclose()


async def test_a_mask_is_never_used_twice_in_a_row_and_the_store_is_filled_again() -> None:
    async with peer(echo) as url:
        engine = await EngineSocket.open(url)
        masks = set()
        for _ in range(3000):  # the store holds 256
            engine.send(b"")
            masks.add(engine._masks[engine._mask_at - 4 : engine._mask_at])
        assert len(masks) > 2990
        with anyio.fail_after(10):
            assert [await engine.receive() for _ in range(3000)] == [b""] * 3000
        await engine.aclose()


async def test_messages_are_delivered_as_they_come_beginning_with_those_that_came_before() -> None:
    got: list[bytes] = []
    ends: list[SocketClosed] = []
    over = anyio.Event()

    def closed(error: SocketClosed) -> None:
        ends.append(error)
        over.set()

    async def talk(connection: ServerConnection) -> None:
        for index in range(100):
            await connection.send(f"{index}")
        await connection.recv()
        await connection.send([b"in ", b"three ", b"parts"])
        await connection.close(1000, "done")

    async with peer(talk) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            assert await engine.receive() == b"0"
            engine.deliver(got.append, closed)
            await until(lambda: len(got) >= 99)
            engine.send(b"go on")
            await over.wait()
        assert got == [*(f"{index}".encode() for index in range(1, 100)), b"in three parts"]
        assert [(end.code, end.reason) for end in ends] == [(1000, "done")]
        await engine.aclose()


async def test_who_listens_after_the_end_is_told_the_end() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.send("last")
        await connection.close(1008, "no")

    got: list[bytes] = []
    ends: list[SocketClosed] = []
    async with peer(close) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            await engine._connection.wait_closed()
            engine.deliver(got.append, ends.append)
            await until(lambda: bool(ends))
        assert got == [b"last"]
        assert [end.code for end in ends] == [1008]
        await engine.aclose()


async def test_others_may_take_over_while_a_message_is_delivered() -> None:
    async def talk(connection: ServerConnection) -> None:
        for index in range(10):
            await connection.send(f"{index}")
        await connection.close(1000)

    first: list[bytes] = []
    second: list[bytes] = []
    over = anyio.Event()
    async with peer(talk) as url:
        engine = await EngineSocket.open(url)

        def hand_over(message: bytes) -> None:
            first.append(message)
            engine.deliver(second.append, lambda _closed: over.set())

        with anyio.fail_after(5):
            engine.deliver(hand_over, lambda _closed: pytest.fail("told who no longer listens"))
            await over.wait()
        assert (first, second) == ([b"0"], [f"{index}".encode() for index in range(1, 10)])
        await engine.aclose()


async def test_messages_that_nobody_takes_are_left_in_the_network() -> None:
    async def flood(connection: ServerConnection) -> None:
        for index in range(300):
            await connection.send(f"{index:03}" + "x" * 100_000)

    async with peer(flood) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(20):
            await until(lambda: len(engine._connection.unread) >= 16)
            await anyio.sleep(0.05)
            assert len(engine._connection.unread) < 64
            assert [int((await engine.receive())[:3]) for _ in range(300)] == list(range(300))
        await engine.aclose()


async def test_a_peer_that_gives_no_sign_of_life_is_cut_off_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_core.net.engine_connection._LOOK", 0.02)

    async def dead(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await anyio.sleep(2)  # more than the peer has time for

    async with peer(dead) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(1.5), pytest.raises(SocketClosed) as closed:
            await engine.receive()
        assert closed.value.code == 1006
        await engine.aclose()


async def test_a_quiet_peer_that_answers_pings_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_core.net.engine_connection._LOOK", 0.05)

    async def quiet(connection: ServerConnection) -> None:
        await anyio.sleep(1)
        await connection.send("still here")

    async with peer(quiet) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            assert await engine.receive() == b"still here"
        await engine.aclose()
