"""What `patter call` takes for a server that runs, whatever is at the other end of its socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.cli.beside import connect
from patter_core.errors import CallError
from patter_core.events import CallEnded, CallEvent, CallMetrics, CallMoved, DtmfReceived, Record
from patter_core.server.control_messages import Happened, Order, Placed

pytestmark = pytest.mark.anyio

WATCHING = b'{"type":"watching","takes_calls":true,"calls":0}\n'


@contextlib.asynccontextmanager
async def peer(path: Path, *answers: bytes) -> AsyncIterator[Path]:
    """Something that listens at a control socket, and answers each line with the next of these."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            for one in answers:
                if not await reader.readline():
                    return
                writer.write(one)
            await reader.read()

    async with await asyncio.start_unix_server(answer, path):
        yield path


@pytest.mark.parametrize("answer", [b"220 mail ready\n", b'{"type":"unknown"}\n', b"[" * 5_000 + b"\n"])
async def test_what_is_not_understood_is_told_as_such(socket_folder: Path, answer: bytes) -> None:
    with anyio.fail_after(10):
        async with peer(socket_folder / "s", answer) as path:
            with pytest.raises(CallError, match="does not understand"):
                async with connect([path]):
                    pytest.fail("It is no server.")
        async with peer(socket_folder / "t", WATCHING, answer) as path, connect([path]) as call:
            assert call is not None
            with pytest.raises(CallError, match="does not understand"):
                await call.place(Order(to="+15550009876"))


async def test_a_server_that_does_not_answer_is_not_taken_for_one_that_is_gone(socket_folder: Path) -> None:
    with anyio.fail_after(10):
        async with peer(socket_folder / "s") as silent:
            with pytest.raises(CallError, match="does not answer"):
                async with connect([silent], within=0.1):
                    pytest.fail("It has not answered.")
            async with peer(socket_folder / "t", WATCHING) as other, connect([silent, other], within=0.1) as call:
                assert call is not None


async def test_that_another_worker_has_the_call_is_not_told_to_who_follows_it(socket_folder: Path) -> None:
    end = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
    events: tuple[CallEvent, ...] = (CallMoved(), DtmfReceived(digit="1"), end)
    records = [Record(call_id="c", sequence=n, time=0, elapsed_ms=0, event=one) for n, one in enumerate(events)]
    lines = [msgspec.json.encode(one) + b"\n" for one in (Placed("c"), *map(Happened, records))]
    told: list[Record] = []

    async def tell(record: Record) -> None:
        told.append(record)

    with anyio.fail_after(10):
        async with (
            peer(socket_folder / "s", WATCHING, *lines[:1], b"".join(lines[1:])) as path,
            connect([path]) as call,
        ):
            assert call is not None
            await call.place(Order(to="+15550009876"))
            await call.follow(tell)
    assert told == records[1:]


async def test_one_that_has_died_is_no_server(socket_folder: Path) -> None:
    with anyio.fail_after(10):
        async with peer(socket_folder / "s"):
            pass
        async with connect([socket_folder / "s"]) as call:
            assert call is None
