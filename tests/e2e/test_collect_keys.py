"""Keys that a caller presses on a telephone are collected, over real sockets, with each carrier."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import AudioChunk
from patter_core.errors import CallError
from patter_core.events import DtmfReceived
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, PressKey, Step, WaitForAgent
from patter_core.testing.fakes import FakeEngine, MemorySink
from tests.carriers import MakeEmulator, each_carrier

pytestmark = pytest.mark.anyio


@each_carrier()
async def test_the_keys_after_the_agents_question_are_the_answer(emulator: MakeEmulator) -> None:
    engine, sink = FakeEngine(), MemorySink()
    keys: list[Step] = [PressKey(key) for key in "4711#9"]
    steps: tuple[Step, ...] = (PressKey("0"), WaitForAgent(0.1), *keys, Pause(0.3), WaitForAgent(0.1), PressKey("5"))
    with anyio.fail_after(20):
        async with emulator() as carrier, anyio.create_task_group() as tasks:
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = phone.agent(engine=engine)
            async with serve_app(phone.asgi(agent)) as url:
                call = carrier.place(f"{url}/webhooks/{carrier.carrier().name}/voice", Caller(steps, carrier.format))
                tasks.start_soon(call.run)
                session = await engine.session()
                await session.until(lambda: session.digits == ["0"])
                question = AudioChunk(b"\x2a" * 2_400, session.output_format)
                (handle,) = phone.calls
                session.give(question)
                assert await handle.collect_keys(10) == "4711"
                await session.until(lambda: session.digits == ["0", "9"])
                session.give(question)
                with pytest.raises(CallError, match="ended while"):  # one key, and then they hang up
                    await handle.collect_keys(2)
                await call.over.wait()
    pressed = [record.event for record in sink.records if isinstance(record.event, DtmfReceived)]
    assert "".join(event.digit for event in pressed) == "04711#95"
    assert session.digits == ["0", "9"]
