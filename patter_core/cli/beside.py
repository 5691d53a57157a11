"""A call by the server that runs: what `patter call` does where one has a control socket in the current folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from patter_core.errors import CallError, ConfigurationError
from patter_core.events import CallAnswered, CallEnded, CallMoved, Record
from patter_core.server.control_messages import (
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
    control_is_named,
    control_path,
    control_paths,
)

__all__ = ["CallBeside", "connect", "running_workers", "why_no_server"]

_ANSWER_WITHIN = 10.0
"""Seconds for a worker to say that it is there."""
_PLACED_WITHIN = 60.0
"""Seconds for a worker to say whether the carrier has taken the call."""
_GONE_FOR = 40.0
"""Seconds without an event after the worker that had the call is gone: a live call reports its metrics every 30."""
_LONGEST_ANSWER = 16 * 1024 * 1024


class _Worker:
    """One worker of the server, by its control socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.calls = 0
        self.takes_calls = False

    async def watch(self) -> None:
        """Has it keep what happens, and learns how it is."""
        await self.say(Watch())
        answer = await self.hear()
        if isinstance(answer, Watching):
            self.calls, self.takes_calls = answer.calls, answer.takes_calls
        elif isinstance(answer, Failed):
            raise CallError(answer.problem)

    async def say(self, question: Question) -> None:
        self._writer.write(msgspec.json.encode(question) + b"\n")
        await self._writer.drain()

    async def hear(self) -> Answer:
        """Returns what it says next.

        Raises:
            CallError: that is not understood.
        """
        try:
            return _decoder.decode(await self._reader.readuntil())
        except (msgspec.MsgspecError, asyncio.LimitOverrunError):
            raise CallError(
                "`patter call` does not understand what the server that runs here says.",
                remedy="It may be of another version of Patter: start it again.",
            ) from None

    def close(self) -> None:
        self._writer.close()


class _Told(NamedTuple):
    worker: _Worker
    happened: Happened | None
    """None: the worker is gone."""


def running_workers(port: int) -> list[Path]:
    """Returns the control sockets of the server that runs in this folder on that port; none if none runs.

    Raises:
        ConfigurationError: one of them is another user's.
    """
    paths = control_paths(port)
    for path in paths:
        try:
            owner = path.stat().st_uid
        except FileNotFoundError:  # its worker has ended since: there will be no answer
            continue
        if os.geteuid() not in {owner, 0}:
            raise ConfigurationError(
                f"{path.name} belongs to another user, who runs the server of this folder.",
                remedy="Run `patter call` as that user.",
            )
    return paths


def why_no_server(port: int) -> str:
    """Returns where a server on that port was looked for, and not found."""
    path = control_path(port)
    if path is None:
        return "PATTER_CONTROL is `off`, so no server was asked."
    if control_is_named():
        return f"PATTER_CONTROL names {path.absolute()}, where no server listens."
    return f"No server listens at the control socket {path.absolute()}."


@contextlib.asynccontextmanager
async def connect(paths: list[Path], *, within: float = _ANSWER_WITHIN) -> AsyncIterator[CallBeside | None]:
    """Gives the server's side of a call that may be made; None if no worker listens at these sockets.

    Args:
        paths: the sockets.
        within: seconds for each worker to answer.

    Raises:
        CallError: one listens, and none gives an answer that is understood.
    """
    is_silent = False
    workers: list[_Worker] = []
    try:
        for path in paths:
            with contextlib.suppress(OSError):  # one that died has left its socket
                workers.append(_Worker(*await asyncio.open_unix_connection(path, limit=_LONGEST_ANSWER)))
        for worker in list(workers):
            try:
                with anyio.move_on_after(within) as waiting:
                    await worker.watch()
            except _GONE:
                is_gone = True
            else:
                is_gone = waiting.cancelled_caught
                is_silent = is_silent or is_gone
            if is_gone:
                workers.remove(worker)
                worker.close()
        if is_silent and not workers:
            raise CallError("The server that runs here does not answer.", remedy="Look at its log, or start it again.")
        yield CallBeside(workers) if workers else None
    finally:
        for worker in workers:
            worker.close()


