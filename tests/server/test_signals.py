"""Signals are held until what they stop has stopped, whichever way the server listens to them, and then passed on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect

from patter_core import Limits, Patter, Registry
from patter_core.server.serving import serve_app
from patter_core.server.signals import Stoppable, held_signals, keep_signals
from patter_core.testing.fakes import FakeCarrier, FakeEngine
from tests.polling import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread"
    ),
]


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = anyio.Event()

    async def stop(self, number: int) -> None:
        self.lines.append(f"stop {signal.Signals(number).name}")
        await self.done.wait()
        self.lines.append("stopped")

    async def hurry(self) -> None:
        self.lines.append("hurry")
        self.done.set()

    def server(self, number: int, _frame: FrameType | None = None) -> None:
        self.lines.append(f"server {signal.Signals(number).name}")


@contextlib.contextmanager
def python_handler(log: Log, number: signal.Signals) -> Iterator[None]:
    """As uvicorn listens."""
    previous = signal.signal(number, log.server)
    try:
        yield
    finally:
        assert signal.getsignal(number) == log.server  # what was taken was given back
        signal.signal(number, previous)


@contextlib.contextmanager
def loop_handler(log: Log, number: signal.Signals) -> Iterator[None]:
    """As hypercorn and granian listen."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, log.server, number)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


Listens = Callable[[Log, signal.Signals], contextlib.AbstractContextManager[None]]
LISTENS = pytest.mark.parametrize("listens", [python_handler, loop_handler])


@contextlib.asynccontextmanager
async def held(log: Log, listens: Listens, number: signal.Signals = signal.SIGTERM) -> AsyncIterator[None]:
    with anyio.fail_after(5), listens(log, number), held_signals(Stoppable(log.stop, log.hurry)):
        yield


@LISTENS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_server_hears_of_it_when_all_has_stopped(listens: Listens, number: signal.Signals) -> None:
    log = Log()
    async with held(log, listens, number):
        signal.raise_signal(number)
        await until(lambda: bool(log.lines))
        await anyio.sleep(0.05)
        assert log.lines == [f"stop {number.name}"]
        log.done.set()
        await until(lambda: len(log.lines) == 3)
    assert log.lines == [f"stop {number.name}", "stopped", f"server {number.name}"]


@LISTENS
async def test_the_second_one_hurries_and_the_third_one_is_passed_on_at_once(listens: Listens) -> None:
    log = Log()
    async with held(log, listens):
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: len(log.lines) == 1)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: len(log.lines) == 4)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: len(log.lines) == 5)
    assert log.lines == ["stop SIGTERM", "hurry", "stopped", "server SIGTERM", "server SIGTERM"]


async def test_a_stop_that_hangs_does_not_hold_the_third_one() -> None:
    log = Log()

    async def hang() -> None:
        log.lines.append("hurry")

    with anyio.fail_after(5), python_handler(log, signal.SIGTERM), held_signals(Stoppable(log.stop, hang)):
        for count in (1, 2, 3):
            signal.raise_signal(signal.SIGTERM)
            await until(lambda count=count: len(log.lines) == count)  # type: ignore[misc] # of a default
        log.done.set()
        await until(lambda: len(log.lines) == 4)
        await anyio.sleep(0.05)
    assert log.lines == ["stop SIGTERM", "hurry", "server SIGTERM", "stopped"]


async def test_other_signals_of_the_loop_come_at_once() -> None:
    log = Log()
    async with held(log, loop_handler):
        with loop_handler(log, signal.SIGUSR1):
            keep_signals()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGUSR1)
            await until(lambda: len(log.lines) == 2)
            assert set(log.lines) == {"server SIGUSR1", "stop SIGTERM"}
            log.done.set()
            await until(lambda: len(log.lines) == 4)


@LISTENS
async def test_two_phones_stop_at_the_same_time(listens: Listens) -> None:
    log, other = Log(), Log()
    async with held(log, listens):
        with held_signals(Stoppable(other.stop, other.hurry)):
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: bool(log.lines) and bool(other.lines))
            other.done.set()
            await until(lambda: other.lines[-1] == "stopped")
            await anyio.sleep(0.05)
            assert log.lines == ["stop SIGTERM"]
            log.done.set()
            await until(lambda: log.lines[-1] == "server SIGTERM")


async def test_a_phone_without_calls_does_not_end_the_wait_for_another() -> None:
    log = Log()

    async def nothing(*_: int) -> None:
        return

    idle, busy = Stoppable(nothing, nothing), Stoppable(log.stop, log.hurry)
    with anyio.fail_after(5), python_handler(log, signal.SIGTERM), held_signals(idle), held_signals(busy):
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: bool(log.lines))
        await anyio.sleep(0.05)
        assert log.lines == ["stop SIGTERM"]
        log.done.set()
        await until(lambda: len(log.lines) == 3)
    assert log.lines == ["stop SIGTERM", "stopped", "server SIGTERM"]


@LISTENS
async def test_a_server_that_listens_later_is_held_too(listens: Listens) -> None:
    log = Log()
    with anyio.fail_after(5), held_signals(Stoppable(log.stop, log.hurry)), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(AssertionError))
        stack.enter_context(listens(log, signal.SIGTERM))
        keep_signals()
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: bool(log.lines))
        await anyio.sleep(0.05)
        assert log.lines == ["stop SIGTERM"]
        log.done.set()
        await until(lambda: len(log.lines) == 3)


async def test_what_is_ignored_stays_ignored() -> None:
    log = Log()
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with held_signals(Stoppable(log.stop, log.hurry)):
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep(0.05)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert log.lines == []


@pytest.mark.parametrize("mounted", [True, False], ids=["with a lifespan", "without"])
async def test_under_our_own_server_nothing_is_taken(*, mounted: bool) -> None:
    """What runs it listens to signals: `serve`, `patter call`, a program of the user's."""
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), limits=Limits(drain=0.05))
    app = phone.asgi(phone.agent(engine=FakeEngine()))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serve_app(app if mounted else Starlette(routes=[Mount("", app)])) as url:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{url}/webhooks/fake/voice", content="leg-1", headers={"x-fake": "yes"})
        async with connect(answer.text, additional_headers={"x-fake": "yes"}):
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_in_another_thread_nothing_is_taken() -> None:
    before = signal.getsignal(signal.SIGTERM)
    during: list[object] = []

    async def lifespan() -> None:
        log = Log()
        with held_signals(Stoppable(log.stop, log.hurry)):
            keep_signals()
            during.append(signal.getsignal(signal.SIGTERM))

    await asyncio.to_thread(lambda: asyncio.run(lifespan()))
    assert during == [before]
