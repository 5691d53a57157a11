"""The memory sink keeps what it gets and tells when there is enough."""

from __future__ import annotations

import anyio
import pytest

from patter_core.events import DtmfReceived, Interruption, Record
from patter_core.sinks import MemorySink


@pytest.mark.anyio
async def test_it_waits_for_as_many_as_are_asked_for() -> None:
    sink = MemorySink()
    keys = [
        Record(call_id="c", sequence=number, time=0, elapsed_ms=0, event=DtmfReceived(digit=str(number)))
        for number in range(2)
    ]
    found: list[Record] = []

    async def wait() -> None:
        found.extend(await sink.wait_for("dtmf_received", 2))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await sink.write([keys[0], Record(call_id="c", sequence=3, time=0, elapsed_ms=0, event=Interruption())])
            await anyio.wait_all_tasks_blocked()
            assert not found
            await sink.write([keys[1]])
    assert found == keys
