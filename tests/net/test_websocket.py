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
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.engine_connection import EngineConnection
from patter_core.net.websocket import BinaryMessage, EngineSocket
from tests.polling import until
from tests.transports import of_websockets

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


async def test_a_refusal_quotes_the_header_that_says_why() -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(400, "no")
        response.headers["acme-error"] = "No such model. " + "x" * 500
        response.headers["acme-error"] = "Twice."
        response.headers["Retry-After"] = "3"
        response.headers["Retry-After"] = "4"
        return response

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        with pytest.raises(EngineRefused) as caught:
            await EngineSocket.open(url, reason_header="Acme-Error")
        with pytest.raises(EngineRefused) as unasked:
            await EngineSocket.open(url)
    assert caught.value.got.startswith("HTTP status 400 (No such model. xxx")
    assert len(caught.value.got) < 250
    assert unasked.value.got == "HTTP status 400"


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


@of_websockets
async def test_a_mask_is_never_used_twice_in_a_row_and_the_store_is_filled_again() -> None:
    async with peer(echo) as url:
        engine = await EngineSocket.open(url)
        masks = set()
        connection = engine._connection
        assert isinstance(connection, EngineConnection)
        for _ in range(3000):  # the store holds 256
            engine.send(b"")
            masks.add(connection._masks[connection._mask_at - 4 : connection._mask_at])
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
            while not engine._connection.lost:
                engine._connection.changed.clear()
                await engine._connection.changed.wait()
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
    monkeypatch.setattr("patter_core.net.client_link._LOOK", 0.02)

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
    monkeypatch.setattr("patter_core.net.client_link._LOOK", 0.05)

    async def quiet(connection: ServerConnection) -> None:
        await anyio.sleep(1)
        await connection.send("still here")

    async with peer(quiet) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            assert await engine.receive() == b"still here"
        await engine.aclose()


# --- text and binary ------------------------------------------------------------------------------------------------

MESSAGES: list[str | bytes] = [
    "text",
    b"binary",
    b"",
    "",
    b"\xff\xfe",
    "\u00fc",
    b"{}",
    "{}",
    b"x" * 70_000,
    "x" * 70_000,
]


def kinds(messages: list[bytes]) -> list[str | bytes]:
    """What was received, as the peer sent it."""
    return [bytes(one) if isinstance(one, BinaryMessage) else one.decode() for one in messages]


@pytest.mark.parametrize("send", [EngineSocket.send, EngineSocket.send_audio])
async def test_text_and_binary_messages_go_both_ways_as_such(send: Callable[[EngineSocket, bytes, bool], None]) -> None:
    at_the_peer: list[str | bytes] = []

    async def note(connection: ServerConnection) -> None:
        async for message in connection:
            at_the_peer.append(message)
            await connection.send(message)

    async with peer(note) as url:
        engine = await EngineSocket.open(url)
        for message in MESSAGES:
            if isinstance(message, str):
                send(engine, message.encode(), False)
            else:
                send(engine, message, True)
        with anyio.fail_after(5):
            received = [await engine.receive() for _ in MESSAGES]
        await engine.aclose()
    assert at_the_peer == MESSAGES
    assert kinds(received) == MESSAGES


async def test_both_kinds_are_delivered_each_to_its_own_also_what_waited_and_what_came_in_parts() -> None:
    got: list[str | bytes] = []
    over = anyio.Event()

    async def talk(connection: ServerConnection) -> None:
        for message in MESSAGES:
            await connection.send(message)
        await connection.recv()
        for parts in ([b"", b"in ", b"parts"], ["", "in ", "parts"], [b"a", b"b"], ["a", "b"]):
            await connection.send(parts)
            await connection.send("between")
            await connection.ping()
        await connection.close(1000)

    async with peer(talk) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            await until(lambda: len(engine._connection.unread) == len(MESSAGES))
            engine.deliver(lambda text: got.append(text.decode()), lambda _end: over.set(), on_binary=got.append)
            assert got == MESSAGES
            engine.send(b"go on")
            await over.wait()
        await engine.aclose()
    whole = [b"in parts", "in parts", b"ab", "ab"]
    assert got == MESSAGES + [one for message in whole for one in (message, "between")]