class CallBeside:
    """One call, on whichever worker of the server has it: that may change before it is answered.

    Args:
        workers: all of the server.
    """

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers
        self.answered = False
        self.ended: CallEnded | None = None
        """None as long as the call goes on, as far as it is known."""
        self.is_lost = False
        """True if the server went away meanwhile."""
        self._call_id = ""
        self._holder: _Worker | None = None
        """Who told of the call last."""
        self._lost_at: float | None = None

    async def place(self, order: Order) -> None:
        """Has the worker make the call that has the fewest.

        Raises:
            CallError: the call was not made, or the server went away.
        """
        failed: Failed | None = None
        for worker in sorted(self._workers, key=lambda one: (not one.takes_calls, one.calls)):
            try:
                with anyio.fail_after(_PLACED_WITHIN):
                    await worker.say(order)
                    answer = await worker.hear()
            except _GONE:
                raise CallError(
                    "The server went away while it made the call.",
                    remedy="Look at its log whether the call was made before you try again.",
                ) from None
            if isinstance(answer, Placed):
                self._call_id, self._holder = answer.call_id, worker
                await self._tell_all(Follow(answer.call_id))
                return
            if isinstance(answer, Failed):
                failed = answer
                if not answer.ask_another:
                    break
        raise CallError(failed.problem if failed is not None else "The server gave no answer.")

    async def hang_up(self) -> None:
        """Has the worker that has the call hang up. `follow` tells what comes of it."""
        await self._tell_all(HangUpCall(self._call_id))

    async def follow(self, tell: Callable[[Record], Awaitable[None]]) -> None:
        """Follows the call until `ended` is known, or the server is gone.

        Args:
            tell: is given each record, but for those that say that another worker has the call.
        """
        send, receive = anyio.create_memory_object_stream[_Told](100)
        async with anyio.create_task_group() as tasks, receive:
            async with send:
                for worker in self._workers:
                    tasks.start_soon(_pass_on, worker, send.clone())
            while self.ended is None and (told := await self._next(receive)) is not None:
                if told.happened is None:
                    self._lose(told.worker)
                    continue
                self._holder, self._lost_at = told.worker, None
                event = told.happened.record.event
                if not isinstance(event, CallMoved):  # where the call is, is the server's concern
                    await tell(told.happened.record)
                self.answered = self.answered or isinstance(event, CallAnswered)
                self.ended = event if isinstance(event, CallEnded) else None
            tasks.cancel_scope.cancel()

    async def _next(self, receive: MemoryObjectReceiveStream[_Told]) -> _Told | None:
        """Returns what a worker tells next; None if there is none that may tell more."""
        within = None if self._lost_at is None else self._lost_at + _GONE_FOR - anyio.current_time()
        with contextlib.suppress(TimeoutError, anyio.EndOfStream), anyio.fail_after(within):
            return await receive.receive()
        self.is_lost = True
        return None

    def _lose(self, worker: _Worker) -> None:
        """A worker is gone. If it had the call, another one may take it over, and is waited for."""
        self._workers = [one for one in self._workers if one is not worker]
        if worker is self._holder:
            self._lost_at = anyio.current_time()

    async def _tell_all(self, question: Question) -> None:
        for worker in self._workers:
            with contextlib.suppress(*_GONE):
                await worker.say(question)


async def _pass_on(worker: _Worker, send: MemoryObjectSendStream[_Told]) -> None:
    """Passes on what a worker tells, until it is gone."""
    async with send:
        try:
            while True:
                answer = await worker.hear()
                if isinstance(answer, Happened):
                    await send.send(_Told(worker, answer))
        except (*_GONE, CallError):
            await send.send(_Told(worker, None))


_GONE = (OSError, asyncio.IncompleteReadError)
"""What it means that the other end is not there. A `TimeoutError` is an `OSError`."""
_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
