"""What other workers write comes into the feed while somebody looks, whatever the archive does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import anyio
import pytest

from patter_core.apps.elsewhere import Elsewhere
from patter_core.apps.feed import Feed
from patter_core.events import DtmfReceived, Record
from patter_core.storage.archive import CallFilter, CallRow, Latest, SharedArchive
from tests.polling import until

pytestmark = pytest.mark.anyio


class Written:
    """A `SharedArchive` whose records a test writes, and that fails as it is told to."""

    def __init__(self) -> None:
        self.written = list[Record]()
        self.asked = list[str]()
        self.fault: BaseException | None = None

    def write(self, digits: str) -> None:
        for digit in digits:
            number, event = len(self.written) + 1, DtmfReceived(digit=digit)
            self.written.append(Record(call_id="there", sequence=number, time=0, elapsed_ms=0, event=event))

    async def latest(self, after: str, *, limit: int) -> Latest:
        self.asked.append(after)
        if self.fault is not None:
            raise self.fault
        first = int(after) if after else len(self.written)
        return Latest(str(min(first + limit, len(self.written))), self.written[first : first + limit])

    async def calls(self, condition: CallFilter) -> Sequence[CallRow]:
        return ()

    async def records(self, call_id: str) -> Sequence[Record]:
        return ()

    async def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> Sequence[Record]:
        return ()


class Scene:
    def __init__(self) -> None:
        self.archive, self.feed = Written(), Feed()
        self.elsewhere = Elsewhere(self.archive, self.feed, every=0.001)
        self.read = list[str]()

    async def look(self) -> None:
        async for item in self.feed.read():
            assert isinstance(item.record.event, DtmfReceived)
            self.read.append(item.record.event.digit)

    async def looked(self, times: int = 3) -> None:
        count = len(self.archive.asked)
        await until(lambda: len(self.archive.asked) >= count + times)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    assert isinstance(made.archive, SharedArchive)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.elsewhere.run)
        yield made
        tasks.cancel_scope.cancel()


async def test_nothing_is_read_until_somebody_looks_and_then_what_is_new(scene: Scene) -> None:
    scene.archive.write("12")
    await scene.looked()
    assert set(scene.archive.asked) == {""}
    looking = asyncio.create_task(scene.look())
    await scene.looked()
    scene.archive.write("34")
    await until(lambda: scene.read == ["3", "4"])
    looking.cancel()
    await scene.looked()
    assert scene.archive.asked[-1] == ""


async def test_what_comes_between_a_position_and_its_reader_is_not_missed(scene: Scene) -> None:
    await scene.looked()
    position = scene.feed.position
    scene.elsewhere.expect_reader()
    scene.archive.write("5")
    await scene.looked()
    item = await anext(scene.feed.read(position))
    assert item.record is scene.archive.written[0]


async def test_more_than_fits_into_one_look_comes_in_order(scene: Scene) -> None:
    scene.elsewhere.expect_reader()
    await scene.looked()
    position = scene.feed.position
    scene.archive.write("7" * 1_200)
    await until(lambda: scene.feed.position.endswith(".1200"))
    scene.feed.close()
    assert [item.record async for item in scene.feed.read(position)] == scene.archive.written


@pytest.mark.parametrize("fault", [OSError("gone"), SystemExit(3), asyncio.CancelledError()])
async def test_an_archive_that_fails_is_told_once_and_nothing_is_missed(
    scene: Scene, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    scene.elsewhere.expect_reader()
    await scene.looked()
    scene.archive.fault = fault
    scene.archive.write("8")
    await scene.looked()
    scene.archive.fault = None
    await until(lambda: scene.feed.position.endswith(".1"))
    assert caplog.text.count("are not followed") == 1
