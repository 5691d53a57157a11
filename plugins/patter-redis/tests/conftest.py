"""A real redis-server for each test, which the test may kill; and a server in the test's process, for its errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot


class RedisServer:
    """A redis-server on a free loopback port, which keeps acknowledged writes when it is killed."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--logfile", str(folder / "redis.log"),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """With SIGKILL: the server can do nothing about it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith("PATTER_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    running = RedisServer(program, tmp_path)
    running.start()
    yield running
    running.kill()


class Node:
    """A node of a server that runs in the test's event loop and answers as Redis does. It knows what the plugin sends.

    Commands are queued between MULTI and EXEC, EXEC runs them all, and none if one of them was refused while it was
    queued; a key has one type; a node of a cluster has a part of the slots.
    """

    def __init__(self, slots: range, others: list[Node]) -> None:
        self.slots = slots
        self.others = others
        self.port = 0
        self.values: dict[bytes, list[bytes]] = {}
        self.kinds: dict[bytes, bytes] = {}
        self.password = b""
        self.errors: dict[bytes, str] = {}
        """What is answered to a command in place of its reply, by its name."""
        self.transactions = 0
        self._servers: list[asyncio.AbstractServer] = []
        self._clients: dict[asyncio.Task[object] | None, asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password.decode()}@' if self.password else ''}127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        for client in self._clients.values():
            client.transport.abort()
        if serving := [task for task in self._clients if task is not None]:
            await asyncio.wait(serving, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queued: list[list[bytes]] | None = None
        allowed, refused = not self.password, False
        self._clients[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                command = await _command(reader)
                name = command[0].upper()
                if name == b"AUTH" or (name == b"HELLO" and b"AUTH" in command):
                    allowed = command[-1] == self.password or self.password in command
                    reply = b"+OK\r\n" if allowed else b"-WRONGPASS invalid username-password pair\r\n"
                    reply = _HELLO if name == b"HELLO" and allowed else reply
                elif not allowed:
                    reply = b"-NOAUTH Authentication required.\r\n"
                elif name == b"MULTI":
                    queued, refused, reply = [], False, b"+OK\r\n"
                elif name == b"EXEC" and queued is not None:
                    replies = [self._run(one) for one in queued] if not refused else []
                    self.transactions += not refused
                    reply = b"*%d\r\n%s" % (len(replies), b"".join(replies)) if not refused else b"-EXECABORT no\r\n"
                    queued = None
                elif queued is None:
                    reply = self._refusal(command) or self._run(command)
                else:
                    reply = self._refusal(command)
                    refused = refused or bool(reply)
                    queued.append(command)
                    reply = reply or b"+QUEUED\r\n"
                writer.write(reply)
                await writer.drain()
        self._clients.pop(asyncio.current_task(), None)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _refusal(self, command: list[bytes]) -> bytes:
        """What a command is answered when it is queued; nothing if it may run."""
        if command[0].upper() in self.errors:
            return f"-{self.errors[command[0].upper()]}\r\n".encode()
        if len(command) == 1 or command[0].upper() in {b"CLIENT", b"SELECT", b"HELLO"}:
            return b""
        slot = key_slot(command[1])
        if slot in self.slots:
            return b""
        owner = next(node for node in self.others if slot in node.slots)
        return b"-MOVED %d 127.0.0.1:%d\r\n" % (slot, owner.port)

    def _run(self, command: list[bytes]) -> bytes:
        name, *arguments = command
        match name.upper(), arguments:
            case b"HELLO", _:
                return _HELLO
            case b"PING", _:
                return b"+PONG\r\n"
            case ((b"CLIENT" | b"SELECT"), _):
                return b"+OK\r\n"
            case b"TYPE", [key]:
                return b"+%s\r\n" % self.kinds.get(key, b"none")
            case ((b"EXPIRE" | b"PEXPIRE"), [key, _]):
                return b":%d\r\n" % (key in self.values)
            case ((b"XADD" | b"RPUSH"), [key, *rest]):
                return self._append(b"stream" if name.upper() == b"XADD" else b"list", key, rest[-1])
            case b"LTRIM", [key, _, _]:
                return b"+OK\r\n"
            case b"LRANGE", [key, _, _]:
                values = self.values.get(key, [])
                return b"*%d\r\n%s" % (len(values), b"".join(b"$%d\r\n%s\r\n" % (len(v), v) for v in values))
        return b"-ERR unknown command '%s', with args beginning with: %s\r\n" % (name, b" ".join(arguments))

    def _append(self, kind: bytes, key: bytes, value: bytes) -> bytes:
        if self.kinds.setdefault(key, kind) != kind:
            return b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
        values = self.values.setdefault(key, [])
        values.append(value)
        return b"$3\r\n1-%d\r\n" % (len(values) % 10) if kind == b"stream" else b":%d\r\n" % len(values)


_HELLO = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:3\r\n"


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    parts = []
    for _ in range(count):
        length = int((await reader.readuntil(b"\r\n"))[1:])
        parts.append((await reader.readexactly(length + 2))[:-2])
    return parts


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    """A cluster of two nodes, the first of which has a third of the slots."""
    made: list[Node] = []
    made += [Node(range(5_000), made), Node(range(5_000, 16_384), made)]
    for node in made:
        await node.start()
    yield made
    for node in made:
        await node.stop()


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A single server."""
    one = Node(range(16_384), [])
    await one.start()
    yield one
    await one.stop()
