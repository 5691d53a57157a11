"""The units of systemd: verified by it, and agreeing with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")
def test_systemd_takes_them(tmp_path: Path) -> None:
    assert ANALYZE is not None
    for unit in UNITS.iterdir():  # the command is there on the machine that they are made for
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/patter/bin/patter", sys.executable))
    names = [tmp_path / unit.name.replace("@", "@blue") for unit in UNITS.iterdir()]
    done = subprocess.run([ANALYZE, "verify", *names], capture_output=True, text=True, check=False)
    assert "patter" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_socket_is_shared_by_the_instances() -> None:
    socket, service = (UNITS / "patter.socket").read_text(), (UNITS / "patter@.service").read_text()
    assert "Service=patter@blue.service" in socket
    assert "Sockets=patter.socket" in service
    assert "Type=notify" in service
    assert "NotifyAccess=all" in service  # with several workers, one of them says that it is ready


def test_live_calls_are_not_cut() -> None:
    (seconds,) = re.findall(r"TimeoutStopSec=(\d+)", (UNITS / "patter@.service").read_text())
    limits, deadlines = Limits(), Deadlines()
    assert int(seconds) >= limits.drain + deadlines.last_word + limits.linger + limits.flush + 5
