"""What may block runs in threads of its own, bounded in number, that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback

import anyio
import pytest

from patter_core.call.threads import Threads

pytestmark = pytest.mark.anyio


async def test_it_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    threads = Threads(1)
    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


async def test_one_that_hangs_can_be_left_and_tells_where_it_is_and_keeps_its_place() -> None:
    threads, gate = Threads(1), threading.Event()

    def hang_in_here() -> None:
        gate.wait(10)

    where = ""
    with anyio.move_on_after(0.1):
        try:
            await threads.run(hang_in_here)
        except anyio.get_cancelled_exc_class():
            where = traceback.format_exc()
            raise
    assert "hang_in_here" in where
    with anyio.move_on_after(0.1) as full:
        await threads.run(divmod, 7, 2)
    assert full.cancelled_caught
    gate.set()
    with anyio.fail_after(5):
        assert await threads.run(divmod, 7, 2) == (3, 1)


def test_one_that_hangs_does_not_keep_the_process() -> None:
    code = """
import anyio, time
from patter_core.call.threads import Threads
async def main():
    with anyio.move_on_after(0.1):
        await Threads(1).run(time.sleep, 60)
anyio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0
