"""The control socket: who may open it, what it answers, what hostile and slow clients and failing plugins do to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import msgspec
import pytest

from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.records import RecordMaker
from patter_core.errors import CallLimitReached, ConfigurationError
from patter_core.events import CallAnswered
from patter_core.server import control
from patter_core.server.app import make_app
from patter_core.server.control import ControlSocket
from patter_core.server.control_messages import (
    Answer,
    Failed,
    Follow,
    Happened,
    Order,
    Question,
    Watch,
    Watching,
    control_path,
    control_paths,
)
from patter_core.server.host import CallHost
from patter_core.testing.fakes import FakeCarrier

pytestmark = pytest.mark.anyio

ORDER = Order(to="+15550009876")


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, question: Question) -> None:
        self.writer.write(msgspec.json.encode(question) + b"\n")

    async def hear(self) -> Answer:
        answer: Answer = msgspec.json.decode(await self.reader.readuntil(), type=Answer)
        return answer

    async def ask(self, question: Question) -> Answer:
        await self.say(question)
        return await self.hear()


class Scene:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.host = CallHost(FakeCarrier(), config=HostConfig(), route=nobody, find_agent=lambda _: None)
        self.fault: Exception = CallLimitReached("No more calls can be made.")
        self.records = {name: RecordMaker(name, time.monotonic) for name in ("ours", "other")}

    async def place(self, _order: Order) -> OutboundCall:
        raise self.fault

    def serving(self, *, question_within: float = 10.0) -> contextlib.AbstractAsyncContextManager[None]:
        return ControlSocket(self.path, self.place, question_within=question_within).serving(self.host)

    def put(self, call: str) -> None:
        self.host.delivery.put(self.records[call].numbered(CallAnswered(answer_ms=1.0)))

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        yield Client(reader, writer)
        writer.close()


async def nobody(_leg: object) -> None:
    return None


@pytest.fixture
async def scene(socket_folder: Path) -> AsyncIterator[Scene]:
    with anyio.fail_after(20):
        yield Scene(socket_folder / "control.sock")


async def test_only_its_user_may_open_it_and_nothing_of_it_is_at_the_public_address(scene: Scene) -> None:
    async with scene.serving():
        assert stat.S_IMODE(scene.path.stat().st_mode) == 0o600
        app = make_app(scene.host)
        assert not [route for route in app.routes if "control" in str(getattr(route, "path", ""))]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://patter") as public:
            for path in ("/", "/calls", "/control", f"/{scene.path.name}"):
                assert (await public.post(path, content=msgspec.json.encode(ORDER))).status_code in {403, 404, 405}
    assert not scene.path.exists()


async def test_another_user_is_not_answered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Peer:
        size = 12

        @staticmethod
        def unpack(_data: bytes) -> tuple[int, int, int]:
            return 1, os.geteuid() + 1, 1

    monkeypatch.setattr(control, "_PEER", Peer)
    async with scene.serving(), scene.client() as stranger:
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await stranger.ask(Watch())


async def test_what_happened_since_the_watch_is_told_of_the_call_that_is_followed(scene: Scene) -> None:
    async with scene.serving(), scene.client() as client:
        assert await client.ask(Watch()) == Watching(takes_calls=True, calls=0)
        scene.put("other")
        scene.put("ours")
        await client.say(Follow("ours"))
        first = await client.hear()
        scene.put("other")
        scene.put("ours")
        second = await client.hear()
        told = [answer.record for answer in (first, second) if isinstance(answer, Happened)]
        assert [(record.call_id, record.sequence) for record in told] == [("ours", 1), ("ours", 2)]
        client.writer.close()
        while scene.host.delivery.taps:  # noqa: ASYNC110 - the server notices it at the connection's end
            await anyio.sleep(0.01)
        assert not scene.host.delivery.is_wanted  # without a client, a record costs nothing


async def test_a_call_that_is_not_made_is_told_whatever_was_raised(scene: Scene) -> None:
    async with scene.serving(), scene.client() as client:
        assert await client.ask(ORDER) == Failed("No more calls can be made.", ask_another=True)
        scene.fault = RuntimeError("secret of a plugin")
        failed = await client.ask(ORDER)
        assert failed == Failed("The call was not made: RuntimeError. The server's log says more.")
        assert isinstance(await client.ask(Watch()), Watching)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b'{"type":"unknown"}\n', b"\xff" * 70_000])
async def test_what_is_no_question_ends_its_connection_alone(scene: Scene, line: bytes) -> None:
    async with scene.serving(), scene.client() as other:
        async with scene.client() as client:
            client.writer.write(line)
            assert isinstance(await client.hear(), Failed)
            with pytest.raises((asyncio.IncompleteReadError, OSError)):
                await client.hear()
        assert isinstance(await other.ask(Watch()), Watching)


async def test_clients_that_ask_nothing_keep_no_others_away(scene: Scene) -> None:
    async with scene.serving(question_within=0.3), contextlib.AsyncExitStack() as idle:
        for _ in range(100):
            client = await idle.enter_async_context(scene.client())
            client.writer.write(b'{"type": ')
        answer: Answer | None = None
        while answer is None:
            async with scene.client() as late:
                with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                    answer = await late.ask(Watch())
                if answer is not None:  # one that has asked may take its time
                    await anyio.sleep(0.4)
                    assert isinstance(await late.ask(Watch()), Watching)
        assert isinstance(answer, Watching)


async def test_a_client_that_goes_without_reading_keeps_no_descriptor(scene: Scene) -> None:
    def count() -> int:
        return sum(1 for _ in Path("/dev/fd").iterdir())

    async with scene.serving():
        before = count()
        async with scene.client() as client:
            await client.ask(Watch())
            await client.say(Follow("ours"))
            for _ in range(5):
                for _ in range(2_000):
                    scene.put("ours")
                await anyio.sleep(0.02)
            client.writer.write_eof()
            while count() > before + 1:  # noqa: ASYNC110 - the server's end is not ours to look at
                await anyio.sleep(0.02)


async def test_a_client_that_does_not_read_costs_a_bounded_queue_and_is_told(scene: Scene) -> None:
    async with scene.serving(), scene.client() as client:
        await client.ask(Watch())
        await client.say(Follow("ours"))
        scene.put("ours")
        assert isinstance(await client.hear(), Happened)
        for _ in range(20):
            for _ in range(500):
                scene.put("ours")
            await anyio.lowlevel.checkpoint()
        lost = 0
        while not lost:
            answer = await client.hear()
            lost = answer.lost if isinstance(answer, Happened) else 0


async def test_a_worker_that_follows_takes_the_path_over(scene: Scene) -> None:
    async with scene.serving():
        other = Scene(scene.path)
        async with other.serving():
            async with scene.client() as client:
                await client.ask(Watch())
            assert scene.path.is_socket()
        assert not scene.path.exists()
    assert not scene.path.exists()


@pytest.mark.parametrize("warns", [True, False])
@pytest.mark.parametrize("where", ["missing/control.sock", f"{'long' * 30}/control.sock"], ids=["no folder", "long"])
async def test_that_there_is_no_socket_is_told_with_what_it_means_and_what_to_do(
    where: str, warns: bool, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    path = scene.path.parent / where
    if not where.startswith("missing"):
        path.parent.mkdir()
    caplog.set_level(logging.INFO)
    async with ControlSocket(path, scene.place, warns=warns).serving(scene.host):
        pass
    (told,) = caplog.records
    assert told.levelno == (logging.WARNING if warns else logging.INFO)
    assert f"There is no control socket at {path}, so `patter call` cannot ask this server: " in told.getMessage()
    assert told.getMessage().endswith(
        " Set PATTER_CONTROL to a short path in a folder that can be written, or to `off`."
    )


async def test_without_a_socket_calls_are_taken_and_an_error_beside_is_passed_on_as_it_is(scene: Scene) -> None:
    scene.path = scene.path.parent / "missing" / "control.sock"
    async with scene.serving():
        pass
    scene.path = scene.path.parents[1] / "control.sock"
    with pytest.raises(KeyError):
        async with scene.serving():
            raise KeyError


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
async def test_what_is_no_socket_is_refused_and_left_alone(kind: str, scene: Scene) -> None:
    if kind == "file":
        scene.path.write_text("hello")
    elif kind == "folder":
        scene.path.mkdir()
    else:
        scene.path.symlink_to(scene.path.parent)
    with pytest.raises(ConfigurationError, match=r"control\.sock is not a control socket, .* Set PATTER_CONTROL to"):
        scene.serving()
    assert {"file": scene.path.is_file, "folder": scene.path.is_dir, "link": scene.path.is_symlink}[kind]()


@pytest.mark.parametrize("suffix", ["", f".{os.getpid()}"], ids=["of the socket", "of one that is coming"])
async def test_a_file_that_comes_before_the_socket_is_left_alone_and_told(
    suffix: str, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    serving = ControlSocket(scene.path, scene.place).serving(scene.host)
    other = scene.path.with_name(scene.path.name + suffix)
    other.write_text("hello")
    async with serving:
        pass
    assert other.read_text() == "hello"
    assert list(scene.path.parent.iterdir()) == [other]
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert f"There is no control socket at {scene.path}" in told.getMessage()


async def test_a_file_that_took_the_place_of_the_socket_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "identity", lambda _path: (1, 1))  # numbers of files are used again
    async with scene.serving():
        scene.path.unlink()
        scene.path.write_text("hello")
    assert scene.path.read_text() == "hello"


def test_it_is_found_by_the_folder_and_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATTER_CONTROL", raising=False)
    assert (control_path(80), control_path(80, 2)) == (Path(".patter-80.sock"), Path(".patter-80-2.sock"))
    for name in (".patter-80.sock", ".patter-80-2.sock", ".patter-8000.sock"):
        (tmp_path / name).touch()
    assert control_paths(80) == []  # they are no sockets
    monkeypatch.setattr(Path, "is_socket", lambda _path: True)
    assert control_paths(80) == [Path(".patter-80.sock"), Path(".patter-80-2.sock")]
    monkeypatch.setenv("PATTER_CONTROL", "/run/patter/control.sock")
    assert control_path(80, 1) == Path("/run/patter/control-1.sock")
    for switch in ("0", "Off", "no", "true"):
        monkeypatch.setenv("PATTER_CONTROL", switch)
        with pytest.raises(
            ConfigurationError, match=f"PATTER_CONTROL has an unknown value.* path .* or off. Got '{switch}'"
        ):
            control_path(8000)
    monkeypatch.setenv("PATTER_CONTROL", "off")
    assert control_path(80) is None
    assert control_paths(80) == []
