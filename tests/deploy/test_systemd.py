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

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
PAGE = ROOT / "docs" / "how-to" / "systemd.md"
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


def test_the_user_of_the_service_may_read_the_configuration_but_not_the_credentials() -> None:
    service = (UNITS / "patter@.service").read_text()
    assert "DynamicUser=yes" in service  # which owns no file of /etc
    assert "EnvironmentFile=/etc/patter/environment\n" in service
    assert "Environment=PATTER_CONFIG=/etc/patter/patter.toml\n" in service
    installed = re.findall(r"install -m (\d+) (.+) /etc/patter/", PAGE.read_text())
    modes = {name: int(mode, 8) for mode, names in installed for name in names.split()}
    assert modes["environment"] & 0o077 == 0
    assert modes["patter.toml"] & 0o004


def test_relative_paths_of_sinks_are_in_the_one_folder_that_may_be_written() -> None:
    service = (UNITS / "patter@.service").read_text()
    assert "ProtectSystem=strict" in service
    (state,) = re.findall(r"StateDirectory=(.+)", service)
    assert f"WorkingDirectory=/var/lib/{state}\n" in service
