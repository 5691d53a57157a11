"""What `check_transport` tries at the side of an engine: `EngineSocket` on the transport, against any frames."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from patter_core.errors import EngineError, EngineRefused, SocketClosed
from patter_core.net.websocket import BinaryMessage, EngineSocket
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.transport_peer import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Answer,
    RawPeer,
    answer_to,
    listening,
)

__all__ = ["check_client"]

_WITHIN = 5.0
_MAX_SIZE = 100_000
_AUDIO = 50
"""Messages that `send_audio` keeps."""

_UMLAUT = "ü".encode()

WRONG: tuple[tuple[str, int, Callable[[RawPeer], bytes]], ...] = (
    ("a frame of the wrong side's mask", 1002, lambda peer: peer.frame(TEXT, b"x", mask=False)),
    ("reserved bits", 1002, lambda peer: peer.frame(TEXT, b"x", bits=4)),
    ("reserved bits of a ping", 1002, lambda peer: peer.frame(PING, b"x", bits=1)),
    ("an unknown kind of frame", 1002, lambda peer: peer.frame(3, b"x")),
    ("a part of no message", 1002, lambda peer: peer.frame(CONT, b"x")),
    (
        "a message within another",
        1002,
        lambda peer: peer.frame(TEXT, b"x", fin=False) + peer.frame(TEXT, b"y"),
    ),
    ("a ping in parts", 1002, lambda peer: peer.frame(PING, b"x", fin=False)),
    ("a long ping", 1002, lambda peer: peer.frame(PING, b"x" * 126)),
    ("a message that is too long", 1009, lambda peer: peer.frame(TEXT, b"x" * (_MAX_SIZE + 1))),
    (
        "parts that are too long together",
        1009,
        lambda peer: (
            peer.frame(TEXT, b"x" * (_MAX_SIZE - 1), fin=False)
            + peer.frame(CONT, b"x", fin=False)
            + peer.frame(CONT, b"x")
        ),
    ),
    ("text that is not UTF-8", 1007, lambda peer: peer.frame(TEXT, b"caf\xe9")),
    (
        "text that is not UTF-8, in parts",
        1007,
        lambda peer: peer.frame(TEXT, _UMLAUT[:1], fin=False) + peer.frame(CONT, b"x"),
    ),
)
"""What is wrong, the close code for it, and the frames. A message is of at most `_MAX_SIZE` bytes."""


@contextlib.asynccontextmanager
async def _opened(
    talk: Callable[[RawPeer], Awaitable[None]], *, answer: Answer = answer_to, tls: ssl.SSLContext | None = None
) -> AsyncIterator[EngineSocket]:
    async with listening(talk, answer=answer, tls=tls) as url:
        engine = await EngineSocket.open(url, max_size=_MAX_SIZE, audio_limit=_AUDIO, subprotocols=["a", "b"])
        try:
            yield engine
        finally:
            await engine.aclose()


async def check_client(check: Check, tls: ssl.SSLContext | None) -> None:
    """Tries all of it.

    Raises:
        ConformanceError: the transport is wrong.
    """
    check.now("messages of an engine")
    await _messages(check, None)
    if tls is not None:
        check.now("messages of an engine over TLS")
        await _messages(check, tls)
    for what, code, frames in WRONG:
        check.now(f"an engine that sends {what}")
        await _wrong(check, code, frames)
    await _ends(check)
    await _opening(check)
    await _slow_peer(check)
    await _faults(check)


async def _messages(check: Check, tls: ssl.SSLContext | None) -> None:
    masks: list[bytes] = []
    got: list[bytes] = []

    async def talk(peer: RawPeer) -> None:
        for _ in range(20):
            frame = await peer.next()
            assert frame is not None  # the connection lasts
            masks.append(frame.mask or b"")
            got.append(frame.payload)
        peer.send(TEXT, b"one")
        peer.send(BINARY, b"\xff\x00")
        peer.send(TEXT, b"", fin=False)
        peer.send(CONT, _UMLAUT[:1], fin=False)
        peer.send(PING, b"still there")
        peer.send(CONT, _UMLAUT[1:])
        pong = await peer.until(PONG)
        peer.send(TEXT, pong.payload if pong else b"no pong")
        peer.send(TEXT, b"x" * _MAX_SIZE)
        await peer.next()

    sent = [b"x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536, 70_000)]
    async with _opened(talk, tls=tls) as engine:
        with check.within(_WITHIN, "Messages do not arrive."):
            for message in [*sent, *([b"again"] * (20 - len(sent)))]:
                engine.send(message)
            received = [await engine.receive() for _ in range(5)]
    check.require(got[: len(sent)] == sent, "A message arrives altered.", mistake="lengths or masks of frames")
    check.require(all(masks), "A frame is not masked.", expected="a mask in each frame of a client (RFC 6455, 5.3)")
    check.require(len({*masks}) > 1, "Every frame has the same mask.", expected="a mask that cannot be foreseen")
    whole = [b"one", b"\xff\x00", _UMLAUT, b"still there", b"x" * _MAX_SIZE]
    check.require(received == whole, "Messages are not those that were sent.", got=str([m[:20] for m in received]))
    kinds = [isinstance(message, BinaryMessage) for message in received]
    check.require(kinds == [False, True, False, False, False], "A message is of another kind.", got=str(kinds))


async def _wrong(check: Check, code: int, frames: Callable[[RawPeer], bytes]) -> None:
    said: list[int] = []

    async def talk(peer: RawPeer) -> None:
        peer.writer.write(frames(peer))
        frame = await peer.until(CLOSE)
        said.append(0 if frame is None else frame.code)

    async with _opened(talk) as engine:
        with check.within(_WITHIN, "The connection stays open."):
            try:
                message = await engine.receive()
            except SocketClosed as error:
                closed = error
            else:
                raise check.failed("It is passed on.", got=str(message[:40]))
            while not said:  # noqa: ASYNC110 - the peer's own loop
                await asyncio.sleep(0.01)
    check.require(said == [code], "The engine is told another close code.", expected=str(code), got=str(said[0]))
    check.require(closed.code == code, "The error has another code.", expected=str(code), got=str(closed.code))


async def _ends(check: Check) -> None:
    answered: list[int] = []
    for what, payload, expected in (
        ("with code and reason", b"\x0f\xa1bye", (4001, "bye")),
        ("without a code", b"", (1005, "")),
        ("without a word", None, (1006, "")),
    ):
        check.now(f"an engine that closes {what}")

        async def talk(peer: RawPeer, payload: bytes | None = payload) -> None:
            if payload is None:
                return
            peer.send(TEXT, b"last")
            peer.send(CLOSE, payload)
            frame = await peer.until(CLOSE)
            answered.append(0 if frame is None else frame.code)

        told = (0, "")
        async with _opened(talk) as engine:
            with check.within(_WITHIN, "The end is not told."):
                try:
                    while await engine.receive() == b"last":
                        pass
                except SocketClosed as error:
                    told = (error.code, error.reason)
            engine.send(b"after the end")
            engine.send_audio(b"after the end")
        check.require(told == expected, "The error has another code or reason.", expected=str(expected), got=str(told))
    check.require(answered == [4001, 1005], "A close frame is not answered with its code.", got=str(answered))


async def _opening(check: Check) -> None:
    refusals: tuple[tuple[str, bytes, type[EngineError], str], ...] = (
        ("refuses", b"HTTP/1.1 401 No\r\nX-Why: key\r\nContent-Length: 0\r\n\r\n", EngineRefused, "401 (key)"),
        ("redirects", b"HTTP/1.1 302 Go\r\nLocation: ws://a.test/\r\nContent-Length: 0\r\n\r\n", EngineRefused, "302"),
        ("is no WebSocket", b"HTTP/1.1 101 Yes\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n", EngineError, ""),
        ("speaks no HTTP", b"220 mail.example ready\r\n\r\n", EngineError, ""),
        ("hangs up", b"", EngineError, ""),
    )  # fmt: skip

    async def leave(_: RawPeer) -> None:
        """It is closed then."""

    for what, answer, kind, got in refusals:
        check.now(f"an engine that {what}")
        async with listening(leave, answer=functools.partial(_same, answer)) as url:
            with check.within(_WITHIN, "Opening does not end."), check.raises_only(kind, problem="Another error."):
                try:
                    await EngineSocket.open(url, reason_header="X-Why")
                except EngineError as error:
                    check.require(got in error.got, "The error does not say how it was refused.", got=error.got)
                    raise
                raise check.failed("A connection is returned.")
    for what, headers in (
        ("a subprotocol that was not offered", b"Sec-WebSocket-Protocol: c\r\n"),
        ("two subprotocols", b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"),
        ("an extension", b"Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    ):
        check.now(f"an engine that selects {what}")
        async with listening(leave, answer=functools.partial(answer_to, headers=headers)) as url:
            with check.raises_only(EngineError, problem="Another error."):
                await EngineSocket.open(url, subprotocols=["a", "b"])
                raise check.failed("A connection is returned.")
    await _given_up(check)


def _same(answer: bytes, _request: bytes) -> bytes:
    return answer


async def _given_up(check: Check) -> None:
    check.now("an opening that is given up")
    gone = asyncio.Event()

    async def watch(peer: RawPeer) -> None:
        await peer.reader.read()
        gone.set()

    async with listening(watch, answer=lambda _: None) as url:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await EngineSocket.open(url)
        with check.within(_WITHIN, "The connection stays open.", mistake="a cancelled `connect` that does not abort"):
            await gone.wait()


async def _slow_peer(check: Check) -> None:
    check.now("an engine that reads nothing")
    go_on, heard = asyncio.Event(), list[bytes]()

    async def talk(peer: RawPeer) -> None:
        await go_on.wait()
        while (frame := await peer.until(TEXT)) is not None:
            heard.append(frame.payload)

    async with _opened(talk) as engine:
        sent = 0
        while engine.dropped < 10 * _AUDIO and sent < 1_000_000:
            for _ in range(100):
                engine.send_audio(b"%-1000d" % sent)
                sent += 1
            await asyncio.sleep(0)
        check.require(engine.dropped, "Nothing is dropped.", mistake="`slow` is not set where the write buffer is full")
        go_on.set()
        with check.within(_WITHIN, "The newest audio does not arrive."):
            while not heard or int(heard[-1]) != sent - 1:  # noqa: ASYNC110 - the peer's own loop
                await asyncio.sleep(0.01)
    numbers = [int(message) for message in heard]
    check.require(numbers == sorted(numbers), "Audio arrives out of order.")
    check.require(len(numbers) + engine.dropped == sent, "Audio is lost that is not counted.")
    check.require(numbers[-_AUDIO:] == [*range(sent - _AUDIO, sent)], "The newest audio is not what was kept.")
    check.now("an engine whose messages are not taken")
    blocked = asyncio.Event()

    async def pour(peer: RawPeer) -> None:
        for number in range(1_000_000):
            peer.send(TEXT, b"%-1000d" % number)
            if not number % 100:
                try:
                    async with asyncio.timeout(0.5):
                        await peer.drain()
                except TimeoutError:
                    blocked.set()
                    await peer.drain()

    async with _opened(pour) as engine:
        with check.within(_WITHIN, "Messages that wait are read all the same.", mistake="`pause_reading` is ignored"):
            await blocked.wait()
        with check.within(_WITHIN, "Messages are lost."):
            firsts = [int(await engine.receive()) for _ in range(200)]
        check.require(firsts == [*range(200)], "Messages are lost, or out of order.", got=str(firsts[:30]))


async def _faults(check: Check) -> None:
    check.now("a callback that raises")
    others: list[bytes] = []

    async def talk(peer: RawPeer) -> None:
        await peer.next()
        peer.send(TEXT, b"message")
        await peer.until(CLOSE)

    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        async with _opened(talk) as faulty, _opened(talk) as sound:
            faulty.deliver(fail, lambda _: ended.set())
            sound.deliver(others.append, lambda _: None)
            faulty.send(b"go")
            sound.send(b"go")
            with check.within(_WITHIN, "Its socket stays open."):
                await ended.wait()
            with check.within(_WITHIN, "Another socket has no messages any more."):
                while not others:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)
    finally:
        loop.set_exception_handler(handler)