async def test_without_a_callback_of_their_own_binary_messages_are_delivered_as_the_others() -> None:
    """Some engines send their JSON in binary messages."""
    got: list[bytes] = []
    over = anyio.Event()

    async def talk(connection: ServerConnection) -> None:
        await connection.send(b"waited")
        await connection.recv()
        for message in ('{"a": 1}', b'{"b": 2}'):
            await connection.send(message)
        await connection.close(1000)

    async with peer(talk) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            await until(lambda: len(engine._connection.unread) == 1)
            engine.deliver(got.append, lambda _end: over.set())
            engine.send(b"go on")
            await over.wait()
        await engine.aclose()
    assert got == [b"waited", b'{"a": 1}', b'{"b": 2}']


async def test_others_may_take_over_while_a_binary_message_is_delivered() -> None:
    got: list[tuple[str, bytes]] = []
    over = anyio.Event()

    def to(name: str) -> Callable[[bytes], None]:
        return lambda message: got.append((name, message))

    async def talk(connection: ServerConnection) -> None:
        for message in ("1", b"2", "3", b"4"):
            await connection.send(message)
        await connection.close(1000)

    async with peer(talk) as url:
        engine = await EngineSocket.open(url)

        def hand_over(message: bytes) -> None:
            to("first binary")(message)
            engine.deliver(to("text"), lambda _end: over.set(), on_binary=to("binary"))

        with anyio.fail_after(5):
            engine.deliver(to("first text"), lambda _end: pytest.fail("the first is told"), on_binary=hand_over)
            await over.wait()
        await engine.aclose()
    assert got == [("first text", b"1"), ("first binary", b"2"), ("text", b"3"), ("binary", b"4")]


@pytest.mark.parametrize("second", [b"\x81\x01b", b"\x82\x01b", b"\x01\x01b"], ids=["text", "binary", "part of a text"])
async def test_a_message_within_another_is_refused_and_neither_is_delivered(second: bytes) -> None:
    got: list[bytes] = []
    ends: list[SocketClosed] = []

    async def talk(connection: ServerConnection) -> None:
        connection.transport.write(b"\x02\x01a" + second)
        await connection.wait_closed()

    async with peer(talk) as url:
        engine = await EngineSocket.open(url)
        engine.deliver(got.append, ends.append, on_binary=got.append)
        with anyio.fail_after(5):
            await until(lambda: bool(ends))
        await engine.aclose()
    assert [end.code for end in ends] == [1002]
    assert got == []


async def test_nothing_of_either_kind_is_delivered_once_the_socket_is_closed() -> None:
    got: list[bytes] = []

    async def flood(connection: ServerConnection) -> None:
        while True:
            await connection.send("text")
            await connection.send(b"binary")
            await anyio.lowlevel.checkpoint()  # as long as the network takes it, send() does not let others run

    async with peer(flood) as url:
        engine = await EngineSocket.open(url)
        with anyio.fail_after(5):
            engine.deliver(got.append, lambda _end: None, on_binary=got.append)
            await until(lambda: len(got) > 10)
            closing = len(got)
            await engine.aclose()
        assert len(got) == closing


