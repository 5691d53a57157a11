"""The chaos suite: real processes and real sockets, broken on purpose.

`nox -s chaos` runs all of it, some minutes long. Otherwise only what is marked `quick` runs, as `-m` in pyproject.toml
says; to run one test by its name, add `-m ""`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the helpers beside this file, here and in the workers

from tests.chaos import report


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("-m") != "chaos":
        report.share_machine()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report.rows:
        terminalreporter.section("chaos: what was tried, what was lost")
        for line in report.table():
            terminalreporter.write_line(line)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
