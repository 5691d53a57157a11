"""The chaos suite: real processes and real sockets, broken on purpose.

`nox -s chaos` runs all of it, some minutes long. Otherwise only what is marked `quick` runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the helpers beside this file, here and in the workers

from tests.chaos import report

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: of the chaos suite, and run with all other tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("PATTER_CHAOS"):
        return
    left_out = [item for item in items if HERE in item.path.parents and not item.get_closest_marker("quick")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report.rows:
        terminalreporter.section("chaos: what was tried, what was lost")
        for line in report.table():
            terminalreporter.write_line(line)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