async def test_audio_that_waits_for_a_slow_peer_keeps_its_kind_and_the_oldest_is_dropped() -> None:
    read = anyio.Event()
    got: list[str | bytes] = []

    async def late(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await read.wait()
        connection.transport.resume_reading()
        async for message in connection:
            got.append(message)
            if message == b"last":
                return

    async with peer(late) as url:
        engine = await EngineSocket.open(url, audio_limit=10)
        with anyio.fail_after(20):
            sent = 0
            while engine.dropped < 5:
                engine.send_audio(b"%d " % sent + b"x" * 20_000, binary=sent % 2 == 1)
                sent += 1
                await anyio.lowlevel.checkpoint()
            read.set()
            await until(lambda: not engine._queued)
            engine.send_audio(b"last", binary=True)
            with pytest.raises(SocketClosed):
                await engine.receive()
        await engine.aclose()
    assert got.pop() == b"last"
    assert all(isinstance(one, bytes) is (int(one.split()[0]) % 2 == 1) for one in got)
    numbers = [int(one.split()[0]) for one in got]
    assert numbers == sorted(numbers)
    assert numbers[-10:] == list(range(sent - 10, sent))
    assert len(numbers) == sent - engine.dropped


# --- subprotocols ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def selecting(*headers: tuple[str, str]) -> AsyncIterator[tuple[str, list[str]]]:
    """A peer that answers every upgrade with these headers; its URL, and what it was offered."""
    offers: list[str] = []

    def answer(_: ServerConnection, request: Request, response: Response) -> Response:
        offers.extend(request.headers.get_all("Sec-WebSocket-Protocol"))
        for name, value in headers:
            response.headers[name] = value
        return response

    async with serve(echo, "127.0.0.1", 0, process_response=answer, compression=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/?token=secret-in-url", offers


async def test_the_subprotocol_that_the_engine_selects_is_told() -> None:
    async with serve(echo, "127.0.0.1", 0, subprotocols=[Subprotocol("v2"), Subprotocol("v1")]) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        for offered, selected in (["v1"], "v1"), (("v0", "v2"), "v2"):
            engine = await EngineSocket.open(url, subprotocols=offered)
            assert engine.subprotocol == selected
            await engine.aclose()


async def test_an_engine_that_selects_no_subprotocol_is_taken_and_one_that_is_offered_none_sees_no_header() -> None:
    async with selecting() as (url, offers):
        for offered in ("token", "key-1"), ():
            engine = await EngineSocket.open(url, subprotocols=offered)
            assert engine.subprotocol == ""
            engine.send(b"x")
            with anyio.fail_after(5):
                assert await engine.receive() == b"x"
            await engine.aclose()
    assert offers == ["token, key-1"]


@pytest.mark.parametrize("offered", [(), ("secret-v1",), ("secret-v1", "secret-v2")])
@pytest.mark.parametrize(
    "headers",
    [
        [("Sec-WebSocket-Protocol", "v3")],
        [("Sec-WebSocket-Protocol", "SECRET-V1")],
        [("Sec-WebSocket-Protocol", "secret-v1, secret-v2")],
        [("Sec-WebSocket-Protocol", "secret-v1"), ("Sec-WebSocket-Protocol", "secret-v1")],
        [("Sec-WebSocket-Protocol", "")],
        [("Sec-WebSocket-Protocol", "not a name")],
        [("Sec-WebSocket-Extensions", "permessage-deflate")],
    ],
)
async def test_an_engine_that_selects_what_it_was_not_offered_is_refused(
    offered: tuple[str, ...], headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with selecting(*headers) as (url, _):
        with pytest.raises(EngineError, match="was not offered") as caught:
            await EngineSocket.open(url, subprotocols=offered)
    assert not caught.value.retry
    assert "secret" not in f"{caught.value} {caught.value!r}".lower()
    assert not [record for record in caplog.records if "secret" in record.getMessage() and "server" not in record.name]


@pytest.mark.parametrize("name", ["", "secret name", "secret,name", "secret\r\nkey: x", "s\u00e9cret"])
async def test_a_subprotocol_that_is_no_name_is_refused_without_being_shown(name: str) -> None:
    with pytest.raises(EngineError, match="cannot be sent") as caught:
        await EngineSocket.open("ws://127.0.0.1:9/", subprotocols=["fine", name])
    assert not caught.value.retry
    assert "cret" not in str(caught.value)


async def test_one_text_in_place_of_a_list_of_subprotocols_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot be sent"):
        await EngineSocket.open("ws://127.0.0.1:9/", subprotocols="v1")
