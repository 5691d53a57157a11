"""The board of the workers: each sees all; one that no longer writes does not answer, and one that ended is gone."""

from __future__ import annotations

import os

import pytest

from patter_core.call.config import HostConfig
from patter_core.server.board import HostHealth, WorkerBoard, new_board
from patter_core.server.call_table import CallTable

pytestmark = pytest.mark.anyio


async def test_each_worker_tells_of_all() -> None:
    file = new_board(3)
    boards = [WorkerBoard(os.dup(file), number) for number in range(3)]
    os.close(file)
    tables = [CallTable(HostConfig()) for _ in boards]
    tables[1].draining = True
    for board, table, at in zip(boards, tables, (100.0, 101.0, 90.0), strict=True):
        board.write(table, at)
    expected = HostHealth(ready=True, workers=3, alive=2, taking_calls=1, draining=1, calls=0)
    assert [board.health(102.0) for board in boards] == [expected] * 3
    tables[0].draining = True
    boards[0].write(tables[0], 102.0)
    assert not boards[2].health(102.0).ready
    async with boards[0].serving(tables[0]):
        pass
    assert boards[1].health(102.0).alive == 1
    with pytest.raises(KeyError):
        async with boards[0].serving(tables[0]):
            raise KeyError


def test_a_worker_that_is_alone_is_the_whole_server() -> None:
    board = WorkerBoard()
    board.write(CallTable(HostConfig()), 1.0)
    assert board.health(2.0) == HostHealth(ready=True, workers=1, alive=1, taking_calls=1, draining=0, calls=0)
