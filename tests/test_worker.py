"""Blocking work runs beside the event loop; what hangs is left behind, and nothing is begun beside it."""

from __future__ import annotations

import threading

import anyio
import pytest

from patter_core import worker
from patter_core.errors import SinkUnavailable
from patter_core.worker import Worker

pytestmark = pytest.mark.anyio


async def test_work_runs_in_another_thread_and_its_result_and_error_come_back() -> None:
    here = threading.get_ident()
    assert await Worker().run(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        await Worker().run(divmod, 1, 0)


async def test_work_that_hangs_does_not_hold_who_asked_and_no_other_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PATIENCE", 0.01)
    gate = threading.Event()
    one = Worker()
    with anyio.fail_after(5):
        with anyio.move_on_after(0.01) as scope:
            await one.run(gate.wait)
        assert scope.cancelled_caught
        with pytest.raises(SinkUnavailable):
            await one.run(int)
        gate.set()
        monkeypatch.setattr(worker, "_PATIENCE", 5.0)
        assert await one.run(int) == 0
