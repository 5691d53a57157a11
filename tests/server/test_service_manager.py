"""What systemd passes to a process, and is told by it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from patter_core.server.service_manager import notify, passed_listener
from patter_core.server.serving import bind

TAKE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid()) if sys.argv[2] == "own" else sys.argv[2]
from patter_core.errors import ConfigurationError
from patter_core.server.service_manager import passed_listener
try:
    listener = passed_listener()
    print(listener and listener.getsockname(), [name for name in os.environ if name.startswith("LISTEN_")])
except ConfigurationError as error:
    print(error)
"""


def take(passed: socket.socket, *, pid: str = "own", count: str = "1") -> str:
    """What a process that is given that socket prints."""
    environment = {**os.environ, "LISTEN_FDS": count, "LISTEN_FDNAMES": "patter.socket"}
    command = [sys.executable, "-c", TAKE, str(passed.fileno()), pid]
    return subprocess.run(
        command, pass_fds=[passed.fileno()], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_listening_socket_is_taken_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert take(listener) == f"{listener.getsockname()} []"


def test_one_that_is_meant_for_another_process_is_left() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert take(listener, pid=str(os.getpid())) == "None []"


def test_several_are_refused() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert "several sockets" in take(listener, count="2")


@pytest.mark.parametrize(
    "wrong", [socket.socket(), socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)]
)
def test_what_is_no_listening_tcp_socket_is_refused(wrong: socket.socket) -> None:
    with wrong:
        assert "a listening TCP socket" in take(wrong)


def test_without_a_service_manager_nothing_is_taken_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert passed_listener() is None
    notify("READY=1")


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_state_is_told(socket_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    address = str(socket_folder / "notify") if kind == "path" else f"@patter-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_a_service_manager_that_has_gone_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
