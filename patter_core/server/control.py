"""The control socket of a worker: the same user's `patter call` has it make a call, and follows that.

It is a Unix socket, so the system says who may open it: nothing of it can be reached over the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.aio.tasks_beside import tasks_beside
from patter_core.call.handle import OutboundCall
from patter_core.errors import CallLimitReached, ConfigurationError, PatterError
from patter_core.events import Record
from patter_core.server.control_messages import (
    LONGEST_ORDER,
    Answer,
    Failed,
    Follow,
    HangUpCall,
    Happened,
    Order,
    Placed,
    Question,
    Watch,
    Watching,
)
from patter_core.server.host import CallHost
from patter_core.storage.files import identity

__all__ = ["ControlSocket"]

_log = logging.getLogger("patter.server")

_MOST_CLIENTS = 32
_FLUSHED_WITHIN = 1.0
"""Seconds for a client that is left to read what it was sent."""
_KEPT = 2_000
"""Records that wait for one client."""
_PEER = struct.Struct("3i")
"""Of SO_PEERCRED: process, user and group."""

Place = Callable[[Order], Awaitable[OutboundCall]]


class ControlSocket:
    """Listens while the worker runs.

    Args:
        path: of the socket. What a worker before has left there is replaced.
        place: makes a call.
        warns: warn where there can be no socket. Of several workers one is enough.
        question_within: seconds for a client to ask its first question: one that does not takes the place of others.

    Raises:
        ConfigurationError: something else than a socket is at the path.
    """

    def __init__(self, path: Path, place: Place, *, warns: bool = True, question_within: float = 10.0) -> None:
        if _is_taken(path):
            raise ConfigurationError(
                f"{path} is not a control socket, and is left as it is.",
                expected="a path where nothing is, or the socket of a worker before",
                remedy="Set PATTER_CONTROL to another path, or to `off` for no control socket.",
            )
        self._path = path
        self._told_at = logging.WARNING if warns else logging.INFO
        self._place = place
        self._question_within = question_within
        self._clients = 0

    @contextlib.asynccontextmanager
    async def serving(self, host: CallHost) -> AsyncIterator[None]:
        """Takes orders for calls of `host` while the context lasts. Without a socket, calls are taken all the same."""
        try:
            listener = _listen(self._path)
        except OSError as error:  # a read-only folder, one without sockets, a long path
            _log.log(
                self._told_at,
                "There is no control socket at %s, so `patter call` cannot ask this server: %s."
                " Set PATTER_CONTROL to a short path in a folder that can be written, or to `off`.",
                self._path,
                error.strerror or error,
            )
            yield
            return
        own = identity(self._path)
        try:
            async with tasks_beside() as clients:

                def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    clients.start_soon(self._serve, reader, writer, host)

                server = await asyncio.start_unix_server(accept, sock=listener, limit=LONGEST_ORDER)
                try:
                    yield
                finally:
                    server.close()
        finally:
            if identity(self._path) == own:  # else a worker that follows this one has its own there
                with contextlib.suppress(OSError):  # the folder can no longer be written
                    _remove_socket(self._path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: CallHost) -> None:
        try:
            if _is_of_our_user(writer) and self._clients < _MOST_CLIENTS:
                self._clients += 1
                try:
                    await _Client(reader, writer, host, self._place, self._question_within).serve()
                finally:
                    self._clients -= 1
        except Exception:  # noqa: BLE001 - one client's fault ends its connection, and nothing else
            _log.exception("A control connection failed.")
        finally:
            writer.close()
            with anyio.move_on_after(_FLUSHED_WITHIN, shield=True), contextlib.suppress(OSError):
                await writer.wait_closed()
            writer.transport.abort()


class _Client:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: CallHost,
        place: Place,
        question_within: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._place = place
        self._question_within = question_within
        self._followed = ""
        """The id of the call; "" before it is known."""
        self._kept: deque[Record] = deque()
        self._lost = 0
        self._changes = Changes()
        self._writing = anyio.Lock()

    async def serve(self) -> None:
        """Serves it until the client goes. Its call goes on."""
        taps = self._host.delivery.taps
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write_records)
                with contextlib.suppress(asyncio.IncompleteReadError, OSError):  # or TimeoutError, which is an OSError
                    await self._read()
                tasks.cancel_scope.cancel()
        finally:
            if self._take in taps:
                taps.remove(self._take)

    async def _read(self) -> None:
        within: float | None = self._question_within
        while True:
            try:
                with anyio.fail_after(within):
                    line = await self._reader.readuntil()
                within, question = None, _decoder.decode(line)
            except (msgspec.MsgspecError, asyncio.LimitOverrunError):
                await self._send(Failed("The server does not understand this: it may be of another version of Patter."))
                return
            await self._answer(question)

    async def _answer(self, question: Question) -> None:
        match question:
            case Watch():
                if self._take not in self._host.delivery.taps:
                    self._host.delivery.taps.append(self._take)
                table = self._host.table
                await self._send(Watching(takes_calls=table.is_ready, calls=len(table)))
            case Order():
                with anyio.CancelScope(shield=True):  # what is being dialled must become a call of the worker
                    answer = await self._placed(question)
                await self._send(answer)
            case Follow(call_id=call_id):
                self._followed = call_id
                self._kept = deque(record for record in self._kept if record.call_id == call_id)
                self._changes.notify()
            case HangUpCall(call_id=call_id):
                call = self._host.table.get(call_id)
                if call is not None:
                    call.hang_up()

    async def _placed(self, order: Order) -> Answer:
        try:
            placed = await self._place(order)
        except CallLimitReached as error:
            return Failed(str(error), ask_another=True)
        except PatterError as error:
            return Failed(str(error))
        except Exception as error:  # noqa: BLE001 - a plugin's
            _log.exception("A call that `patter call` asked for was not made.")
            return Failed(f"The call was not made: {type(error).__name__}. The server's log says more.")
        return Placed(placed.id)

    def _take(self, _record: Record, redacted: Record, _size: int) -> None:
        """Keeps a record for the client. Never waits."""
        if self._followed and redacted.call_id != self._followed:
            return
        self._kept.append(redacted)
        if len(self._kept) > _KEPT:
            self._kept.popleft()
            self._lost += bool(self._followed)
        self._changes.notify()

    async def _write_records(self) -> None:
        with contextlib.suppress(OSError):  # the client went
            while True:
                await self._changes.wait_until(lambda: bool(self._followed and self._kept))
                lost, self._lost = self._lost, 0
                await self._send(Happened(self._kept.popleft(), lost))

    async def _send(self, answer: Answer) -> None:
        async with self._writing:
            self._writer.write(_encoder.encode(answer) + b"\n")
            await self._writer.drain()


def _listen(path: Path) -> socket.socket:
    """Returns a listening socket at that path, in place of one that is there.

    Raises:
        OSError: there can be none. What is at the path is as it was.
    """
    coming = path.with_name(f"{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # from the first moment, only our user may open it
    try:
        _remove_socket(coming)  # of a process that was killed at this
        listener.bind(str(coming))
        listener.listen()
        if _is_taken(path):
            raise FileExistsError(errno.EEXIST, "Something else is there")
        coming.replace(path)
    except OSError:
        listener.close()
        with contextlib.suppress(OSError):
            _remove_socket(coming)
        raise
    finally:
        os.umask(before)
    return listener


def _is_taken(path: Path) -> bool:
    """True if something is there that is not a socket, such as a file, or a link to whatever."""
    try:
        return not stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:  # nothing is there, or it cannot be looked at, and so not be replaced either
        return False


def _remove_socket(path: Path) -> None:
    """Removes a socket. Anything else at the path is left alone."""
    if not _is_taken(path):
        path.unlink(missing_ok=True)


def _is_of_our_user(writer: asyncio.StreamWriter) -> bool:
    """True if the process at the other end runs as our user, or as root; the socket's mode sees to it, too."""
    wanted: int | None = getattr(socket, "SO_PEERCRED", None)
    if wanted is None:
        return True
    raw: socket.socket = writer.get_extra_info("socket")
    _, user, _ = _PEER.unpack(raw.getsockopt(socket.SOL_SOCKET, wanted, _PEER.size))
    return user in {os.geteuid(), 0}


_decoder = msgspec.json.Decoder(Question)
_encoder = msgspec.json.Encoder()
