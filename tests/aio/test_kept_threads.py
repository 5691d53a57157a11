"""A thread does one piece of work after another; few wait for more."""

from __future__ import annotations

import threading

import pytest

from patter_core.aio.kept_threads import MOST_KEPT, in_kept_thread
from tests.polling import until

pytestmark = pytest.mark.anyio


async def test_a_thread_is_kept_for_the_next_work_and_few_are() -> None:
    gate = threading.Event()
    used = {in_kept_thread(lambda: gate.wait(10)) for _ in range(20)}
    assert len(used) == 20  # they work at the same time
    gate.set()
    await until(lambda: len([thread for thread in threading.enumerate() if thread.ident in used]) <= MOST_KEPT)
    done = threading.Event()
    assert in_kept_thread(done.set) in used
    await until(done.is_set)
