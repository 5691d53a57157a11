"""A third party's engine whose model remembers what it said: after an interruption, its memory is what was heard.

In the default suite its source is used; the session `thirdparty` installs its wheel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.call.limits import Limits
from patter_core.engine import EngineCapability
from patter_core.events import ResponseHeard
from patter_core.patter import Patter
from patter_core.server.serving import bind, serve_app
from patter_core.testing import check_engine
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.emulator import Told
from patter_core.testing.fakes import MemorySink
from patter_core.tools.tool import Tools
from patter_framed.testing import FramedEmulator
from patter_parley import wire
from patter_parley.memory import Memory
from patter_parley.talk import Talk
from patter_parley.testing import ParleyEmulator

pytestmark = pytest.mark.anyio

SPOKEN = wire.FORMATS["pcm"]
ITEM_MS = 1_000.0
LEVELS = (4_000, 8_000, 12_000)
"""Of the samples of each item: so what was played tells of which it was."""
FRAME_MS = 20
ITEMS = ["item_2", "item_3", "item_4"]
"""Their ids: the emulator counts all that it makes."""
NEAR_MS = 200.0
"""A frame, and the rest for a busy machine: a mark's return is dated when it is read."""
_NO_MORE = 0.3
"""Seconds in which nothing more may be asked for."""
AT_ONCE, STILL_AT_IT = 50.0, 1.3
"""Paces: the whole answer is sent before it is heard; the third item is still being made at the interruption."""


def level(value: int, ms: float = ITEM_MS) -> bytes:
    return struct.pack("<h", value) * round(SPOKEN.sample_rate * ms / 1000)


@dataclasses.dataclass
class Scene:
    """A live call between the two plugins."""

    call: EmulatedCall
    engine: ParleyEmulator
    sink: MemorySink

    @property
    def talk(self) -> Talk:
        return self.engine.talks[0]

    @property
    def memory(self) -> Memory:
        return self.talk.memory

    def heard_ms(self) -> list[float]:
        """How much the caller heard, by item."""
        recording = self.call.recording
        samples = [value for (value,) in struct.iter_unpack("<h", bytes(recording.played))]
        counts = [sum(abs(sample - value) < 2_000 for sample in samples) for value in LEVELS]
        return [count * 1000 / recording.format.sample_rate for count in counts]

    def played_ms(self) -> float:
        return self.call.recording.format.duration_ms(len(self.call.recording.played))

    async def result_of(self, *tools: str, number: int) -> list[Told]:
        """What the service gets after the agent has called these tools."""
        results = list[Told]()

        def has_result() -> bool:
            results[:] = [one for one in self.engine.told if one.capability is EngineCapability.TOOLS]
            return bool(results)

        with anyio.fail_after(10):
            await self.engine.changes.wait_until(lambda: bool(self.engine.talks) and self.talk.has_begun)
            for tool in tools:
                await self.engine.call_tool(tool, {"number": number})
            await self.engine.changes.wait_until(has_result)
        return results

    async def remembers(self, asked: int) -> list[float]:
        """How much the model believes to have said, by item, once so many changes were asked for, and no more."""
        memory = self.memory
        with anyio.fail_after(10):
            await self.engine.changes.wait_until(
                lambda: len(memory.truncated) + len(memory.deleted) + len(memory.refused) >= asked
            )
        await anyio.sleep(_NO_MORE)
        lengths = self.memory.lengths_ms
        return [lengths.get(item, 0.0) for item in ITEMS]


@contextlib.asynccontextmanager
async def scene(*, pace: float = AT_ONCE, has_notify: bool = True, tools: Tools = ()) -> AsyncIterator[Scene]:
    engine = ParleyEmulator(greeting=[level(value) for value in LEVELS], pace=pace)
    async with FramedEmulator(has_notify=has_notify) as carrier, engine:
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sink = MemorySink()
        phone = Patter(
            carrier=carrier.carrier(), webhook_url=url, phone_number="+15550001234", sinks=[sink],
            limits=Limits(drain=0.1, prewarm=0),
        )  # fmt: skip
        async with serve_app(phone.asgi(phone.agent(engine=engine.engine(), tools=tools)), listener):
            call = carrier.place(f"{url}/webhooks/framed/voice", Caller([Pause(30)], carrier.format))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                await call.streaming()
                yield Scene(call, engine, sink)
                call.end()


async def test_it_keeps_the_contract() -> None:
    await check_engine(ParleyEmulator)


@pytest.mark.parametrize("has_notify", [True, False], ids=["with marks", "without marks"])
@pytest.mark.parametrize("pace", [AT_ONCE, STILL_AT_IT], ids=["all was sent", "more was being made"])
async def test_the_model_believes_what_the_caller_heard(pace: float, has_notify: bool) -> None:
    async with scene(pace=pace, has_notify=has_notify) as live:
        await live.call.until(lambda: live.played_ms() >= 1.5 * ITEM_MS)
        await live.engine.interrupt()
        believed = await live.remembers(2)
        heard = live.heard_ms()
    memory = live.memory
    assert not memory.refused
    assert memory.truncated == ITEMS[1:2]
    assert memory.deleted[0] == ITEMS[2]
    assert believed == pytest.approx(heard, abs=NEAR_MS)
    assert believed[0] == ITEM_MS
    assert believed[2] == heard[2] == 0


async def test_late_audio_is_neither_heard_nor_believed() -> None:
    async with scene(pace=STILL_AT_IT) as live:
        await live.call.until(lambda: live.played_ms() >= 0.5 * ITEM_MS)
        await live.engine.interrupt()  # in the first item; more of it comes, and a second one
        believed = await live.remembers(2)
        heard, played_ms = live.heard_ms(), live.played_ms()
    memory = live.memory
    assert not memory.refused
    assert (memory.truncated, memory.deleted) == (ITEMS[:1], ITEMS[1:2])
    assert believed == pytest.approx(heard, abs=NEAR_MS)
    assert played_ms == pytest.approx(heard[0], abs=NEAR_MS)


async def test_what_was_heard_whole_is_left_alone() -> None:
    async with scene() as live:
        with anyio.fail_after(10):
            (told,) = await live.sink.wait_for("response_heard")
        await live.engine.interrupt()
        believed = await live.remembers(0)
    assert isinstance(told.event, ResponseHeard)
    assert not told.event.interrupted
    assert believed == [ITEM_MS] * 3
    assert live.memory.truncated + live.memory.deleted + live.memory.refused == []


async def test_a_tool_of_the_agent_is_run_and_the_model_has_its_result() -> None:
    def double(number: int) -> int:
        if number < 0:
            raise ValueError("It is negative.")
        return 2 * number

    async with scene(tools=[double]) as live:
        done = await live.result_of("triple", "double", number=21)  # the model does not know of the first one
    async with scene(tools=[double]) as live:
        failed = await live.result_of("double", number=-1)
    assert [(told.text, told.failed) for told in done] == [("42", False)]
    assert [told.failed for told in failed] == [True]


def test_an_item_is_not_truncated_to_more_than_it_has() -> None:
    memory = Memory(SPOKEN)
    memory.say("item_1", level(1))
    assert memory.truncate("item_1", 1_001) == "Audio content of 1000 ms is already shorter than 1001 ms."
    assert memory.truncate("item_2", 10) == memory.delete("item_2") == "Item item_2 does not exist."
    assert memory.lengths_ms == {"item_1": 1_000}
    assert memory.truncate("item_1", 400) == ""
    assert memory.lengths_ms == {"item_1": 400}
