"""Keys that are collected: they go to who asked for them, in bounded time and number."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from patter_core.errors import CallError
from patter_core.events import DtmfReceived
from patter_core.testing.fakes import FakeSession
from tests.calls import OutboundScene

pytestmark = pytest.mark.anyio


class Collecting:
    """`collect_keys` as a task, and what came of it."""

    def __init__(self, scene: OutboundScene, count: int = 4, *, timeout: float = 10.0, finish_on: str = "#") -> None:
        self.keys: str | None = None
        self.error: CallError | None = None
        self.over = anyio.Event()
        self._scene = scene
        self._count, self._timeout, self._finish_on = count, timeout, finish_on

    async def begin(self) -> None:
        self._scene.tasks.start_soon(self._run)
        await anyio.wait_all_tasks_blocked()

    async def _run(self) -> None:
        try:
            self.keys = await self._scene.handle.collect_keys(
                self._count, timeout=self._timeout, finish_on=self._finish_on
            )
        except CallError as error:
            self.error = error
        self.over.set()

    async def result(self) -> str | None:
        await self.over.wait()
        return self.keys


async def press(scene: OutboundScene, keys: str) -> None:
    """By the media socket."""
    before = len(scene.of(DtmfReceived))
    for key in keys:
        scene.socket.say("dtmf", key)
    while len(scene.of(DtmfReceived)) < before + len(keys):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("count", "finish_on", "pressed", "collected", "left"),
    [
        (4, "#", "12#", "12", ""),
        (4, "#", "123456", "1234", "56"),
        (1, "", "#", "#", ""),
        (3, "*#", "1*9", "1", "9"),
        (3, "", "aBc", "ABC", ""),
        (3, "#", "#7", "", "7"),
        (3, "d", "1D2", "1", "2"),
        (64, "#", "1" * 70, "1" * 64, "1" * 6),
    ],
)
async def test_keys_are_collected_until_there_are_enough_or_one_ends_it(
    count: int, finish_on: str, pressed: str, collected: str, left: str
) -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        await press(scene, "0")
        collecting = Collecting(scene, count, finish_on=finish_on)
        await collecting.begin()
        await press(scene, pressed)
        assert await collecting.result() == collected
        scene.socket.say("stop")
    assert session.digits == ["0", *left]
    assert [event.digit for event in scene.of(DtmfReceived)] == ["0", *pressed]


async def test_what_came_until_the_timeout_is_returned_and_nothing_is_an_answer_too() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        collecting = Collecting(scene, timeout=0.2)
        await collecting.begin()
        await press(scene, "12")
        assert await collecting.result() == "12"
        assert await scene.handle.collect_keys(4, timeout=0.01) == ""
        scene.socket.say("stop")


async def test_keys_of_webhooks_are_collected_too() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        collecting = Collecting(scene, 3)
        await collecting.begin()
        scene.call.keys_pressed("12")
        await press(scene, "3")
        assert await collecting.result() == "123"
        scene.call.keys_pressed("4")
        scene.socket.say("stop")
    assert session.digits == ["4"]


async def test_a_caller_who_hangs_up_ends_it_with_an_error() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        collecting = Collecting(scene)
        await collecting.begin()
        await press(scene, "1")
        scene.socket.say("stop")
        assert await collecting.result() is None
    assert "ended while" in str(collecting.error)
    assert scene.end.reason == "caller_hung_up"


async def test_two_at_once_are_refused_and_the_first_goes_on() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        first = Collecting(scene, 2)
        await first.begin()
        with pytest.raises(CallError, match="already"):
            await scene.handle.collect_keys(1)
        await press(scene, "12")
        assert await first.result() == "12"
        second = Collecting(scene, 1)
        await second.begin()
        await press(scene, "3")
        assert await second.result() == "3"
        scene.socket.say("stop")


async def test_one_that_is_cancelled_leaves_the_keys_to_the_engine() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        with anyio.move_on_after(0.01):
            await scene.handle.collect_keys(4)
        await press(scene, "5")
        scene.socket.say("stop")
    assert session.digits == ["5"]


@pytest.mark.parametrize("value", [(0, 1.0, "#"), (65, 1.0, "#"), (4, 0.0, ""), (4, 301.0, ""), (4, float("nan"), "")])
async def test_values_that_bound_nothing_are_refused(value: tuple[int, float, str]) -> None:
    scene = OutboundScene()
    count, timeout, finish_on = value
    async with scene.running():
        session: FakeSession = await scene.live()
        with pytest.raises(CallError, match="range"):
            await scene.handle.collect_keys(count, timeout=timeout, finish_on=finish_on)
        with pytest.raises(CallError, match="no key"):
            await scene.handle.collect_keys(4, finish_on="#x")
        await press(scene, "1")
        scene.socket.say("stop")
    assert session.digits == ["1"]


async def test_a_call_that_is_not_live_has_no_keys_to_collect() -> None:
    scene = OutboundScene()
    async with scene.running():
        with pytest.raises(CallError, match="dialling"):
            await scene.handle.collect_keys(4)
        await scene.handle.hang_up()
